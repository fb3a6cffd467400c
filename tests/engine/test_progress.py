import io

import pytest
from rich.console import Console

from cmb_bidsapp.engine import progress
from cmb_bidsapp.engine.children import Outcome
from cmb_bidsapp.engine.progress import Display
from tests.skeletons import session


@pytest.mark.parametrize("terminal", [True, False])
def test_notes_stay_and_markup_in_them_is_text(terminal):
    out = io.StringIO()
    one = session("01")
    with Display(Console(file=out, force_terminal=terminal, width=60), total=1) as display:
        display.event(one, "step", "segmentation")
        display.event(one, "note", "voxels are [bold]3 mm[/bold] in plane, far from the training")
        display.finished(Outcome(session=one, ran=("segment",), seconds=2.0))
    shown = out.getvalue()
    assert "sub-01: note: voxels are [bold]3 mm[/bold] in plane, far from the training" in shown
    assert "sub-01: done (2 s)\n" in shown
    assert ("sub-01: segmentation" in shown) or terminal


def test_a_note_of_several_sessions_is_told_in_full_once():
    out = io.StringIO()
    with Display(Console(file=out, width=60), total=3) as display:
        for label, note in (("01", "thick slices"), ("02", "thick slices"), ("03", "no T1w")):
            display.event(session(label), "note", note)
    assert out.getvalue().splitlines() == [
        "sub-01: note: thick slices",
        "sub-02: note: as of sub-01",
        "sub-03: note: no T1w",
    ]


def test_of_several_it_says_how_many_have_ended_and_how_long_the_others_take(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    with Display(Console(file=out, width=60), total=3) as display:
        for label, outcome in (("01", {"ran": ("segment",)}), ("02", {"code": 65}), ("03", {})):
            now[0] += 120
            display.finished(Outcome(session=session(label), seconds=120.0, **outcome))
    first, second, third = out.getvalue().splitlines()
    assert first == "sub-01: done (120 s); 1 of 3, about 4 min to go"
    assert second.endswith("; 2 of 3, about 2 min to go")
    assert third == "sub-03: up to date (120 s); 3 of 3"
