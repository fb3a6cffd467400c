"""Rows of our own below those of the paper's tables."""

from cmb_bidsapp.evaluation.paper import MEASURED, PAPER, paper_rows
from cmb_bidsapp.evaluation.results import AFTER, BEFORE, GIVEN
from cmb_bidsapp.evaluation.summary import EVERYBODY


def summary(method, stage, group=EVERYBODY):
    return {"method": method, "stage": stage, "group": group, **dict.fromkeys(MEASURED, 0.5)}


def rows_here(*summaries):
    return [row for row in paper_rows(summaries) if row["source"] == "here"]


def test_the_papers_rows_are_always_there_and_come_first():
    rows = paper_rows([summary("ours", AFTER)])
    assert [row["source"] for row in rows if row["table"] == 1] == [*["paper"] * 3, "here"]
    published = [row for row in rows if row["source"] == "paper"]
    assert len(published) == len(PAPER)
    best = published[-1]
    assert (best["loss"], best["cfpr"], best["external_f1"]) == ("DiceTopK", True, 0.46)


def test_the_last_word_is_in_table_1_and_cfpr_in_table_2():
    found = rows_here(summary("ours", BEFORE), summary("ours", AFTER), summary("tool", GIVEN))
    assert [(row["table"], row["method"], row.get("cfpr")) for row in found] == [
        (1, "ours", None),
        (1, "tool", None),
        (2, "ours", False),
        (2, "ours", True),
    ]


def test_single_protocols_are_left_to_the_summary():
    assert rows_here(summary("ours", AFTER, group="gre3t")) == []
