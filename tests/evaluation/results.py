"""Results of sessions, written down without any image."""

from cmb_bidsapp.evaluation.comparison import Fate
from cmb_bidsapp.evaluation.matching import Place
from cmb_bidsapp.evaluation.metrics import Overlap
from cmb_bidsapp.evaluation.results import AFTER, BEFORE, SessionResult, Stage

NAN = float("nan")
LOBAR, DEEP = Place("lobar"), Place("deep")


def fate(side, name, number, place=LOBAR, **more):
    """A lesion of five voxels and what became of it."""
    return Fate(
        side=side, lesion=number, center=(1.0, 2.0, 3.0), voxels=5, place=place, fate=name, **more
    )


def found(number=1, place=LOBAR, predicted=None, dice=0.8):
    """A reference lesion and the predicted one that hits it."""
    met = {"partner": number, "distance": 1.0}
    return (
        fate("reference", "found", number, place, dice=dice, **met),
        fate("predicted", "true-positive", number, predicted or place, **met),
    )


def missed(number=9):
    """A reference lesion that nothing hits."""
    return (fate("reference", "missed", number),)


def false(number=8, lies_on=None):
    """A predicted lesion that hits nothing."""
    return (fate("predicted", "false-positive", number, lies_on=lies_on),)


def stage(*fates, dice=NAN):
    """A stage with its fates; five voxels a lesion, of which four are shared where they meet."""
    sides = [one.side for one in fates]
    shared = 4 * sum(one.fate == "found" for one in fates)
    overlap = Overlap(5 * sides.count("reference"), 5 * sides.count("predicted"), shared)
    return Stage(tuple(fates), overlap, dice)


def result(participant, *fates, before=None, method="app", session=None, dice=NAN, **more):
    """A session of voxels of 2 mm3; ``before`` are the fates before CFPR, where it is known."""
    stages = {} if before is None else {BEFORE: stage(*before)}
    values = {
        "protocol": "gre3t",
        "stages": {**stages, AFTER: stage(*fates, dice=dice)},
        "mimics_known": False,
        "voxel_mm3": 2.0,
        "anatomy": {},
        "side_errors": NAN,
        "froc": {},
        "radii": {},
        **more,
    }
    return SessionResult(method=method, participant=participant, session=session, **values)
