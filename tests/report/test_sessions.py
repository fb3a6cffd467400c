"""What a page shows of a session, read from its derivatives."""

from dataclasses import replace

import pytest

from cmb_bidsapp.core.contrast import Contrast
from cmb_bidsapp.core.labels import MARS_FORM
from cmb_bidsapp.report.pages import SizeBudget
from cmb_bidsapp.report.sessions import (
    ReportedSession,
    cfpr_in_words,
    in_words,
    mars_key,
    session_view,
)
from tests.report.heads import finish_session, session_of


@pytest.fixture
def view(tmp_path):
    """View of a finished session of three candidates, one of which is rejected."""
    finish_session(tmp_path, notes=["a note of a phase"])

    def read(error="", room=10_000_000, share=1.0, **changes):
        session = replace(session_of(tmp_path, notes=["a note of the choice"]), **changes)
        return session_view(
            ReportedSession(session, error), tmp_path / "bids", tmp_path / "out",
            SizeBudget(room), share, limit=4,
        )  # fmt: skip

    read.scan = session_of(tmp_path).t2star
    return read


def test_a_session_has_its_counts_cards_and_notes(view):
    made = view()
    assert made.summary.count == len(made.kept) == 2
    assert [card["title"] for card in made.rejected] == ["Rejected"]
    assert made.notes == ("a note of the choice", "a note of a phase")
    assert (made.key, made.title, made.anchor) == ("n/a", "sub-01", "session")
    assert all(card["picture"].startswith("data:image/") for card in made.kept)


def test_of_a_session_that_failed_nothing_of_an_earlier_run_is_shown(view):
    made = view(error="out of memory")
    assert made.error == "out of memory"
    assert (made.summary, made.at_least_5) == (None, None)
    assert (made.kept, made.form, made.quality, made.counts) == ([], [], [], {})


def test_inputs_are_named_from_the_dataset_with_how_they_were_acquired(view):
    inputs = {name: (path, acquired) for name, path, acquired in view().inputs}
    assert inputs["T2*w"] == ("sub-01/anat/sub-01_T2starw.nii.gz", "3 T, 20 ms echo time")
    alone = view(scans={Contrast.T2STARW: view.scan})
    assert ("T1w", "none", "") in alone.inputs
    assert not alone.with_t1w


def test_without_room_numbers_stay_and_pictures_go(view):
    made = view(room=100)
    assert len(made.kept) == 2
    assert {card["picture"] for card in made.kept} == {None}
    assert "pictures are left out" in made.left_out[0]


def test_candidates_beyond_the_share_have_a_line_or_are_counted(view):
    made = view(share=0.002)
    assert (len(made.kept), len(made.rejected), len(made.lines)) == (1, 0, 2)
    made = view(share=0.001)
    assert (len(made.kept), len(made.lines), made.unlisted) == (0, 1, 2)
    assert made.summary.count == 2


@pytest.mark.parametrize(
    ("decisions", "text"),
    [
        ({}, ""),
        ({"cfpr": False}, "off"),
        (
            {"cfpr": True, "cfpr_mode": "paper", "cfpr_ratio": 0.5, "cfpr_radius": 2.0},
            "paper mode, at least 0.5 of the voxels within 2 mm are brain",
        ),
    ],
)
def test_cfpr_is_told_in_words(decisions, text):
    assert cfpr_in_words(decisions) == text


def test_the_key_has_every_region_of_the_form_by_its_class():
    key = mars_key()
    assert set(key) == {"lobar", "deep", "infratentorial"}
    assert sum(map(len, key.values())) == len(MARS_FORM)
    assert in_words("basal-ganglia") == "basal ganglia"
    assert in_words("dpwm") == "deep and periventricular white matter"
