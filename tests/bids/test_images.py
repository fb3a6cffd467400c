import contextlib
import os

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.bids.images import read_derivative, read_image, read_labels
from cmb_bidsapp.core.errors import DataError
from tests.skeletons import write_nifti

DATA = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def test_image_has_its_values_and_affine(tmp_path):
    path = write_nifti(tmp_path / "a.nii.gz", data=DATA, voxel=(1, 2, 3))
    read = read_image(path)
    np.testing.assert_array_equal(read.data, DATA)
    assert read.data.dtype == np.float32
    np.testing.assert_array_equal(read.affine, np.diag([1, 2, 3, 1]))


def test_values_that_are_not_finite_become_zero(tmp_path):
    dirty = DATA.copy()
    dirty[0, 0, :3] = np.nan, np.inf, -np.inf
    data = read_image(write_nifti(tmp_path / "a.nii.gz", data=dirty)).data
    assert list(data[0, 0]) == [0, 0, 0, 3]
    np.testing.assert_array_equal(data[1], DATA[1])


def test_scale_and_intercept_are_applied(tmp_path):
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "a.nii.gz")
    stored = nib.load(tmp_path / "a.nii.gz")
    data = read_image(tmp_path / "a.nii.gz").data
    np.testing.assert_allclose(data, stored.get_fdata())
    assert data.max() > data.min()


def test_a_4d_image_of_one_volume_is_that_volume(tmp_path):
    data = read_image(write_nifti(tmp_path / "a.nii.gz", data=DATA[..., None])).data
    np.testing.assert_array_equal(data, DATA)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), (4, 4, 4, 2), (1, 4, 4)])
def test_other_shapes_are_refused_with_the_shape(tmp_path, shape):
    path = write_nifti(tmp_path / "a.nii.gz", shape=shape)
    with pytest.raises(DataError, match="shape") as caught:
        read_image(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("keep", [0, 5, 60, 0.5, -40])
def test_a_truncated_file_is_bad_data(tmp_path, keep):
    noise = np.random.default_rng(0).normal(size=(8, 8, 8)).astype(np.float32)
    path = write_nifti(tmp_path / "a.nii.gz", data=noise)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(DataError, match="cannot be read") as caught:
        read_image(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("read", [read_image, read_derivative, read_labels])
def test_one_flipped_bit_in_a_compressed_file_is_never_read_as_data(tmp_path, read):
    noise = np.random.default_rng(0).normal(100, 20, size=(12, 12, 12)).astype(np.int16)
    path = write_nifti(tmp_path / "a.nii.gz", data=noise)
    whole = path.read_bytes()
    good = read(path).data
    # The first ten bytes hold name, time and system, of which no data depend.
    for at in np.linspace(10, len(whole) - 1, 60).astype(int):
        content = bytearray(whole)
        content[at] ^= 1 << (at % 8)
        path.write_bytes(bytes(content))
        with contextlib.suppress(DataError):
            np.testing.assert_array_equal(read(path).data, good)


@pytest.mark.parametrize("change", [lambda whole: whole[:-4], lambda whole: whole + b"rest"])
def test_a_compressed_file_ends_with_its_checksum(tmp_path, change):
    path = write_nifti(tmp_path / "a.nii.gz", data=DATA)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match="cannot be read"):
        read_image(path)


def test_complex_numbers_are_read_as_their_magnitude(tmp_path):
    turned = (DATA * np.exp(1j * np.linspace(0, 6, 24).reshape(DATA.shape))).astype(np.complex64)
    data = read_image(write_nifti(tmp_path / "a.nii.gz", data=turned)).data
    assert data.dtype == np.float32
    np.testing.assert_allclose(data, DATA, rtol=1e-5)


@pytest.mark.parametrize("slope", [3e37, 1e-40])
def test_values_beyond_reckoning_are_refused(tmp_path, slope):
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    image.header.set_slope_inter(slope, 0)
    nib.save(image, tmp_path / "a.nii.gz")
    with pytest.raises(DataError, match="scl_slope"):
        read_image(tmp_path / "a.nii.gz")


def test_a_pipe_is_no_image_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.nii.gz")
    with pytest.raises(DataError, match="not a regular file"):
        read_image(tmp_path / "a.nii.gz")


def test_flipped_bytes_in_a_compressed_file_are_bad_data(tmp_path):
    noise = np.random.default_rng(0).normal(size=(8, 8, 8)).astype(np.float32)
    path = write_nifti(tmp_path / "a.nii.gz", data=noise)
    content = bytearray(path.read_bytes())
    for at in range(len(content) // 2, len(content) // 2 + 20):
        content[at] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="cannot be read"):
        read_image(path)


@pytest.mark.parametrize(
    ("offset", "damage"),
    [
        pytest.param(70, (4096).to_bytes(2, "little"), id="unknown data type"),
        pytest.param(42, (-4).to_bytes(2, "little", signed=True), id="negative size"),
        pytest.param(40, (99).to_bytes(2, "little"), id="99 dimensions"),
        pytest.param(344, b"none", id="no magic"),
    ],
)
def test_a_damaged_header_is_bad_data(tmp_path, offset, damage):
    path = write_nifti(tmp_path / "a.nii")
    content = bytearray(path.read_bytes())
    content[offset : offset + len(damage)] = damage
    path.write_bytes(bytes(content))
    with pytest.raises(DataError):
        read_image(path)


def test_a_color_image_is_bad_data(tmp_path):
    colors = np.zeros((3, 3, 3), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colors, np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(DataError):
        read_image(tmp_path / "a.nii.gz")


def test_a_missing_file_does_not_exist(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_image(tmp_path / "a.nii.gz")


def test_a_dangling_link_says_how_to_fetch_it(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.symlink_to(tmp_path / ".git" / "annex" / "objects" / "key")
    with pytest.raises(DataError, match=r"datalad get a\.nii\.gz") as caught:
        read_image(path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("value", [0, 7, np.nan])
def test_an_image_of_one_value_is_empty(tmp_path, value):
    path = write_nifti(tmp_path / "a.nii.gz", data=np.full((3, 3, 3), value, np.float32))
    with pytest.raises(DataError, match="empty"):
        read_image(path)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_an_affine_without_extent_is_refused(tmp_path, bad):
    affine = np.eye(4)
    image = nib.Nifti1Image(DATA, affine)
    image.header["srow_x"] = [bad, 0, 0, 0]
    image.header["sform_code"] = 1
    path = tmp_path / "a.nii"
    nib.save(image, path)
    content = bytearray(path.read_bytes())
    content[280:296] = np.array([bad, 0, 0, 0], "<f4").tobytes()
    content[254:256] = (1).to_bytes(2, "little")
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="affine"):
        read_image(path)


def test_labels_are_integers_and_may_be_empty(tmp_path):
    path = write_nifti(tmp_path / "a.nii.gz", data=np.zeros((3, 3, 3), np.uint8))
    labels = read_labels(path).data
    assert labels.dtype == np.int32
    assert not labels.any()


def test_an_image_of_other_shape_and_a_compressed_mgz_are_read_to_their_end(tmp_path):
    field = np.random.default_rng(0).normal(size=(3, 4, 5, 1, 3)).astype(np.float32)
    there = write_nifti(tmp_path / "field.nii.gz", data=field)
    np.testing.assert_array_equal(read_derivative(there).data, field)
    path = tmp_path / "aseg.mgz"
    nib.save(nib.MGHImage(DATA, np.eye(4)), path)
    np.testing.assert_array_equal(read_labels(path).data, DATA)
    whole = bytearray(path.read_bytes())
    whole[-6] ^= 1
    path.write_bytes(bytes(whole))
    with pytest.raises(DataError, match=r"aseg\.mgz cannot be read"):
        read_labels(path)
