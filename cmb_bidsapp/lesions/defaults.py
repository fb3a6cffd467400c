"""Default decisions, free of heavy imports so that the command line can show them."""

from typing import Literal

#: What counts as the periphery of a candidate, see :mod:`cmb_bidsapp.lesions.cfpr`.
CfprMode = Literal["paper", "reference"]
CFPR_MODE: CfprMode = "paper"
#: Probability that a microbleed reaches somewhere, for models whose card does not say better.
THRESHOLD = 0.5
#: Distance in mm that counts as periphery of a candidate (paper, figure 4b).
CFPR_RADIUS_MM = 2.0
#: Smallest share of brain in the periphery of a microbleed (paper, section 2.2).
CFPR_RATIO = 0.5
#: MARS counts lesions of 2 to 10 mm.
MIN_DIAMETER_MM = 2.0
MAX_DIAMETER_MM = 10.0
