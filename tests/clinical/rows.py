"""Lesions as they are read from a table."""

from hypothesis import strategies as st

from cmb_bidsapp.bids.typed import decode
from cmb_bidsapp.core.labels import MARS_FORM
from cmb_bidsapp.lesions.lesion import Grade, Lesion


def lesion(mars_region="frontal", **values):
    """A kept, definite, calibrated lesion in the middle of a region, but for the cells given."""
    group = MARS_FORM[mars_region][1] if mars_region in MARS_FORM else "unassigned"
    usual = {
        "status": "kept",
        "grade": "definite",
        "region": group,
        "mars_region": mars_region,
        "side": "right",
        "border": "false",
        "calibrated_probability": "0.9",
        "votes_lobar": "0",
        "votes_deep": "0",
        "votes_infratentorial": "0",
    }
    return decode(Lesion, {**usual, **values})


#: Any lesion that the app could write, and some that only other hands could.
LESIONS = st.builds(
    lesion,
    mars_region=st.sampled_from([*MARS_FORM, "unassigned", "n/a"]),
    status=st.sampled_from(["kept", "rejected"]),
    grade=st.sampled_from(list(map(str, Grade))),
    region=st.sampled_from(["lobar", "deep", "infratentorial", "unassigned", "n/a"]),
    side=st.sampled_from(["right", "left", "unassigned", "n/a"]),
    border=st.sampled_from(["true", "false"]),
    calibrated_probability=st.floats(0, 1).map("{:.6g}".format) | st.just("n/a"),
    votes_lobar=st.integers(0, 3).map(str),
    votes_deep=st.integers(0, 3).map(str),
    votes_infratentorial=st.integers(0, 3).map(str) | st.just("n/a"),
)
TABLES = st.lists(LESIONS, max_size=30)
