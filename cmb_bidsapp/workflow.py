"""The page: what happens to a session, and then to a participant, in which order.

=========  =============================================  ==========================================
phase      from                                           to
=========  =============================================  ==========================================
prepare    raw T1w and T2*w                               preprocessed images, brain masks,
                                                          transform, parcellation, proxy labels
segment    preprocessed images                            CMB probability, predicted classes
finish     probability, classes, proxy labels             candidates with verdicts, masks, lesion
                                                          table, figures
follow     lesion tables and T2*w of all sessions of a    transforms between sessions, microbleeds
           participant                                    through time, changes, figures
=========  =============================================  ==========================================

Stamps decide whether a phase runs; ``levels`` runs the stages and writes the reports.
"""

from types import MappingProxyType
from typing import Literal

from cmb_bidsapp.phases.finish import FINISH
from cmb_bidsapp.phases.follow import FOLLOW
from cmb_bidsapp.phases.prepare import PREPARE
from cmb_bidsapp.phases.segment import SEGMENT

PHASES = (PREPARE, SEGMENT, FINISH)

#: What runs in one process: the phases of a session, or that of a participant with several.
Stage = Literal["session", "follow-up"]
STAGES = MappingProxyType({"session": PHASES, "follow-up": (FOLLOW,)})
