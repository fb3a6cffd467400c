import csv
import json
import math
import string
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_bidsapp.bids.outputs import (
    ENTITY_ORDER,
    atomic,
    bids_name,
    sidecar_of,
    write_image,
    write_json,
)
from cmb_bidsapp.bids.tables import read_table, write_table

quick = settings(max_examples=20)

VALUES = st.text(string.ascii_letters + string.digits, min_size=1, max_size=8)
ENTITIES = st.dictionaries(st.sampled_from(ENTITY_ORDER), st.none() | VALUES)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fail_halfway(path, error):
    with atomic(path) as beside:
        beside.write_text("new, but")
        raise error


def parsed(name, extension):
    *pairs, suffix = name.removesuffix(extension).split("_")
    return dict(pair.split("-") for pair in pairs), suffix


@quick
@given(ENTITIES, VALUES, st.sampled_from([".nii.gz", ".tsv", ".json"]))
def test_names_parse_back_to_the_same_entities(entities, suffix, extension):
    found, found_suffix = parsed(bids_name(entities, suffix, extension), extension)
    assert found == {key: value for key, value in entities.items() if value is not None}
    assert found_suffix == suffix


@quick
@given(ENTITIES, st.randoms())
def test_names_do_not_depend_on_the_order_entities_are_given_in(entities, random):
    shuffled = list(entities.items())
    random.shuffle(shuffled)
    assert bids_name(dict(shuffled), "mask", ".nii.gz") == bids_name(entities, "mask", ".nii.gz")


def test_entities_come_in_the_order_of_the_specification():
    keys = [
        "desc",
        "label",
        "res",
        "space",
        "part",
        "echo",
        "run",
        "rec",
        "ce",
        "acq",
        "ses",
        "sub",
    ]
    assert list(parsed(bids_name(dict.fromkeys(keys, "1"), "x", ""), "")[0]) == keys[::-1]


def test_an_unknown_entity_is_refused():
    with pytest.raises(ValueError, match="subject"):
        bids_name({"subject": "01"}, "T1w", ".nii.gz")


def test_atomic_failure_leaves_the_old_content_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="halfway"):
        fail_halfway(path, RuntimeError("halfway"))
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_atomic_failure_makes_no_file(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fail_halfway(tmp_path / "new" / "file.txt", KeyboardInterrupt())
    assert names(tmp_path / "new") == []


def test_atomic_shows_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file.nii.gz"
    path.write_text("old")
    with atomic(path) as beside:
        assert beside.parent == path.parent
        assert beside.name.endswith(".nii.gz")
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["file.nii.gz"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_outputs_follow_the_umask_and_leave_it_alone(tmp_path, umask, mode):
    """In a process of its own: the umask is read once, when the program starts."""
    work = (
        "import os, pathlib, sys; from cmb_bidsapp.bids.outputs import write_text; "
        "write_text(pathlib.Path(sys.argv[1]), 'text'); print(os.umask(0))"
    )
    path = tmp_path / "file.txt"
    command = [sys.executable, "-c", work, str(path)]
    after = subprocess.run(command, umask=umask, check=True, capture_output=True, text=True).stdout
    assert int(after) == umask
    assert path.stat().st_mode & 0o777 == mode


def test_json_keeps_unicode_and_ends_with_a_newline(tmp_path):
    content = {"Name": "Größe µm", "List": [1, None]}
    write_json(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == content
    assert "Größe" in text
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    ("name", "sidecar"),
    [
        ("sub-01_T1w.nii.gz", "sub-01_T1w.json"),
        ("sub-01_T1w.nii", "sub-01_T1w.json"),
        ("sub-01_lesions.tsv", "sub-01_lesions.json"),
    ],
)
def test_sidecar_has_the_name_of_its_file(tmp_path, name, sidecar):
    assert sidecar_of(tmp_path / name) == tmp_path / sidecar


def test_image_keeps_values_and_geometry(tmp_path):
    turn = np.deg2rad(10)
    affine = np.array(
        [
            [-0.5 * np.cos(turn), -0.7 * np.sin(turn), 0, 10],
            [-0.5 * np.sin(turn), 0.7 * np.cos(turn), 0, -20],
            [0, 0, 4, 30],
            [0, 0, 0, 1],
        ]
    )
    data = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    path = tmp_path / "sub-01" / "sub-01_dseg.nii.gz"
    write_image(path, data, affine, {"Sources": ["a"]})
    image = nib.load(path)
    np.testing.assert_array_equal(np.asarray(image.dataobj), data)
    assert image.get_data_dtype() == np.int32
    for matrix, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
        assert code == 1
        np.testing.assert_allclose(matrix, affine, atol=1e-4)
    assert image.header.get_xyzt_units()[0] == "mm"
    sidecar = path.parent / "sub-01_dseg.json"
    assert json.loads(sidecar.read_text(encoding="utf-8")) == {"Sources": ["a"]}
    assert names(path.parent) == ["sub-01_dseg.json", "sub-01_dseg.nii.gz"]


def test_image_without_sidecar_writes_the_image_alone(tmp_path):
    write_image(tmp_path / "a.nii.gz", np.zeros((2, 2, 2), np.uint8), np.eye(4))
    assert names(tmp_path) == ["a.nii.gz"]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, "n/a"),
        (float("nan"), "n/a"),
        (float("inf"), "n/a"),
        (np.float32("nan"), "n/a"),
        (np.float64("nan"), "n/a"),
        (True, "true"),
        (np.bool_(False), "false"),
        (0, "0"),
        (np.int64(7), "7"),
        (0.1 + 0.2, "0.3"),
        (np.float32(0.1), "0.1"),
        ("a\tb\nc", "a b c"),
        ("carriage\rreturn", "carriage return"),
        ('said "so"', 'said "so"'),
        ("µ", "µ"),
    ],
)
def test_cells_of_a_table(tmp_path, value, cell):
    path = tmp_path / "table.tsv"
    write_table(path, ["value", "next"], [{"value": value, "next": 1}])
    assert read_table(path) == [{"value": cell, "next": "1"}]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+1", "'+1+1"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =1", "' =1"),
        ("'=1", "''=1"),
        ("-1.5", "-1.5"),
        ("+2e3", "+2e3"),
        ("-", "-"),
        ("a=b", "a=b"),
        ("'quoted'", "'quoted'"),
    ],
)
def test_no_cell_is_a_formula_to_a_spreadsheet_and_all_read_back(tmp_path, text, cell):
    path = tmp_path / "table.tsv"
    write_table(path, ["text"], [{"text": text}])
    with path.open(newline="") as stream:
        assert list(csv.reader(stream, delimiter="\t")) == [["text"], [cell]]
    assert read_table(path) == [{"text": text}]


def test_a_row_that_lacks_a_column_has_it_as_not_available(tmp_path):
    path = tmp_path / "table.tsv"
    write_table(path, ["a", "b"], [{"b": 1, "unlisted": 2}])
    assert path.read_text() == "a\tb\nn/a\t1\n"


@quick
@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cc", "Cs"])), st.integers())))
def test_table_of_any_text_and_numbers_reads_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("tables") / "table.tsv"
    write_table(path, ["text", "number"], [{"text": t, "number": n} for t, n in rows])
    assert read_table(path) == [{"text": t, "number": str(n)} for t, n in rows]


@quick
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_in_a_table_keep_six_digits(tmp_path_factory, number):
    path = tmp_path_factory.mktemp("tables") / "table.tsv"
    write_table(path, ["number"], [{"number": number}])
    assert math.isclose(float(read_table(path)[0]["number"]), number, rel_tol=1e-5, abs_tol=1e-300)


def test_table_dictionary_has_the_columns_in_order(tmp_path):
    descriptions = {name: {"Description": name} for name in ("b", "a", "unused")}
    write_table(tmp_path / "table.tsv", ["a", "b"], [], descriptions)
    assert list(json.loads((tmp_path / "table.json").read_text())) == ["a", "b"]
    assert read_table(tmp_path / "table.tsv") == []
