"""The verb on tiny derivative folders, from the command line to the tables."""

import json
from pathlib import Path

import numpy as np
import pytest

from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.cli import main
from cmb_bidsapp.evaluation.paper import PAPER
from cmb_bidsapp.evaluation.results import ANATOMY
from tests.evaluation.folders import (
    AFFINE,
    blobs,
    evaluate,
    grown,
    halves,
    picked,
    table,
    write_prediction,
    write_reference,
)
from tests.skeletons import result_of, tree

TABLES = ("paper", "summary", "sessions", "burden", "regions", "froc", "radii", "lesions")
FIGURES = ("froc", "bland_altman", "radii")


@pytest.fixture
def folders(tmp_path):
    """Two sessions on both sides, one on each side alone.

    sub-01: one lesion found, one missed; of three others CFPR rejects one on a vein, one lies on
    the ignore mask, one on nothing known. sub-02: no microbleed, one false positive.
    """
    predicted, reference = tmp_path / "predicted", tmp_path / "reference"
    own = blobs((3, 3, 1), (12, 12, 2))
    found = blobs((4, 3, 1), (3, 12, 0), (12, 3, 0), (8, 8, 3))
    write_reference(
        reference, "01", instances=own, regions=("lobar", "deep"), protocol="thick",
        ignore=found == 3, mimics=grown(found == 2), brain=halves((1, 1, 0, 0)),
        proxy=halves((1, 2, 3, 0)), t1w_brain=np.eye(6)[:, :, None] * [1, 1],
    )  # fmt: skip
    write_prediction(
        predicted, "01", instances=found, rejected=[2], brain=halves((1, 0, 0, 0)),
        proxy=halves((1, 2, 3, 3)), network=halves((1, 1, 3, 0)),
        t1w_brain=np.eye(6)[:, :, None] * [1, 0],
    )  # fmt: skip
    write_reference(reference, "02", "A", instances=blobs())
    write_prediction(predicted, "02", "A", instances=blobs((5, 5, 1)))
    write_reference(reference, "03", instances=blobs((5, 5, 1)))
    write_prediction(predicted, "04", instances=blobs((5, 5, 1)))
    return predicted, reference


def test_lesions_are_counted_before_and_after_cfpr(folders):
    _, out = evaluate(*folders)
    counts = ("reference", "predicted", "tp", "fp", "fn", "ignored")
    for stage, predicted, false in (("before-cfpr", "3", "2"), ("after-cfpr", "2", "1")):
        (row,) = table(out, "sessions", participant_id="sub-01", stage=stage)
        assert picked(row, *counts) == ["2", predicted, "1", false, "1", "1"]
        assert picked(row, "region_known", "region_right") == ["1", "1"]
    assert picked(row, "precision", "recall", "f1") == ["0.5", "0.5", "0.5"]
    assert picked(row, "fp_vein", "fp_calcification", "fp_nothing_known") == ["0", "0", "1"]
    # 6 voxels shared; 18 in the reference, 27 in the three that CFPR kept.
    assert float(row["dice"]) == pytest.approx(12 / 45, rel=1e-5)
    assert float(row["matched_dice"]) == pytest.approx(12 / 18, rel=1e-5)


def test_a_session_without_microbleeds_has_false_positives_but_no_f1(folders):
    _, out = evaluate(*folders)
    (row,) = table(out, "sessions", participant_id="sub-02", stage="after-cfpr")
    assert picked(row, "session_id", "fp", "f1", "dice") == ["ses-A", "1", "n/a", "n/a"]
    assert picked(row, "fp_vein", "brain_t2starw_dice") == ["n/a", "n/a"]


def test_participants_are_chosen_by_label(folders):
    _, out = evaluate(*folders, "--participant-label", "sub-02")
    assert {row["participant_id"] for row in table(out, "sessions")} == {"sub-02"}
    _, out = evaluate(*folders, "--exclude-participant-label", "02")
    assert "sub-02" not in {row["participant_id"] for row in table(out, "sessions")}


def test_groups_are_all_sessions_and_each_protocol(folders):
    _, out = evaluate(*folders)
    rows = {row["group"]: row for row in table(out, "summary", stage="after-cfpr")}
    assert list(rows) == ["all", "1x1x5mm", "thick"]
    everybody = rows["all"]
    assert picked(everybody, "sessions", "tp", "fp", "fn", "ignored") == ["2", "1", "2", "1", "1"]
    assert picked(everybody, "f1", "session_f1_mean", "session_f1_n") == ["0.4", "0.5", "1"]
    assert picked(everybody, "fp_per_scan", "fp_per_scan_free") == ["1", "1"]
    assert picked(everybody, "sessions_free", "sessions_free_right") == ["1", "0"]
    assert float(everybody["dice_mean"]) == pytest.approx(12 / 45, rel=1e-5)
    assert float(everybody["dice_pooled"]) == pytest.approx(12 / 54, rel=1e-5)
    # Two participants are too few for an interval.
    assert everybody["f1_low"] == "n/a"


def test_anatomy_is_compared_by_name(folders):
    _, out = evaluate(*folders)
    (row,) = table(out, "summary", group="thick", stage="before-cfpr")
    means = {name: row[f"{name}_dice_mean"] for name in ANATOMY}
    known = {name: round(float(mean), 3) for name, mean in means.items() if mean != "n/a"}
    assert known == {
        "brain_t2starw": 0.667,
        "brain_t1w": 0.667,
        "proxy_lobar": 1.0,
        "proxy_deep": 1.0,
        "proxy_infratentorial": 0.667,
        "nnunet_lobar": 0.667,
        "nnunet_deep": 0.0,
        "nnunet_infratentorial": 1.0,
    }
    (row,) = table(out, "summary", group="1x1x5mm", stage="before-cfpr")
    assert picked(row, "brain_t1w_dice_mean", "brain_t1w_dice_n") == ["n/a", "0"]


def test_regions_of_matched_lesions_are_a_confusion_table(folders):
    predicted, reference = folders
    deep = blobs((3, 3, 1))
    write_reference(reference, "05", instances=deep, proxy=halves((2, 2)))
    write_prediction(predicted, "05", instances=deep)
    _, out = evaluate(predicted, reference)
    rows = table(out, "regions", group="all", stage="after-cfpr")
    found = {row["reference_region"]: (row["lobar"], row["deep"]) for row in rows}
    assert found == {
        "lobar": ("1", "0"),
        "deep": ("1", "0"),
        "infratentorial": ("0", "0"),
        "unassigned": ("0", "0"),
    }


def test_the_froc_raises_the_threshold_on_the_candidates(folders):
    _, out = evaluate(*folders, "--thresholds", "0.935", "0.5", "0.905")
    rows = table(out, "froc", group="all")
    found = {r["threshold"]: picked(r, "tp", "fp", "fn", "ignored", "fp_per_scan") for r in rows}
    # Candidate N of a session reaches 0.9 + N / 100; those of sub-01 are 1 to 4, of sub-02 is 1.
    assert list(found.items()) == [
        ("0.5", ["1", "3", "1", "1", "1.5"]),
        ("0.905", ["1", "3", "1", "1", "1.5"]),
        ("0.935", ["0", "1", "2", "0", "0.5"]),
    ]


def test_every_lesion_is_listed_with_its_fate(folders):
    _, out = evaluate(*folders)
    rows = table(out, "lesions", participant_id="sub-01", stage="before-cfpr")
    fates = {(row["side"], row["lesion_id"]): row for row in rows}
    assert {key: row["fate"] for key, row in fates.items()} == {
        ("reference", "1"): "found",
        ("reference", "2"): "missed",
        ("predicted", "1"): "true-positive",
        ("predicted", "2"): "false-positive",
        ("predicted", "3"): "ignored",
        ("predicted", "4"): "false-positive",
    }
    rejected = fates["predicted", "2"]
    assert picked(rejected, "status", "reason", "cfpr_ratio", "lies_on") == [
        "rejected", "periphery-not-brain", "0.2", "vein",
    ]  # fmt: skip
    assert picked(fates["reference", "1"], "partner", "distance", "region") == ["1", "1", "lobar"]
    after = table(out, "lesions", participant_id="sub-01", stage="after-cfpr", side="predicted")
    assert [row["lesion_id"] for row in after] == ["1", "3", "4"]


def test_every_table_has_a_dictionary_of_its_columns(folders):
    _, out = evaluate(*folders)
    files = {f"evaluation_{name}.{ending}" for name in TABLES for ending in ("tsv", "json")}
    files |= {f"evaluation_{name}.png" for name in FIGURES}
    assert {path.name for path in out.iterdir()} == files | {"evaluation.html", "evaluation.json"}
    for name in TABLES:
        path = out / f"evaluation_{name}.tsv"
        columns = path.read_text(encoding="utf-8").splitlines()[0].split("\t")
        described = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        assert columns == list(described)
        assert all(entry["Description"] for entry in described.values())


def test_sessions_on_one_side_only_are_listed(folders, capsys):
    code, out = evaluate(*folders)
    printed = capsys.readouterr().out
    assert code == 1
    assert result_of(printed) == (2, 1, 1, 1)
    assert "predicted: sub-03: no prediction; not in the figures" in printed
    assert "predicted: sub-04: no reference; not in the figures" in printed
    statuses = {row["participant_id"]: row["status"] for row in table(out, "sessions")}
    assert statuses == {
        "sub-01": "evaluated",
        "sub-02": "evaluated",
        "sub-03": "no-prediction",
        "sub-04": "no-reference",
    }


def test_the_paper_stands_beside_and_is_said_to_be_of_other_data(folders, capsys):
    evaluate(*folders)
    printed = capsys.readouterr().out
    assert "OTHER data" in printed
    lines = [line.split() for line in printed.splitlines()]
    for row in PAPER:
        words = ["paper:", *row.name.split(), *([row.loss] if row.loss else [])]
        cells = {True: ["yes"], False: ["no"], None: []}
        words += [*cells[row.proxy], *cells[row.cfpr], *(f"{value:.4f}" for value in row.figures)]
        assert words in lines


def test_processes_of_their_own_give_the_same_tables(folders):
    _, out = evaluate(*folders)
    alone = {path.name: path.read_bytes() for path in out.glob("*.tsv")}
    evaluate(*folders, processes="2")
    assert {path.name: path.read_bytes() for path in out.glob("*.tsv")} == alone


def test_inputs_are_left_alone(folders):
    before = [tree(folder) for folder in folders]
    evaluate(*folders)
    assert [tree(folder) for folder in folders] == before


def only_session(tmp_path, **reference):
    own = blobs((3, 3, 1))
    files = write_reference(tmp_path / "reference", "01", instances=own, **reference)
    return write_prediction(tmp_path / "predicted", "01", instances=own), files


def test_predictions_for_all_of_the_reference_are_a_success(tmp_path, capsys):
    only_session(tmp_path)
    code, _ = evaluate(tmp_path / "predicted", tmp_path / "reference")
    assert (code, result_of(capsys.readouterr().out)) == (0, (1, 0, 0, 0))


def lose(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def move(path: Path) -> None:
    affine = AFFINE.copy()
    affine[0, 3] += 1
    write_image(path, blobs((3, 3, 1)), affine)


def shrink(path: Path) -> None:
    write_image(path, blobs((3, 3, 1))[:-1], AFFINE)


@pytest.mark.parametrize(
    ("damage", "side", "name", "told"),
    [
        (lose, 0, "lesions", "does not exist"),
        (lose, 0, "instances", "does not exist"),
        (cut, 0, "instances", "cannot be read"),
        (cut, 0, "probability", "cannot be read"),
        (cut, 1, "mask", "cannot be read"),
        (move, 0, "instances", "grid"),
        (shrink, 0, "instances", "grid"),
    ],
)
def test_a_session_that_fails_is_named_with_its_file(tmp_path, capsys, damage, side, name, told):
    path = getattr(only_session(tmp_path)[side], name)
    damage(path)
    code, out = evaluate(tmp_path / "predicted", tmp_path / "reference")
    captured = capsys.readouterr()
    assert (code, result_of(captured.out)) == (65, (0, 1, 0, 65))
    assert path.name in captured.err
    assert told in captured.err
    (row,) = table(out, "sessions")
    assert row["status"] == "failed"
    assert path.name in row["reason"]


def test_a_session_that_fails_does_not_stop_the_others(folders):
    predicted, reference = folders
    lose(write_prediction(predicted, "03", instances=blobs((5, 5, 1))).lesions)
    code, out = evaluate(predicted, reference, processes="2")
    assert code == 1
    assert table(out, "sessions", participant_id="sub-03")[0]["status"] == "failed"
    assert table(out, "summary", group="all", stage="after-cfpr")[0]["sessions"] == "2"


@pytest.mark.parametrize("side", [0, 1])
def test_masks_that_contradict_the_instances_are_refused(tmp_path, capsys, side):
    files = only_session(tmp_path, regions=("lobar",))[side]
    write_image(files.mask, (blobs((3, 3, 1), (9, 9, 1)) > 0).astype(np.uint8), AFFINE)
    code, _ = evaluate(tmp_path / "predicted", tmp_path / "reference")
    assert code == 65
    assert files.instances.name in capsys.readouterr().err


def test_without_a_probability_map_there_is_no_sweep(tmp_path, capsys):
    only_session(tmp_path)[0].probability.unlink()
    code, out = evaluate(tmp_path / "predicted", tmp_path / "reference")
    assert code == 0
    assert table(out, "froc") == []
    assert not (out / "evaluation_froc.png").exists()
    assert "FROC" not in capsys.readouterr().out


def test_the_pieces_of_a_raters_mask_are_its_lesions(tmp_path):
    touching = blobs((3, 3, 1), (6, 6, 1))  # corner to corner: one piece
    write_reference(tmp_path / "reference", "01", instances=touching)
    write_prediction(tmp_path / "predicted", "01", instances=touching)
    _, out = evaluate(tmp_path / "predicted", tmp_path / "reference")
    (row,) = table(out, "sessions", stage="after-cfpr")
    assert picked(row, "reference", "tp", "fp") == ["1", "1", "1"]


def test_nothing_in_common_is_no_input(tmp_path, capsys):
    write_prediction(tmp_path / "predicted", "01", instances=blobs())
    write_reference(tmp_path / "reference", "02", instances=blobs())
    code, out = evaluate(tmp_path / "predicted", tmp_path / "reference")
    captured = capsys.readouterr()
    assert (code, result_of(captured.out)) == (66, (0, 0, 0, 66))
    assert "no session in common" in captured.err
    assert not out.exists()


def test_a_mask_of_another_name_is_named(tmp_path, capsys):
    own = only_session(tmp_path)[1].mask
    odd = own.with_name("sub-01_run-2_space-T2starw_label-CMB_mask.nii.gz")
    odd.write_bytes(own.read_bytes())
    evaluate(tmp_path / "predicted", tmp_path / "reference")
    assert f"left out: {odd}" in capsys.readouterr().out


def test_all_problems_of_the_command_line_are_told_at_once(tmp_path, capsys):
    (tmp_path / "predicted").mkdir()
    command = [str(tmp_path / name) for name in ("predicted", "absent", "predicted/out")]
    options = ["--thresholds", "0.5", "1.5", "--nprocs", "0", "--random-seed", "-1"]
    assert main(["evaluate", *command, *options]) == 2
    problems = capsys.readouterr().err.splitlines()
    assert len(problems) == 5
    for problem, told in zip(
        problems, ("absent", "predicted/out", "1.5", "--nprocs 0", "-1"), strict=True
    ):
        assert told in problem
