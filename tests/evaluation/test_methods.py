"""Methods of any kind side by side, presets, and what the group level makes of a reference."""

import json

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.bids.outputs import sidecar_of, write_json
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.cli import main
from tests.evaluation.folders import (
    AFFINE,
    SHAPE,
    blobs,
    evaluate,
    picked,
    table,
    write_prediction,
    write_reference,
)
from tests.skeletons import result_of

OWN = blobs((3, 3, 1), (10, 10, 2))


@pytest.fixture
def folders(tmp_path):
    """Two sessions, the second without microbleeds, and what three methods say of them.

    ``app`` finds both lesions and a third, which CFPR rejects; ``masks`` finds one and nothing
    else; ``boxes`` finds both at different scores, and one in the empty session.
    """
    reference = tmp_path / "reference"
    write_reference(reference, "01", instances=OWN)
    write_reference(reference, "02", instances=blobs())
    found = blobs((3, 3, 1), (10, 10, 2), (13, 3, 0))
    labels = np.ones(SHAPE, np.uint8)
    labels[11:, :6, 0] = 0
    write_prediction(tmp_path / "app", "01", instances=found, rejected=[3], network=labels)
    write_prediction(tmp_path / "app", "02", instances=blobs(), network=labels)
    for name in ("masks", "boxes"):
        (tmp_path / name).mkdir()
    for label, image in (("01", blobs((3, 3, 1))), ("02", blobs())):
        mask = (image > 0).astype(np.uint8)
        nib.save(nib.Nifti1Image(mask, AFFINE), tmp_path / "masks" / f"sub-{label}_pred.nii.gz")
    # In the image of SimpleITK: slices first, and one voxel wider than the lesion.
    for label, boxes, scores in (
        ("01", [[0, 1, 2, 5, 1, 5], [1, 8, 3, 12, 8, 12]], [0.95, 0.6]),
        ("02", [[0, 1, 2, 5, 1, 5]], [0.8]),
    ):
        content = {"pred_boxes": boxes, "pred_scores": scores}
        path = tmp_path / "boxes" / f"sub-{label}_boxes.json"
        path.write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def side_by_side(folders, *options):
    methods = [f"{name}={folders / name}" for name in ("app", "masks", "boxes")]
    out = folders / "out"
    code = main(
        ["evaluate", *methods, str(folders / "reference"), str(out), "--nprocs", "1", *options]
    )
    return code, out


def test_every_method_has_its_rows_in_every_table(folders, capsys):
    code, out = side_by_side(folders)
    assert (code, result_of(capsys.readouterr().out)) == (0, (6, 0, 0, 0))
    rows = {
        r["method"]: r for r in table(out, "summary", group="all") if "before" not in r["stage"]
    }
    assert {name: picked(row, "stage", "tp", "fp", "fn") for name, row in rows.items()} == {
        "app": ["after-cfpr", "2", "0", "0"],
        "masks": ["as-given", "1", "0", "1"],
        "boxes": ["as-given", "2", "1", "0"],
    }
    assert picked(rows["masks"], "dice_mean", "f1", "fp_per_scan_free") == ["0.666667"] * 2 + ["0"]
    assert picked(rows["boxes"], "dice_mean", "f1", "fp_per_scan_free") == ["1", "0.8", "1"]
    for name in ("sessions", "lesions", "burden", "regions"):
        assert {row["method"] for row in table(out, name)} == {"app", "masks", "boxes"}
    assert {row["method"] for row in table(out, "froc")} == {"app", "boxes"}
    assert {row["method"] for row in table(out, "radii")} == {"app"}


def test_methods_stand_below_the_paper_s_in_its_own_tables(folders):
    _, out = side_by_side(folders)
    first = [picked(row, "source", "method") for row in table(out, "paper", table="1")]
    assert first == [
        ["paper", "nnDetection"],
        ["paper", "nnU-Net"],
        ["paper", "Kwon, Seo and Park"],
        ["here", "app"],
        ["here", "masks"],
        ["here", "boxes"],
    ]
    (published,) = table(out, "paper", table="1", method="Kwon, Seo and Park")
    columns = ("internal_dice", "internal_f1", "external_dice", "external_f1")
    assert picked(published, *columns) == ["0.5138", "0.5199", "0.4688", "0.46"]
    second = [row for row in table(out, "paper", table="2") if row["source"] == "here"]
    ablation = [picked(row, "method", "cfpr", "f1", "internal_dice") for row in second]
    assert ablation == [["app", "false", "0.8", "n/a"], ["app", "true", "1", "n/a"]]


def test_scores_set_a_threshold_and_are_swept(folders):
    _, out = side_by_side(folders, "--min-score", "0.7", "--thresholds", "0.5", "0.7", "0.9")
    (row,) = table(out, "summary", method="boxes", group="all")
    assert picked(row, "tp", "fp", "fn") == ["1", "1", "1"]
    rows = table(out, "froc", method="boxes", group="all")
    assert [picked(row, "threshold", "tp", "fp", "fp_per_scan_free") for row in rows] == [
        ["0.5", "2", "1", "1"],
        ["0.7", "1", "1", "1"],
        ["0.9", "1", "0", "0"],
    ]


def test_radii_of_cfpr_start_from_all_candidates(folders):
    _, out = side_by_side(folders)
    rows = {float(row["radius"]): row for row in table(out, "radii", group="all")}
    assert list(rows) == [n / 2 for n in range(11)]
    before, after = (
        table(out, "summary", method="app", group="all", stage=stage)[0]
        for stage in ("before-cfpr", "after-cfpr")
    )
    columns = ("tp", "fp", "f1", "dice_mean", "session_f1_mean")
    assert picked(rows[0.0], *columns) == picked(before, *columns)
    assert picked(rows[2.0], *columns) == picked(after, *columns)
    # In the wide periphery of 5 mm there is brain enough.
    assert rows[5.0]["fp"] == "1"


def test_radii_of_cfpr_go_by_the_ratio_of_the_run(folders):
    (mask,) = (folders / "app").glob("sub-01/**/*_label-CMB_mask.nii.gz")
    write_json(sidecar_of(mask), {"Decisions": {"cfpr_ratio": 0.0}})
    _, out = side_by_side(folders)
    assert {row["fp"] for row in table(out, "radii", group="all")} == {"1"}


def test_counts_and_burden_are_compared(folders):
    _, out = side_by_side(folders)
    (row,) = table(out, "summary", method="boxes", group="all")
    columns = ("count_error_mean", "count_bias", "count_icc", "burden_agreement")
    # Counts 2 and 0 against 2 and 1: sums 4 and 1, differences 0 and 1.
    icc = (4.5 / 2 - 0.5 / 2) / (4.5 / 2 + 0.5 / 2 + 2 / 2 * (0.5 / 2 - 0.5 / 2))
    assert [float(value) for value in picked(row, *columns)] == pytest.approx([0.5, 0.5, icc, 0.5])
    limits = [float(row[f"count_limit_{side}"]) for side in ("low", "high")]
    assert limits == pytest.approx([0.5 - 1.96 * 0.5**0.5, 0.5 + 1.96 * 0.5**0.5], rel=1e-4)
    rows = table(out, "burden", method="boxes", group="all")
    found = [picked(row, *(f"predicted_{n}" for n in range(5))) for row in rows]
    one, two = ["0", "1", "0", "0", "0"], ["0", "0", "1", "0", "0"]
    assert found == [one, ["0"] * 5, two, ["0"] * 5, ["0"] * 5]


def test_volumes_are_compared_in_cubic_millimeters(folders):
    _, out = side_by_side(folders)
    (row,) = table(out, "sessions", method="masks", participant_id="sub-01")
    assert row["volume_error"] == "-45"
    (row,) = table(out, "summary", method="masks", group="all")
    assert row["volume_error_mean"] == "22.5"


def test_points_have_no_dice_but_all_the_rest(folders):
    (folders / "points").mkdir()
    path = folders / "points" / "sub-01_points.tsv"
    path.write_text("x\ty\tz\n3\t4\t5\n12\t3\t5\n", encoding="utf-8")
    code, out = evaluate(folders / "points", folders / "reference")
    assert code == 1, "sub-02 has no prediction"
    (row,) = table(out, "summary", group="all")
    assert picked(row, "tp", "fp", "fn", "f1") == ["1", "1", "1", "0.5"]
    assert picked(row, "dice_mean", "dice_n", "dice_pooled", "matched_dice_mean") == [
        "n/a", "0", "n/a", "n/a",
    ]  # fmt: skip
    assert picked(row, "volume_error_mean", "session_f1_mean") == ["n/a", "0.5"]


def test_a_method_that_lacks_a_session_is_named(folders, capsys):
    (folders / "masks" / "sub-02_pred.nii.gz").unlink()
    code, out = side_by_side(folders)
    printed = capsys.readouterr().out
    assert (code, result_of(printed)) == (1, (5, 1, 0, 1))
    assert "masks: sub-02: no prediction; not in the figures" in printed
    (row,) = table(out, "sessions", status="no-prediction")
    assert picked(row, "method", "participant_id") == ["masks", "sub-02"]


def test_a_method_that_fails_in_a_session_leaves_the_others_alone(folders, capsys):
    (folders / "boxes" / "sub-01_boxes.json").write_text("{", encoding="utf-8")
    code, out = side_by_side(folders)
    assert code == 1
    assert "sub-01_boxes.json is not JSON" in capsys.readouterr().err
    sessions = {row["method"]: row["sessions"] for row in table(out, "summary", group="all")}
    assert sessions == {"app": "2", "masks": "2", "boxes": "1"}


def test_options_may_stand_between_the_folders(folders):
    out = folders / "out"
    methods = [f"{name}={folders / name}" for name in ("app", "masks")]
    command = [*methods, "--nprocs", "1", str(folders / "reference"), str(out)]
    assert main(["evaluate", *command]) == 0
    assert {row["method"] for row in table(out, "summary")} == {"app", "masks"}


def test_a_pattern_names_the_files_of_a_method(folders):
    (folders / "boxes" / "sub-01_other.json").write_text("[]", encoding="utf-8")
    out = folders / "out"
    command = [f"boxes={folders}/boxes/*_boxes.json", str(folders / "reference"), str(out)]
    assert main(["evaluate", *command, "--nprocs", "1"]) == 0
    assert table(out, "summary", group="all")[0]["tp"] == "2"


def soft_reference(folder):
    """Two lesions of which one rater of two marked the second, and a mask of one far off."""
    files = write_reference(folder / "reference", "01", instances=OWN)
    shares = np.choose(OWN, [0, 1, 0.5]).astype(np.float32)
    nib.save(nib.Nifti1Image(shares, AFFINE), files.mask)
    write_prediction(folder / "predicted", "01", instances=blobs((3, 3, 1), (3, 8, 1)))
    return folder / "predicted", folder / "reference"


def test_the_valdo_preset_weighs_raters_and_the_others_do_not(tmp_path):
    scores = {}
    for preset in ("paper", "valdo", "overlap"):
        _, out = evaluate(*soft_reference(tmp_path), "--preset", preset)
        (row,) = table(out, "sessions", stage="after-cfpr")
        scores[preset] = [float(row[name]) for name in ("reference", "f1", "dice")]
        assert json.loads((out / "evaluation.json").read_text())["Preset"] == preset
    # Found 1, missed 1 (of weight 0.5), false 1; 9 of 18 voxels on either side are shared.
    assert scores["paper"] == pytest.approx([2, 0.5, 0.5])
    assert scores["overlap"] == scores["paper"]
    assert scores["valdo"] == pytest.approx([2, 2 / (0.5 + 1 + 2), 1], rel=1e-5)


def test_the_valdo_preset_knows_no_ignore_mask(tmp_path):
    extra = blobs((3, 3, 1), (12, 12, 1))
    write_reference(tmp_path / "reference", "01", instances=blobs((3, 3, 1)), ignore=extra == 2)
    write_prediction(tmp_path / "predicted", "01", instances=extra)
    false = {}
    for preset in ("paper", "valdo"):
        _, out = evaluate(tmp_path / "predicted", tmp_path / "reference", "--preset", preset)
        (row,) = table(out, "sessions", stage="after-cfpr")
        false[preset] = picked(row, "fp", "ignored")
    assert false == {"paper": ["0", "1"], "valdo": ["1", "0"]}


def test_a_rater_s_mask_may_have_any_name(tmp_path):
    folder = tmp_path / "reference"
    folder.mkdir()
    nib.save(nib.Nifti1Image(OWN.astype(np.uint8), AFFINE), folder / "sub-01_space-T2S_CMB.nii.gz")
    write_prediction(tmp_path / "predicted", "01", instances=OWN)
    code, out = evaluate(tmp_path / "predicted", folder)
    assert code == 0
    assert table(out, "summary", group="all", stage="after-cfpr")[0]["tp"] == "2"


def test_the_page_is_one_file_that_shows_every_table_and_figure(folders):
    _, out = side_by_side(folders)
    page = (out / "evaluation.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3
    assert "://" not in page
    for text in (
        "Table 1 of the paper",
        "paper: Kwon, Seo and Park",
        "0.5138",
        "boxes: all, as given",
    ):
        assert text in page
    for path in (*out.glob("*.tsv"), *out.glob("*.png"), out / "evaluation.json"):
        assert f'href="{path.name}"' in page


def test_the_group_level_writes_the_same_evaluation(folders, capsys):
    app, reference = folders / "app", folders / "reference"
    _, alone = evaluate(app, reference)
    command = [str(folders / "raw"), str(app), "group", "--reference-derivatives", str(reference)]
    assert main(command) == 0
    assert result_of(capsys.readouterr().out.splitlines()[-1]) == (2, 0, 0, 0)
    made = app / "group_evaluation"
    assert {path.name for path in made.iterdir()} == {path.name for path in alone.iterdir()}
    for path in alone.glob("*.tsv"):
        assert (made / path.name).read_bytes() == path.read_bytes()
    assert read_table(app / "group_metrics.tsv") == table(alone, "summary")
    assert 'href="group_evaluation/evaluation.html"' in (app / "group.html").read_text()


@pytest.mark.parametrize(
    ("level", "reference", "told"),
    [
        ("group", "absent", "--reference-derivatives absent: not a folder"),
        ("participant", ".", "requires the group level"),
    ],
)
def test_a_reference_that_cannot_be_used_is_told(tmp_path, capsys, level, reference, told):
    bids, out = tmp_path / "bids", tmp_path / "out"
    bids.mkdir()
    assert main([str(bids), str(out), level, "--reference-derivatives", reference]) == 2
    assert told in capsys.readouterr().err
