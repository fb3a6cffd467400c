"""Headers that are refused, and why, before any voxel is read."""

import gzip
import os
import struct
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.bids.images import load_header, read_image, read_volume
from cmb_bidsapp.bids.inputs import choose
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.core.errors import DataError
from tests.skeletons import build_dataset, image_path, write_head, write_nifti


def no_codes(image):
    # An affine that is given is written as an sform.
    bare = nib.Nifti1Image(np.asarray(image.dataobj), None)
    bare.header.set_zooms(image.header.get_zooms())
    return bare


def mirrored(image):
    image.set_qform(image.affine @ np.diag([-1, 1, 1, 1]), code=1)


def turned(image):
    image.set_qform(image.affine[:, [1, 0, 2, 3]] * [1, 1, -1, 1], code=1)


def sheared(image):
    affine = image.affine.copy()
    affine[0, 2] = 0.7 * affine[2, 2]
    image.set_sform(affine, code=1)


def unit(name):
    return lambda image: image.header.set_xyzt_units(name)


def scaled(factor):
    return lambda image: image.set_sform(np.diag([factor, factor, factor, 1]) @ image.affine, 1)


def no_voxel_size(image):
    image.header["pixdim"][2] = 0


def another_voxel_size(image):
    image.header["pixdim"][3] = 3
    image.header["qform_code"] = 0


def far_away(image):
    affine = image.affine.copy()
    affine[1, 3] = 1e6
    image.set_sform(affine, 1)


#: What is done to a good header, and words of the refusal.
REFUSED = {
    "nobody says where left is": (no_codes, "left and right"),
    "mirrored qform": (mirrored, "disagree"),
    "turned qform": (turned, "disagree"),
    "sheared sform": (sheared, "sheared"),
    "micrometers": (unit("micron"), "micrometers"),
    "meters": (unit("meter"), "meters"),
    "voxels of 4 m": (scaled(1000), "4e+03 x 4e+03 x 4e+03 mm"),
    "voxels of 40 mm": (scaled(10), "40 x 40 x 40 mm"),
    "voxels of 4 um": (scaled(1e-3), "0.004 x 0.004 x 0.004 mm"),
    "a head of 1 m": (scaled(4.5), "field of view of 1.73e+03"),
    "another voxel size": (another_voxel_size, "4 x 4 x 4 mm by its sform and 4 x 4 x 3 mm"),
    "nowhere": (far_away, "lies 1e+03 m from the center"),
    "no voxel size": (no_voxel_size, "voxel size of 4 x 0 x 4"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_geometry_in_doubt_is_refused_with_file_and_cause(tmp_path, case):
    change, words = REFUSED[case]
    size = 384.0 if case == "a head of 1 m" else 96.0
    path = write_head(tmp_path / "a.nii.gz", size=size, change=change)
    for read in (load_header, read_image, read_volume):
        with pytest.raises(DataError) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert words in str(caught.value)


def test_such_an_image_is_taken_only_where_there_is_no_other_and_fails_then(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_acq-b_T2starw": {}})
    for stem in ("sub-01_acq-a_T2starw", "sub-02_T2starw"):
        write_head(image_path(root, stem), voxel=(3, 3, 3), change=no_codes)
    good, bad = choose(root).sessions
    assert good.t2star.path == image_path(root, "sub-01_acq-b_T2starw")
    assert good.problem is None
    assert any("left and right" in note for note in good.notes)
    assert "left and right" in bad.problem


def test_a_qform_elsewhere_with_the_same_axes_is_told(tmp_path):
    def moved(image):
        affine = image.affine.copy()
        affine[:3, 3] += 19.7
        image.set_qform(affine, code=1)

    root = build_dataset(tmp_path, {})
    write_head(image_path(root, "sub-01_T2starw"), change=moved)
    (session,) = choose(root).sessions
    assert any("sform and qform are 34 mm apart" in note for note in session.notes)


def oblique(angle, code=1):
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]

    def change(image):
        image.set_sform(turn @ image.affine, code=code)
        image.set_qform(turn @ np.diag([4, 4, 4, 1.0]), code=code)

    return change


@pytest.mark.parametrize(
    "change",
    [
        oblique(np.pi / 4),
        oblique(0.3, code=2),
        lambda image: image.header.set_xyzt_units("mm", "sec"),
        lambda image: image.header.__setitem__("qform_code", 0),
        lambda image: image.header.__setitem__("xyzt_units", 5),
    ],
)
def test_harmless_headers_are_read_without_a_word(tmp_path, change):
    _, notes = load_header(write_head(tmp_path / "a.nii.gz", change=change))
    assert notes == ()


def test_what_nibabel_corrects_is_told_with_the_file_and_printed_nowhere(tmp_path, capfd):
    path = write_head(tmp_path / "a.nii.gz")
    data = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into("<f", data, 80, -4.0)
    path.write_bytes(gzip.compress(data))
    _, (note,) = load_header(path)
    assert note.startswith("a.nii.gz: pixdim[1,2,3] should be positive")
    read_image(path)
    assert capfd.readouterr().err == ""


def test_a_qform_alone_is_enough(tmp_path):
    def only_qform(image):
        image.set_sform(None, code=0)
        image.set_qform(np.diag([4, 4, 4, 1]), code=1)

    path = write_head(tmp_path / "a.nii.gz", change=only_qform)
    np.testing.assert_allclose(read_image(path).affine, np.diag([4, 4, 4, 1]))


@pytest.mark.parametrize("side", [1200, 3000, 32767])
def test_a_header_that_asks_for_more_than_the_file_holds_takes_no_memory(tmp_path, side):
    header = nib.Nifti1Header()
    header.set_data_shape((side, side, side))
    header.set_sform(np.diag([0.1, 0.1, 0.1, 1]), code=1)
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    content = header.binaryblock + bytes(4 + 100_000)
    for path, data in (("a.nii", content), ("a.nii.gz", gzip.compress(content))):
        (tmp_path / path).write_bytes(data)
        with pytest.raises(DataError, match="cannot be read"):
            load_header(tmp_path / path)


def header_of(shape, side):
    header = nib.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape(shape)
    header.set_zooms((side, side, side))
    header.set_sform(np.diag([side, side, side, 1]), code=1)
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    return header.binaryblock + bytes(4)


@pytest.mark.parametrize(
    ("shape", "side", "words"),
    [
        ((1024, 1024, 1024), 0.5, "field of view of 512 x 512 x 512 mm"),
        ((1300, 1300, 1300), 0.3, "1300 x 1300 x 1300 voxels"),
        ((512, 512, 512), 1.0, "field of view of 512 x 512 x 512 mm"),
    ],
)
def test_an_image_larger_than_any_head_s_is_refused_before_its_voxels_take_memory(
    tmp_path, shape, side, words
):
    voxels = int(np.prod(shape))
    path = tmp_path / "a.nii"
    path.write_bytes(header_of(shape, side))
    # On the disk it takes nothing, and holds all that its header announces.
    os.truncate(path, 352 + voxels)
    if voxels < 1e9:
        packed = path.with_suffix(".nii.gz")
        packed.write_bytes(gzip.compress(path.read_bytes(), compresslevel=1))
        path = packed
    tracemalloc.start()
    try:
        for read in (load_header, read_image):
            with pytest.raises(DataError, match=words):
                read(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_4d_is_refused_and_not_taken_where_a_3d_image_is_beside_it(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_acq-b_T2starw": {}})
    write_nifti(image_path(root, "sub-01_acq-a_T2starw"), shape=(8, 8, 8, 3))
    (session,) = choose(root).sessions
    assert session.t2star.path == image_path(root, "sub-01_acq-b_T2starw")
    assert "shape (8, 8, 8, 3)" in session.rejected[0].reason


def test_outputs_never_claim_a_geometry_that_they_do_not_have(tmp_path):
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    write_image(tmp_path / "straight.nii.gz", np.ones((64, 64, 64)), affine)
    affine[0, 2] = 0.3
    write_image(tmp_path / "sheared.nii.gz", np.ones((64, 64, 64)), affine)
    straight, skewed = (nib.load(tmp_path / f"{name}.nii.gz") for name in ("straight", "sheared"))
    assert (int(straight.header["qform_code"]), int(straight.header["sform_code"])) == (1, 1)
    assert (int(skewed.header["qform_code"]), int(skewed.header["sform_code"])) == (0, 1)
    np.testing.assert_allclose(skewed.affine, affine, atol=1e-6)
