"""Which phase image belongs to a T2*w."""

import pytest

from cmb_bidsapp.bids.inputs import choose
from tests.bids.test_inputs import name, reasons
from tests.skeletons import build_dataset


@pytest.mark.parametrize(
    ("magnitude", "phase", "sidecar"),
    [
        ("T2starw", "part-phase_T2starw", {}),
        ("part-mag_T2starw", "part-phase_T2starw", {}),
        ("acq-mag_T2starw", "acq-pha_T2starw", {}),
        ("echo-2_MEGRE", "echo-2_part-phase_MEGRE", {}),
        ("acq-mag_GRE", "acq-phase_GRE", {"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]}),
    ],
)
def test_the_phase_that_was_acquired_with_the_t2star_is_found(tmp_path, magnitude, phase, sidecar):
    root = build_dataset(tmp_path, {f"sub-01_{magnitude}": {}, f"sub-01_{phase}": sidecar})
    (session,) = choose(root).sessions
    assert name(session.t2star) == f"sub-01_{magnitude}"
    assert name(session.phase) == f"sub-01_{phase}"
    assert reasons(session) == {}


@pytest.mark.parametrize(
    "other",
    [
        "run-2_part-phase_T2starw",
        "part-phase_GRE",
        "part-real_T2starw",
        "part-imag_T2starw",
        "acq-thin_part-phase_T2starw",
    ],
)
def test_the_phase_of_another_image_is_not_taken(tmp_path, other):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {}, f"sub-01_{other}": {}})
    (session,) = choose(root).sessions
    assert session.phase is None
    assert f"sub-01_{other}" in reasons(session)


def test_a_session_with_phase_only_is_skipped_and_says_why(tmp_path):
    root = build_dataset(
        tmp_path, {"sub-01_ses-A_part-phase_T2starw": {}, "sub-01_ses-B_T2starw": {}}
    )
    (skipped,) = choose(root).skipped
    assert skipped.path.as_posix() == "sub-01/ses-A"
    assert "a phase image (part-phase)" in skipped.reason
