"""Boxes and points, as tables and as the JSON of nnDetection, on a turned, thick-sliced grid."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.affines import apply_affine

from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.evaluation.marks import read_marks
from cmb_bidsapp.preprocess.resampling import Grid

#: Left to the left, slices of 4 mm, some way off the origin.
AFFINE = np.array([[-0.5, 0, 0, 20], [0, 1, 0, -10], [0, 0, 4, 5], [0, 0, 0, 1]])
GRID = Grid((20, 16, 6), AFFINE)

corners = st.tuples(*(st.integers(0, n - 1) for n in GRID.shape))


def write(folder, content, name="sub-01_boxes.json"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def table(folder, columns, *rows):
    lines = ["\t".join(columns.split()), *("\t".join(map(str, row)) for row in rows)]
    return write(folder, "\n".join(lines) + "\n", "sub-01_marks.tsv")


def voxels(lesion):
    return sorted(map(tuple, lesion.voxels.tolist()))


def box(low, high):
    ranges = [range(a, b + 1) for a, b in zip(low, high, strict=True)]
    return [(i, j, k) for i in ranges[0] for j in ranges[1] for k in ranges[2]]


@given(corners, corners)
def test_boxes_of_nndetection_hold_the_lesion_they_were_drawn_around(tmp_path_factory, one, other):
    low, high = np.minimum(one, other), np.maximum(one, other)
    # As its data preparation has it: axes in reverse, one voxel beyond the lesion.
    (i0, j0, k0), (i1, j1, k1) = low - 1, high + 1
    content = {"pred_boxes": [[k0, j0, k1, j1, i0, i1]], "pred_scores": [0.7], "pred_labels": [0]}
    path = write(tmp_path_factory.mktemp("marks"), json.dumps(content, default=int))
    (lesion,) = read_marks(path, GRID).lesions
    assert voxels(lesion) == box(low, high)
    assert lesion.score == 0.7
    np.testing.assert_allclose(lesion.center, apply_affine(AFFINE, (low + high) / 2), atol=1e-6)


def test_the_json_of_nndet_boxes2nii_is_read(tmp_path):
    entry = {"score": 0.25, "label": 0, "box": [1, 2, 3, 4, 5, 8]}
    marks = read_marks(write(tmp_path, {"1": entry, "2": {**entry, "score": 0.75}}), GRID)
    assert [lesion.score for lesion in marks.lesions] == [0.25, 0.75]
    assert voxels(marks.lesions[0]) == box((6, 3, 2), (7, 3, 2))
    assert marks.extent


def test_a_box_in_voxels_has_both_its_ends(tmp_path):
    path = table(tmp_path, "i_min i_max j_min j_max k_min k_max score", (2, 4, 3, 3, 1, 2, 0.5))
    marks = read_marks(path, GRID)
    assert voxels(marks.lesions[0]) == box((2, 3, 1), (4, 3, 2))
    assert marks.extent


def test_a_box_in_millimeters_holds_the_voxels_whose_centers_it_holds(tmp_path):
    # x = 20 - i / 2: 17.9 to 19.1 are i = 2 to 4; z = 5 + 4 k.
    columns = "x_min y_min z_min x_max y_max z_max"
    path = table(tmp_path, columns, (17.9, -8, 8.5, 19.1, -7, 9.5))
    assert voxels(read_marks(path, GRID).lesions[0]) == box((2, 2, 1), (4, 3, 1))


def test_a_point_is_the_voxel_it_lies_in_and_has_no_extent(tmp_path):
    marks = read_marks(table(tmp_path, "x y z", (18.1, -7.6, 10.0)), GRID)
    (lesion,) = marks.lesions
    assert (lesion.center, voxels(lesion)) == ((18.1, -7.6, 10.0), [(4, 2, 1)])
    assert not marks.extent
    assert np.isnan(lesion.score)


def test_a_point_in_voxels_is_told_in_millimeters(tmp_path):
    (lesion,) = read_marks(table(tmp_path, "i j k", (3, 4.5, 2)), GRID).lesions
    assert lesion.center == (18.5, -5.5, 13.0)


def test_a_diameter_makes_a_sphere(tmp_path):
    path = table(tmp_path, "x y z diameter", (18, -7, 9, 2.2), (18, -7, 9, 0.3))
    marks = read_marks(path, GRID)
    # Within 1.1 mm of voxel (4, 3, 1): two to each side along x, one along y, no other slice.
    assert voxels(marks.lesions[0]) == sorted([*box((2, 3, 1), (6, 3, 1)), (4, 2, 1), (4, 4, 1)])
    assert voxels(marks.lesions[1]) == [(4, 3, 1)]
    assert marks.extent


def test_a_list_of_objects_is_a_table(tmp_path):
    path = write(tmp_path, [{"x": 18, "y": -7, "z": 9, "score": 0.9}, {"i": 1, "j": 2, "k": 3}])
    assert [voxels(one) for one in read_marks(path, GRID).lesions] == [[(4, 3, 1)], [(1, 2, 3)]]


def test_a_box_beyond_the_image_is_cut(tmp_path):
    path = table(tmp_path, "i_min j_min k_min i_max j_max k_max", (-3, 0, 0, 1, 0, 0))
    assert voxels(read_marks(path, GRID).lesions[0]) == [(0, 0, 0), (1, 0, 0)]


@pytest.mark.parametrize("content", [[], {}, {"pred_boxes": [], "pred_scores": []}])
def test_no_marks_are_no_lesions(tmp_path, content):
    assert read_marks(write(tmp_path, content), GRID).lesions == []
    assert read_marks(table(tmp_path, "x y z"), GRID).lesions == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is not JSON"),
        ("3", "no list of marks"),
        ([[1, 2, 3]], "no list of marks"),
        ({"pred_boxes": [[1, 2, 3]]}, "six values"),
        ({"pred_boxes": [[1, 2, 3, 4, 5, 6]], "pred_scores": []}, "differ in number"),
        ([{"x": 1, "y": 2}], "mark 1 needs x, y, z"),
        ([{"x": 18, "y": -7, "z": 9}, {"x": "a", "y": 2, "z": 3}], "mark 2"),
        ([{"x": float("nan"), "y": 2, "z": 3}], "not finite"),
        ([{"x": 18, "y": -7, "z": 9}, {"x": 180, "y": -7, "z": 9}], "mark 2 at (180.0, -7.0, 9.0)"),
    ],
)
def test_what_is_no_list_of_marks_in_the_image_is_told(tmp_path, content, told):
    path = write(tmp_path, content)
    with pytest.raises(DataError) as raised:
        read_marks(path, GRID)
    assert str(path) in str(raised.value)
    assert told in str(raised.value)


def test_a_table_that_is_cut_off_is_told(tmp_path):
    path = write(tmp_path, "x\ty\tz\n1\t2\n", "sub-01_points.tsv")
    with pytest.raises(DataError, match="columns of the header"):
        read_marks(path, GRID)
