"""Default decisions and fixed words, free of imports so that the command line can show them."""

from types import MappingProxyType
from typing import Literal

#: What counts as the periphery of a candidate, see :mod:`cmb_bidsapp.lesions.cfpr`.
CfprMode = Literal["paper", "reference"]
CFPR_MODE: CfprMode = "paper"
#: ``paper``: white matter around ventricles and nuclei is deep. ``reference``: as the authors'
#: published code, all white matter too deep to belong to a cortical area.
ProxyRules = Literal["paper", "reference"]
#: What becomes of candidates that the phase shows to be diamagnetic: told, or rejected as well.
PhaseRule = Literal["report", "reject"]
PHASE_RULE: PhaseRule = "report"
#: Scratch of which sessions stays when a run ends.
KeepWorkdir = Literal["never", "on-failure", "always"]
#: Lesion model that finds more real microbleeds than the other packaged one at as many false marks.
LESION_MODEL = "lesions"
#: The packaged network that finds brain and structures.
ANATOMY_MODEL = "anatomy"
#: Smallest peak probability of a candidate, for models whose card does not say better.
THRESHOLD = 0.5
#: Operating points, and how many false marks per scan each allows.
OPERATING_POINTS = MappingProxyType({"sensitive": 3.0, "balanced": 1.0, "specific": 0.3})
#: A candidate is definite from this calibrated probability on: three of four such are microbleeds.
DEFINITE_PROBABILITY = 0.75
#: Distance in mm that counts as periphery of a candidate (paper, figure 4b).
CFPR_RADIUS_MM = 2.0
#: Smallest share of brain in the periphery of a microbleed (paper, section 2.2).
CFPR_RATIO = 0.5
#: MARS counts lesions of 2 to 10 mm.
MIN_DIAMETER_MM = 2.0
MAX_DIAMETER_MM = 10.0

#: More microbleeds than this at baseline usually rule out anti-amyloid therapy
#: (Cummings et al. 2023, appropriate use recommendations for lecanemab).
BASELINE_LIMIT = 4
#: Stands wherever a clinical word does.
NOT_A_DIAGNOSIS = "imaging summary, not a diagnosis"
#: What a reader must look for herself; stands on the first screen of every page.
NOT_ASSESSED = (
    "superficial siderosis, hemorrhage above 1 cm, ARIA-E, and conditions that cause or resemble "
    "microbleeds (cavernomas, trauma, metastases)"
)

#: Rules of an evaluation, see :data:`cmb_bidsapp.evaluation.presets.PRESETS`.
PRESET_NAMES = ("paper", "valdo", "overlap")
#: Neighbors of a voxel, where a mask is taken apart into lesions.
CONNECTIVITY = 26
#: Marks and instances with a lower score count in the FROC only.
MIN_SCORE = 0.5
#: Probabilities of the FROC; most networks are very sure of what they mark.
FROC_THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995)
#: Folder of an evaluation that is part of the group level.
GROUP_FOLDER = "group_evaluation"
