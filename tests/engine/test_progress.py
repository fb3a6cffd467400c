import io

import pytest
from rich.console import Console

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
    assert "sub-01: done (2 s); 1 of 1" in shown
    assert ("sub-01: segmentation" in shown) or terminal
