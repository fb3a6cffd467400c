"""Who is taken of those who are there."""

import pytest

from cmb_bidsapp.bids.filters import select_participants
from cmb_bidsapp.core.errors import UsageError

PRESENT = ["01", "02", "03"]


@pytest.mark.parametrize(
    ("wanted", "unwanted", "selected"),
    [
        ([], [], {"01", "02", "03"}),
        (["sub-02", "03"], [], {"02", "03"}),
        (["01,02"], ["02"], {"01"}),
        ([], ["sub-01"], {"02", "03"}),
    ],
)
def test_labels_choose_participants(wanted, unwanted, selected):
    assert select_participants(PRESENT, wanted, unwanted) == selected


def test_a_label_that_nobody_has_is_named():
    with pytest.raises(UsageError, match="sub-99"):
        select_participants(PRESENT, ["01", "99"], [])


def test_somebody_must_be_left():
    with pytest.raises(UsageError, match="all participants"):
        select_participants(PRESENT, ["01"], ["01"])


@pytest.mark.parametrize("wanted", [[""], [" ", ","]])
def test_an_empty_label_is_not_everybody(wanted):
    with pytest.raises(UsageError, match="none was given"):
        select_participants(PRESENT, wanted, [])
