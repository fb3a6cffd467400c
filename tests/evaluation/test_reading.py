"""Derivatives of any tool, read on one grid."""

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.evaluation.reading import (
    decisions_of,
    json_of,
    labels_of,
    labels_on,
    optional_labels_on,
    table_of,
    values_of,
)
from cmb_bidsapp.preprocess.resampling import Grid

AFFINE = np.array([[0.5, 0, 0, -3], [0, 0.5, 0, -4], [0, 0, 4, -5], [0, 0, 0, 1.0]])
DATA = np.arange(5 * 6 * 3, dtype=np.int16).reshape(5, 6, 3)
GRID = Grid.of(DATA, AFFINE)


def saved(path, data=DATA, affine=AFFINE, axes="RAS"):
    """An image; its voxels lie where they did, with axes of another order or direction."""
    image = nib.Nifti1Image(data, affine)
    turn = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(affine), nib.orientations.axcodes2ornt(axes)
    )
    nib.save(image.as_reoriented(turn), path)
    return path


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR", "SAL"])
def test_turned_axes_are_turned_back(tmp_path, axes):
    path = saved(tmp_path / "mask.nii.gz", axes=axes)
    np.testing.assert_array_equal(labels_on(GRID, path), DATA)


def test_a_fourth_axis_of_one_volume_is_none(tmp_path):
    data, grid = labels_of(saved(tmp_path / "mask.nii.gz", DATA[..., None]))
    np.testing.assert_array_equal(data, DATA)
    assert grid.is_same_as(GRID)
    with pytest.raises(DataError, match=r"shape \(5, 6, 3, 2\); one 3D volume is needed"):
        values_of(saved(tmp_path / "two.nii.gz", np.stack([DATA, DATA], axis=-1)))


@pytest.mark.parametrize(
    ("data", "affine"), [(DATA[:4], AFFINE), (DATA, AFFINE + np.eye(4) * [1, 1, 1, 0])]
)
def test_another_grid_is_refused_with_both_sizes(tmp_path, data, affine):
    with pytest.raises(DataError, match=r"mask.nii.gz \(. x 6 x 3 voxels\).*\(5 x 6 x 3\)"):
        labels_on(GRID, saved(tmp_path / "mask.nii.gz", data, affine))


def test_what_is_not_there_or_damaged_is_named(tmp_path):
    path = tmp_path / "mask.nii.gz"
    assert optional_labels_on(GRID, path) is None
    with pytest.raises(DataError, match=r"mask\.nii\.gz does not exist"):
        labels_on(GRID, path)
    path.write_bytes(b"\x1f\x8b no image")
    with pytest.raises(DataError, match=r"mask.nii.gz cannot be read .*; fetch or make it again"):
        optional_labels_on(GRID, path)


def test_tables_need_their_columns_and_lesions_their_words(tmp_path):
    path = tmp_path / "lesions.tsv"
    write_table(path, ("lesion_id", "status"), [{"lesion_id": 3, "status": "kept"}])
    assert table_of(path, ("lesion_id",)) == [{"lesion_id": "3", "status": "kept"}]
    (lesion,) = decisions_of(path, ("lesion_id",))
    assert (lesion.number, lesion.kept) == (3, True)
    with pytest.raises(DataError, match=r"lesions\.tsv: lacks region"):
        table_of(path, ("region",))
    write_table(path, ("lesion_id", "status"), [{"lesion_id": 3, "status": "perhaps"}])
    with pytest.raises(DataError, match=r"lesions.tsv: .*perhaps"):
        decisions_of(path, ("lesion_id",))


def test_json_may_be_absent_but_not_broken(tmp_path):
    path = tmp_path / "sidecar.json"
    assert json_of(path) is None
    path.write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        json_of(path)
