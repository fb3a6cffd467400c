"""What an evaluation prints, from the rows of its tables."""

import pytest

from cmb_bidsapp.evaluation.metrics import Counts
from cmb_bidsapp.evaluation.results import Point
from cmb_bidsapp.evaluation.tables import tables_of
from cmb_bidsapp.report.evaluation_blocks import blocks_of
from tests.evaluation.results import false, found, missed, result

SWEPT = {"froc": {0.5: Counts(tp=2, fp=4)}, "radii": {2.0: Point(Counts(tp=1), 0.5)}}


def blocks(*results):
    """Blocks by the first words of their titles."""
    return {block.title: block for block in blocks_of(tables_of(results, [], seed=0))}


def titled(made, start):
    (block,) = (block for title, block in made.items() if title.startswith(start))
    return block


@pytest.fixture
def alone():
    return blocks(
        result("01", *found(1), *missed(), before=(*found(1), *missed(), *false()), **SWEPT),
        result("02", before=false(), anatomy={"proxy_deep": 0.9}),
    )


def test_every_row_is_as_long_as_its_heads(alone):
    for block in alone.values():
        assert {len(row) for row in block.rows} == {len(block.heads)}, block.title


def test_what_has_nothing_to_say_is_left_out():
    few = blocks(result("01", *found(1)))
    titles = " ".join(few)
    for absent in ("Scans without", "FROC", "Radius", "Anatomy"):
        assert absent not in titles
    assert "Lesions" in few


def test_stages_are_told_in_words_and_methods_where_there_are_several(alone):
    names = [row[0] for row in alone["Lesions"].rows]
    assert names[:2] == ["all, before CFPR", "all, after CFPR"]
    two = blocks(result("01", *found(1), method="a"), result("01", *missed(), method="b"))
    assert [row[0] for row in two["Lesions"].rows][::2] == [
        "a: all, after CFPR",
        "b: all, after CFPR",
    ]


def test_numbers_stand_under_their_heads(alone):
    block = alone["Lesions"]
    before = dict(zip(block.heads, block.rows[0], strict=True))
    assert [before[head] for head in ("scans", "TP", "FP", "FN", "FP/scan")] == [
        "2", "1", "2", "1", "1.00",
    ]  # fmt: skip
    assert before["vein"] == "n/a"
    clean = titled(alone, "Scans without")
    assert dict(zip(clean.heads, clean.rows[1], strict=True))["clean"] == "1"


def test_ours_stands_below_the_papers(alone):
    rows = titled(alone, "Table 1").rows
    assert [row[0] for row in rows] == [
        "paper: nnDetection", "paper: nnU-Net", "paper: Kwon, Seo and Park", "app",
    ]  # fmt: skip
    assert rows[-1][1:5] == ("", "", "", "")


def test_sweeps_have_a_row_for_each_setting(alone):
    (froc,) = titled(alone, "FROC").rows
    assert froc[0] == "0.5"
    (radius,) = titled(alone, "Radius").rows
    assert radius[0] == "2.0"
    (anatomy,) = titled(alone, "Anatomy").rows
    assert anatomy[:2] == ("proxy_deep", "0.900 (0.900)")
