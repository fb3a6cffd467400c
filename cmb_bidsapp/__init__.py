"""Cerebral microbleeds in T1w and T2*w brain MRI, from a BIDS folder to MARS tables."""

__version__ = "0.1.0"
