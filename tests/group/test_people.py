"""Who the participants are, where participants.tsv tells it."""

import re
from pathlib import Path

import pandas as pd
import pytest

from cmb_bidsapp.cli import main
from cmb_bidsapp.group.collect import collect, write_sums
from cmb_bidsapp.group.people import Demographics, read_people
from cmb_bidsapp.group.session_records import records
from tests.group.sessions import (
    GRE,
    write_session,
)
from tests.group.trial import rows, write_trial

DOCUMENT = Path(__file__).parents[2] / "docs" / "group.md"


def test_without_participants_tsv_nothing_is_lacking(tmp_path):
    write_session(tmp_path, "01", None, 1, GRE)
    cohort, _ = collect(records(tmp_path), tmp_path, limit=4)
    write_sums(cohort, tmp_path)
    (row,) = rows(tmp_path, "summary")
    assert (row["age"], row["arm"], cohort.failed) == ("n/a", "n/a", 0)


def test_a_damaged_participants_tsv_is_told_and_everybody_counts(tmp_path, capsys):
    write_session(tmp_path / "out", "01", None, 1, GRE)
    (tmp_path / "out" / "participants.tsv").write_bytes(b"participant_id\tage\nsub-01\n")
    assert main([str(tmp_path / "absent"), str(tmp_path / "out"), "group"]) == 1
    assert "participants.tsv: a row does not have the columns" in capsys.readouterr().out
    assert len(rows(tmp_path / "out", "summary")) == 1


def test_a_participants_tsv_that_is_not_fetched_is_told(tmp_path, capsys):
    write_session(tmp_path / "out", "01", None, 1, GRE)
    (tmp_path / "out" / "participants.tsv").symlink_to("../.git/annex/objects/x")
    assert main([str(tmp_path / "absent"), str(tmp_path / "out"), "group"]) == 1
    assert "participants.tsv: No such file" in capsys.readouterr().out
    assert len(rows(tmp_path / "out", "summary")) == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_hides_nobody(tmp_path, encoding):
    path = tmp_path / "participants.tsv"
    path.write_text("participant_id\tage\nsub-01\t70\n", encoding=encoding)
    assert read_people(path) == {"01": Demographics(age="70")}


def test_arm_is_the_first_column_of_those_that_tell_it(tmp_path):
    path = tmp_path / "participants.tsv"
    path.write_text("participant_id\tgroup\ttreatment\n01\tpatient\tlecanemab\nsub-02\tx\tn/a\n")
    assert read_people(path) == {"01": Demographics(arm="lecanemab"), "02": Demographics()}


def examples():
    """What the examples of the document make in the current folder."""
    made = {}
    for code in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL):
        exec(code, made)
    return made["baseline"], made["new"]


def test_the_examples_of_the_document_make_the_tables_of_a_paper(trial, monkeypatch):
    monkeypatch.chdir(trial)
    baseline, new = examples()
    assert list(baseline.index) == ["drug", "placebo"]
    assert list(baseline["participants"]) == [1, 1]
    assert list(baseline["with microbleeds"]) == [1, 1]
    assert baseline.loc["drug", "age"] == 71
    assert new.loc["lobar", ("drug", 2)] == 1
    assert new.loc["infratentorial", ("drug", 3)] == 1
    assert isinstance(new, pd.DataFrame)


def test_the_examples_hold_without_participants_tsv(tmp_path, monkeypatch):
    out = write_trial(tmp_path / "out")
    (out / "participants.tsv").unlink()
    main([str(tmp_path / "absent"), str(out), "group"])
    monkeypatch.chdir(out)
    baseline, new = examples()
    assert list(baseline["participants"]) == [2]
    assert list(baseline["women"]) == [0]
    assert new.loc["lobar"].tolist() == [1, 0]
    assert new.loc["infratentorial"].tolist() == [0, 1]
