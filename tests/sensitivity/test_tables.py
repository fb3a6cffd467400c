"""Shares of what is found: of a session, and of sites and protocols."""

import numpy as np
import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import sidecar_of, write_image
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.core.statistics import wilson
from cmb_bidsapp.sensitivity.tables import (
    GROUP_SHARES,
    SHARES,
    Measured,
    in_words,
    kinds,
    read_session,
    share_rows,
    smallest_found,
    write_group,
    write_session,
)

GRE = {"Manufacturer": "Maker", "ManufacturersModelName": "One", "MagneticFieldStrength": 2.8936}
GRE |= {"EchoTime": 0.02, "VoxelSize": [0.5, 0.5, 3.0], "SequenceKind": "T2starw"}


def implants(diameters, found, contrast=0.6, region="lobar"):
    return [
        {
            "draw": 1, "lesion_id": number, "x": 0.0, "y": 0.0, "z": 0.0, "chi": 1.0,
            "true_diameter": 1.0, "apparent_diameter": diameter, "contrast": contrast,
            "region": region, "found": bool(hit),
        }
        for number, (diameter, hit) in enumerate(zip(diameters, found, strict=True), 1)
    ]  # fmt: skip


def measured_session(root, participant, rows, threshold=0.9, sidecar=GRE):
    files = SessionFiles(root, participant, None)
    write_image(files.t2star, np.zeros((2, 2, 2), np.float32), np.eye(4), sidecar)
    write_session(files, rows, threshold)
    return files


def row_of(rows, by, level=None):
    (found,) = [row for row in rows if row["by"] == by and row["level"] == level]
    return found


def test_shares_are_by_size_contrast_and_class_with_wilson_intervals():
    rows = implants([1.8, 2.0, 2.9, 4, 4, 6], [0, 1, 0, 1, 1, 1], contrast=0.5)
    rows += implants([2.5, 9.9], [0, 1], contrast=0.9, region="deep")
    table = share_rows(Measured.of(rows), 0.9)
    for by, level, found, drawn in (
        ("all", None, 5, 8),
        ("diameter", "below 2 mm", 0, 1),
        ("diameter", "2 to 3 mm", 1, 3),
        ("diameter", "3 to 5 mm", 2, 2),
        ("diameter", "5 to 10 mm", 2, 2),
        ("contrast", "below 50 %", 0, 0),
        ("contrast", "50 to 75 %", 4, 6),
        ("contrast", "75 % or more", 1, 2),
        ("region", "lobar", 4, 6),
        ("region", "deep", 1, 2),
        ("region", "infratentorial", 0, 0),
    ):
        row = row_of(table, by, level)
        assert (row["found"], row["implants"]) == (found, drawn), (by, level)
        interval = row["sensitivity_low"], row["sensitivity_high"]
        np.testing.assert_array_equal(interval, wilson(found, drawn))
    assert len(table) == 11


def test_what_is_no_microbleed_for_its_size_is_left_out():
    assert share_rows(Measured.of(implants([10.0, 12.0, 4.0], [1, 1, 0])), 0.5)[0]["found"] == 0


def test_the_smallest_diameter_is_where_nine_of_ten_are_found():
    rng = np.random.default_rng(0)
    diameters = rng.uniform(1.7, 9, 3000)
    odds = 6 * (np.log(diameters) - np.log(3.0))
    found = rng.random(3000) < 1 / (1 + np.exp(-odds))
    expected = 3.0 * 9 ** (1 / 6)
    assert smallest_found(Measured.of(implants(diameters, found))) == pytest.approx(expected, 0.05)


@pytest.mark.parametrize(
    ("diameters", "found", "smallest"),
    [
        (np.linspace(2, 9, 40), np.ones(40), 2.0),
        (np.linspace(2, 9, 40), np.zeros(40), np.nan),
        (np.linspace(2, 9, 40), np.arange(40) % 2, np.nan),
        (np.linspace(2, 9, 19), np.ones(19), np.nan),
        ([], [], np.nan),
    ],
)
def test_it_is_not_made_up_where_too_little_is_known(diameters, found, smallest):
    got = smallest_found(Measured.of(implants(diameters, found)))
    np.testing.assert_allclose(got, smallest)


def test_large_ones_found_and_small_ones_missed_put_it_in_between():
    diameters = np.concatenate([np.linspace(1.8, 3, 15), np.linspace(4, 8, 15)])
    got = smallest_found(Measured.of(implants(diameters, diameters > 3.5)))
    assert 3 < got < 5


def test_the_line_says_the_sizes_that_were_drawn():
    rows = implants([2.5] * 4 + [4.0] * 2, [1, 0, 0, 0, 1, 1])
    assert in_words(share_rows(Measured.of(rows), 0.5)) == "2 to 3 mm 25 % found, 3 to 5 mm 100 %"
    assert in_words(share_rows(Measured.of(implants([4.0], [1])), 0.5)) == "3 to 5 mm 100 % found"
    assert in_words(share_rows(Measured.of([]), 0.5)) == ""


def test_a_session_reads_as_it_was_written(tmp_path):
    files = measured_session(tmp_path, "01", implants([2.5, 4, 4], [0, 1, 1]))
    measured = read_session(files)
    assert measured.found.tolist() == [False, True, True]
    assert measured.diameter.tolist() == [2.5, 4, 4]
    table = read_table(files.sensitivity, SHARES)
    assert row_of(table, "diameter", "3 to 5 mm")["sensitivity"] == "1"
    assert {row["threshold"] for row in table} == {"0.9"}
    assert sidecar_of(files.sensitivity).exists()
    assert files.sensitivity.name == "sub-01_label-CMB_sensitivity.tsv"


def test_sessions_are_taken_together_by_site_and_protocol(tmp_path):
    measured_session(tmp_path, "01", implants([2.5, 4], [0, 1]))
    measured_session(tmp_path, "02", implants([4], [1]), sidecar={**GRE, "EchoTime": 0.0200001})
    measured_session(tmp_path, "03", implants([4], [0]), sidecar={**GRE, "EchoTime": 0.04})
    measured_session(tmp_path, "04", implants([4], [0]), sidecar={**GRE, "InstitutionName": "X"})
    write_image(
        SessionFiles(tmp_path, "05", None).t2star, np.zeros((2, 2, 2), np.float32), np.eye(4), GRE
    )
    found, (path,) = write_group(tmp_path)
    assert [(kind.sessions, kind.about["site"]) for kind in found] == [
        (2, None),
        (1, "X"),
        (1, None),
    ]
    table = read_table(path, GROUP_SHARES)
    first = table[0]
    assert (first["implants"], first["found"], first["participants"]) == ("3", "2", "2")
    assert (first["scanner"], first["echo_time"], first["field_strength"]) == (
        "Maker One",
        "0.02",
        "2.9",
    )
    assert len(table) == 3 * 11


def test_thresholds_that_differ_are_not_told_as_one(tmp_path):
    measured_session(tmp_path, "01", implants([4], [1]), threshold=0.9)
    measured_session(tmp_path, "02", implants([4], [1]), threshold=0.8)
    (kind,) = kinds(tmp_path)
    assert kind.threshold is None


def test_a_table_of_earlier_sessions_goes_with_them(tmp_path):
    files = measured_session(tmp_path, "01", implants([4], [1]))
    _, (path,) = write_group(tmp_path)
    files.implants.unlink()
    assert write_group(tmp_path) == ([], [])
    assert not path.exists()
    assert not sidecar_of(path).exists()
