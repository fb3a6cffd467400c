"""What the choice of scans works on."""

from dataclasses import replace
from pathlib import Path

import pytest

from cmb_bidsapp.bids.scans import Participant, Scan
from cmb_bidsapp.core.contrast import Contrast
from tests.skeletons import rescanned, session

T1W = Scan(path=Path("sub-01_T1w.nii.gz"), entities={"suffix": "T1w"}, metadata={}, voxel_mm3=1.0)


@pytest.mark.parametrize(("label", "name"), [(None, "sub-01"), ("A", "sub-01_ses-A")])
def test_a_session_is_called_as_its_files_are(label, name):
    assert session("01", label).label == name


def test_a_participant_as_a_whole_is_no_session_without_a_label():
    whole = Participant("01")
    assert (whole.label, whole.session) == ("sub-01", None)
    assert whole != session("01")


def test_the_label_of_a_session_may_look_like_a_number():
    assert replace(T1W, entities={"session": 2}).session == "2"
    assert T1W.session is None


def test_scans_go_by_their_contrast():
    alone = session("01")
    assert alone.t1w is None
    both = rescanned(alone, t1w=T1W)
    assert both.t1w == T1W
    assert both.t2star == alone.scans[Contrast.T2STARW]


def test_the_problem_of_any_scan_is_the_sessions():
    assert rescanned(session("01"), t1w=T1W).problem is None
    broken = rescanned(session("01"), t1w=replace(T1W, problem="no volume"))
    assert broken.problem == "no volume"
