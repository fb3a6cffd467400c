"""MARS maps and region calls, from the command line to the tables."""

import numpy as np
import pytest

from cmb_bidsapp.lesions.table import COLUMNS
from tests.evaluation.folders import (
    blobs,
    evaluate,
    halves,
    picked,
    table,
    write_prediction,
    write_reference,
)

FOUR = blobs((3, 3, 1), (12, 3, 1), (3, 12, 1), (12, 12, 1))
ONE = blobs((8, 8, 1))
CALLS = ("region_known", "region_right", "wrong_region_flagged", "mars_known", "mars_right")


def cells(region, side, mars_region, border):
    return {"region": region, "side": side, "mars_region": mars_region, "border": border}


def agreements(row):
    """Each share, of all lesions."""
    return [float(row[f"{name}_agreement"]) for name in ("region", "mars")]


@pytest.fixture
def folders(tmp_path):
    """Two participants whose lesions are all found.

    sub-01: three of four classes are right, the wrong one is flagged as near a border and so is a
    right one; the lobe of the first is not known, the second lies on the other side, only the
    fourth has region and side right. sub-02: all wrong, no flag.
    """
    predicted, reference = tmp_path / "predicted", tmp_path / "reference"
    write_reference(
        reference, "01", instances=FOUR, regions=("lobar", "deep", "deep", "infratentorial"),
        mars_regions=[
            ("left", None), ("left", "thalamus"),
            ("right", "basal-ganglia"), ("left", "cerebellum"),
        ],
        mars=halves((104, 204, 114, 0)),
    )  # fmt: skip
    write_prediction(
        predicted, "01", instances=FOUR, mars=halves((104, 104, 109, 109)),
        cells={
            1: cells("lobar", "left", "frontal", False),
            2: cells("deep", "right", "thalamus", False),
            3: cells("lobar", "right", "insula", True),
            4: cells("infratentorial", "left", "cerebellum", True),
        },
    )  # fmt: skip
    write_reference(
        reference, "02", instances=ONE, regions=("deep",), mars_regions=[("left", "thalamus")],
        mars=halves((104, 0)),
    )  # fmt: skip
    write_prediction(
        predicted, "02", instances=ONE, mars=halves((203, 103)),
        cells={1: cells("lobar", "left", "insula", False)},
    )  # fmt: skip
    return predicted, reference


def test_mars_regions_are_compared_in_each_session_and_on_average(folders, capsys):
    _, out = evaluate(*folders)
    columns = ("mars_thalamus_dice", "mars_frontal_dice", "mars_basal_ganglia_dice")
    rows = {row["participant_id"]: row for row in table(out, "sessions", stage="after-cfpr")}
    assert picked(rows["sub-01"], *columns) == ["1", "n/a", "n/a"]
    assert picked(rows["sub-02"], *columns) == ["0", "n/a", "n/a"]
    # In sub-01 one of three parts changes sides; in sub-02 only one half is labelled in both.
    assert float(rows["sub-01"]["side_errors"]) == pytest.approx(1 / 3, rel=1e-5)
    assert rows["sub-02"]["side_errors"] == "1"
    (row,) = table(out, "summary", group="all", stage="after-cfpr")
    figures = ("mean", "mean_low", "mean_high", "lowest", "n")
    thalamus = picked(row, *(f"mars_thalamus_dice_{figure}" for figure in figures))
    assert thalamus == ["0.5", "n/a", "n/a", "0", "2"]
    assert picked(row, "mars_frontal_dice_mean", "mars_frontal_dice_n") == ["n/a", "0"]
    assert float(row["side_errors_mean"]) == pytest.approx(2 / 3, rel=1e-5)
    assert row["side_errors_n"] == "2"
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["mars_thalamus", "0.500", "(0.000)"] in [words[:3] for words in printed]
    assert ["side_errors", "0.6667"] in [words[:2] for words in printed]
    assert "mars_frontal" not in [word for words in printed for word in words]


@pytest.mark.parametrize("side", [0, 1])
def test_a_session_without_a_mars_map_is_left_out_of_its_means(folders, side):
    (path,) = folders[side].glob("sub-02/anat/*_desc-mars_dseg.nii.gz")
    path.unlink()
    code, out = evaluate(*folders)
    assert code == 0
    (row,) = table(out, "sessions", participant_id="sub-02", stage="after-cfpr")
    assert picked(row, "mars_thalamus_dice", "side_errors") == ["n/a", "n/a"]
    (row,) = table(out, "summary", group="all", stage="after-cfpr")
    assert picked(row, "mars_thalamus_dice_mean", "mars_thalamus_dice_n") == ["1", "1"]
    assert picked(row, "side_errors_mean", "side_errors_n") == ["0.333333", "1"]


def test_region_calls_are_counted_and_pooled(folders, capsys):
    _, out = evaluate(*folders)
    rows = {row["participant_id"]: row for row in table(out, "sessions", stage="after-cfpr")}
    assert picked(rows["sub-01"], *CALLS) == ["4", "3", "1", "3", "1"]
    assert picked(rows["sub-02"], *CALLS) == ["1", "0", "0", "1", "0"]
    (row,) = table(out, "summary", group="all", stage="after-cfpr")
    assert picked(row, *CALLS) == ["5", "3", "1", "4", "1"]
    assert agreements(row) == pytest.approx([3 / 5, 1 / 4], rel=1e-5)
    (line,) = [
        line
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("  all, after CFPR") and "0.6000" in line
    ]
    told = "3 of 5  0.6000  1  1 of 4  0.2500"
    assert line.split()[3:] == told.split()


def test_lesions_are_listed_with_their_place(folders):
    _, out = evaluate(*folders)
    rows = table(out, "lesions", participant_id="sub-01", stage="after-cfpr")
    found = {
        (r["side"], r["lesion_id"]): picked(r, "region", "mars_region", "border") for r in rows
    }
    assert found["reference", "1"] == ["lobar", "n/a", "n/a"]
    assert found["reference", "3"] == ["deep", "right-basal-ganglia", "n/a"]
    assert found["predicted", "3"] == ["lobar", "right-insula", "true"]
    assert found["predicted", "2"] == ["deep", "right-thalamus", "false"]


def test_tables_of_an_earlier_version_tell_no_mars_region_and_no_border(folders):
    predicted, reference = folders
    kept = [name for name in COLUMNS if name not in ("mars_region", "side", "border")]
    write_prediction(predicted, "02", instances=ONE, columns=kept)
    code, out = evaluate(predicted, reference)
    assert code == 0
    (row,) = table(out, "sessions", participant_id="sub-02", stage="after-cfpr")
    assert picked(row, *CALLS) == ["1", "0", "n/a", "0", "0"]
    (row,) = table(out, "summary", group="all", stage="after-cfpr")
    assert picked(row, *CALLS) == ["5", "3", "1", "3", "1"]


def test_a_raters_mask_knows_no_regions(tmp_path, capsys):
    write_reference(tmp_path / "reference", "01", instances=ONE)
    found = cells("deep", "left", "thalamus", True)
    write_prediction(
        tmp_path / "predicted", "01", instances=ONE, cells={1: found}, mars=np.full(ONE.shape, 104)
    )
    code, out = evaluate(tmp_path / "predicted", tmp_path / "reference")
    assert code == 0
    (row,) = table(out, "summary", group="all", stage="after-cfpr")
    assert picked(row, "tp", *CALLS) == ["1", "0", "0", "n/a", "0", "0"]
    shares = ("region_agreement", "mars_agreement", "mars_agreement_low", "side_errors_mean")
    assert picked(row, *shares) == ["n/a"] * 4
    printed = capsys.readouterr().out
    assert "Correct regions of matched lesions" not in printed
    assert "side_errors" not in printed
