"""An evaluation as a verb and as a part of the group level: what it prints and writes."""

import pytest

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.evaluation.request import EvaluationRequest
from cmb_bidsapp.levels.evaluation import evaluate_output, run_evaluation
from tests.evaluation.folders import blobs, write_prediction, write_reference
from tests.skeletons import result_of


@pytest.fixture
def folders(tmp_path):
    """Two sessions on both sides, the second of which has one lesion too many."""
    one, two = blobs((3, 3, 1)), blobs((3, 3, 1), (10, 10, 2))
    for label, found in (("01", one), ("02", two)):
        write_reference(tmp_path / "truth", label, instances=one)
        write_prediction(tmp_path / "found", label, instances=found)
    return tmp_path / "found", tmp_path / "truth"


@pytest.fixture
def request_of(folders, tmp_path):
    predicted, reference = folders
    return EvaluationRequest(
        predicted=(str(predicted),), reference=reference, output_dir=tmp_path / "out",
        preset="paper", connectivity=26, min_score=0.5, thresholds=(0.9, 0.5, 0.9), nprocs=1,
        random_seed=0, participant_label=(), exclude_participant_label=(),
    )  # fmt: skip


def counts(table):
    (row,) = (
        row for row in read_table(table) if (row["group"], row["stage"]) == ("all", "after-cfpr")
    )
    return [row[name] for name in ("tp", "fp", "fn")]


def test_the_verb_writes_tables_figures_and_a_page_and_names_them(request_of, capsys):
    assert run_evaluation(request_of) == 0
    said = capsys.readouterr().out
    out = request_of.output_dir
    assert counts(out / "evaluation_summary.tsv") == ["2", "1", "0"]
    thresholds = [row["threshold"] for row in read_table(out / "evaluation_froc.tsv")]
    assert sorted(set(thresholds)) == ["0.5", "0.9"]
    written = {line.removeprefix("written: ") for line in said.splitlines() if "written: " in line}
    assert str(out / "evaluation.html") in written
    assert all((out / name).exists() for name in written)
    assert result_of(said) == (2, 0, 0, 0)


def test_of_the_group_level_the_summary_is_a_group_table(folders, capsys):
    out, reference = folders
    assert evaluate_output(out, reference, nprocs=1, seed=0).ok == 2
    assert counts(out / "group_metrics.tsv") == ["2", "1", "0"]
    summary = out / "group_evaluation" / "evaluation_summary"
    for ending in (".tsv", ".json"):
        copied = (out / f"group_metrics{ending}").read_text()
        assert copied == summary.with_suffix(ending).read_text()
