"""The page: what happens to a session, in which order.

========  =============================================  ==========================================
phase     from                                           to
========  =============================================  ==========================================
prepare   raw T1w and T2*w                               preprocessed images, brain masks,
                                                         transform, parcellation, proxy labels
segment   preprocessed images                            CMB probability, predicted classes
finish    probability, classes, proxy labels             candidates with verdicts, masks, lesion
                                                         table, figures
========  =============================================  ==========================================

Stamps decide whether a phase runs; ``levels`` runs the sessions and writes the reports.
"""

from cmb_bidsapp.phases.finish import FINISH
from cmb_bidsapp.phases.prepare import PREPARE
from cmb_bidsapp.phases.segment import SEGMENT

PHASES = (PREPARE, SEGMENT, FINISH)
