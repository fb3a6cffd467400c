"""What clinicians and trialists read: the MARS form, summaries, cut-offs with probabilities."""
