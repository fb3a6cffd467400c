"""Default decisions, free of heavy imports so that the command line can show them."""

#: Probability that a microbleed reaches somewhere. The network is sure of itself: on simulated
#: scans kept apart for this choice (docs/training.md), 0.5 has three times the false positives.
THRESHOLD = 0.99
#: Distance in mm that counts as periphery of a candidate (paper, figure 4b).
CFPR_RADIUS_MM = 2.0
#: Smallest share of brain in the periphery of a microbleed (paper, section 2.2).
CFPR_RATIO = 0.5
#: MARS counts lesions of 2 to 10 mm.
MIN_DIAMETER_MM = 2.0
MAX_DIAMETER_MM = 10.0
