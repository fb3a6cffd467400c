"""FreeSurfer's transforms: its text files, and where they lead."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.affines import apply_affine

from cmb_bidsapp.anatomy.talairach import (
    MNI305_TO_MNI152,
    read_lta,
    read_xfm,
    to_mni305,
)
from cmb_bidsapp.core.errors import DataError

MNI152_TO_MNI305 = np.linalg.inv(MNI305_TO_MNI152)
ROWS = ((1.1, -0.02, 0.04, -5.5), (0.02, 0.97, 0.14, -22.75), (-0.04, -0.17, 1.1, -2.25))
MATRIX = np.vstack([ROWS, [0, 0, 0, 1]])
XFM = """MNI Transform File
% avi2talxfm

Transform_Type = Linear;
Linear_Transform =
{};
"""
#: Voxels of the source: 0.7 mm, axes L, I, A, off-center; of the destination: FreeSurfer's 1 mm.
SOURCE = np.array([[-0.7, 0, 0, 80.0], [0, 0, 0.7, -90.0], [0, -0.7, 0, 100.0], [0, 0, 0, 1]])
TARGET = np.array([[-1.0, 0, 0, 128.0], [0, 0, 1.0, -128.0], [0, -1.0, 0, 128.0], [0, 0, 0, 1]])


def rows(matrix):
    return "\n".join(" ".join(f"{value:.15e}" for value in row) for row in matrix)


def write_xfm(path, text=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(XFM.format(rows(ROWS)) if text is None else text, encoding="utf-8")
    return path


def volume(affine, shape, name, valid=1):
    size = np.linalg.norm(affine[:3, :3], axis=0)
    axes = [rows([axis]) for axis in (affine[:3, :3] / size).T]
    center = affine[:3, :3] @ (np.array(shape) / 2) + affine[:3, 3]
    return f"""valid = {valid}  # volume info
filename = {name}
volume = {" ".join(map(str, shape))}
voxelsize = {rows([size])}
xras   = {axes[0]}
yras   = {axes[1]}
zras   = {axes[2]}
cras   = {rows([center])}
"""


def lta(matrix, kind, name="/average/mni305.cor.mgz", count=1, valid=1):
    return f"""# transform file
# created by nobody

type      = {kind} # LINEAR
nxforms   = {count}
mean      = 0.0000 0.0000 0.0000
sigma     = 1.0000
1 4 4
{rows(matrix)}
src volume info
{volume(SOURCE, (200, 210, 220), "/data/#7/orig.mgz", valid)}dst volume info
{volume(TARGET, (256, 256, 256), name)}subject fsaverage
fscale 0.100000
"""


def write_lta(path, *args, **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(lta(*args, **kwargs), encoding="utf-8")
    return path


def test_a_point_in_mni152_has_its_published_place_in_mni305():
    found = apply_affine(MNI152_TO_MNI305, np.array([10.0, -20.0, 35.0]))
    np.testing.assert_allclose(found, [9.3131, -21.5849, 33.8345], atol=6e-5)


def test_the_way_back_is_the_published_one():
    """FreeSurfer publishes it rounded to four digits, 2 micrometers away."""
    published = [
        [1.0022, 0.0071, -0.0177, 0.0528],
        [-0.0146, 0.9990, 0.0027, -1.5519],
        [0.0129, 0.0094, 1.0027, -1.2012],
        [0, 0, 0, 1],
    ]
    np.testing.assert_allclose(MNI152_TO_MNI305, published, atol=6e-5)


def test_xfm_is_read(tmp_path):
    np.testing.assert_allclose(read_xfm(write_xfm(tmp_path / "a.xfm")), MATRIX)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("Linear_Transform =\n", "Linear_Transform = "),
        lambda text: text.replace("Linear_Transform", "% one 4 all\n\nLinear_Transform"),
        lambda text: text.replace(";\n", " ;\n% done\n"),
        lambda text: text.rstrip(),
    ],
)
def test_xfm_is_read_however_it_is_laid_out(tmp_path, change):
    path = tmp_path / "a.xfm"
    path.write_bytes(change(XFM.format(rows(ROWS))).encode())
    np.testing.assert_allclose(read_xfm(path), MATRIX)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "0 linear transforms"),
        (XFM.format(rows(ROWS)) * 2, "2 linear transforms"),
        (XFM.format(rows(ROWS)).replace(";", ""), "closed by"),
        (XFM.format(rows(ROWS[:2])), "three rows"),
        (XFM.format(rows(ROWS) + " 1.0"), "three rows"),
        (XFM.format("a b c"), "damaged"),
        (XFM.format(rows(np.diag([-1.0, 1, 1, 1])[:3])), "mirrored"),
        (XFM.format(rows(np.zeros((3, 4)))), "mirrored"),
        (XFM.format(rows(np.diag([np.nan, 1, 1, 1])[:3])), "finite"),
        (XFM.format(rows(np.diag([0.69, 1, 1, 1])[:3])), "0.69 to 1.00"),
        (XFM.format(rows(np.diag([1, 1, 1.41, 1])[:3])), "1.00 to 1.41"),
    ],
)
def test_what_is_no_talairach_transform_is_refused_by_name(tmp_path, text, reason):
    path = write_xfm(tmp_path / "talairach.xfm", text)
    with pytest.raises(DataError, match=reason) as error:
        read_xfm(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("read", [read_xfm, read_lta])
def test_a_missing_file_and_one_not_fetched_are_told_apart(tmp_path, read):
    with pytest.raises(DataError, match="is not there"):
        read(tmp_path / "a")
    (tmp_path / "b").symlink_to(tmp_path / "annex")
    with pytest.raises(DataError, match="datalad get b"):
        read(tmp_path / "b")


def test_a_ras_lta_is_taken_as_it_is(tmp_path):
    np.testing.assert_allclose(read_lta(write_lta(tmp_path / "a.lta", MATRIX, 1)), MATRIX)


@given(
    turn=st.lists(st.floats(-0.3, 0.3), min_size=9, max_size=9),
    shift=st.lists(st.floats(-50, 50), min_size=3, max_size=3),
)
def test_a_voxel_lta_says_the_same_as_a_ras_one(tmp_path_factory, turn, shift):
    matrix = np.eye(4)
    matrix[:3, :3] += np.reshape(turn, (3, 3)) * [[1, 0.5, 0.5], [0.5, 1, 0.5], [0.5, 0.5, 1]]
    matrix[:3, 3] = shift
    if np.linalg.det(matrix) < 0.1:
        return
    voxels = np.linalg.inv(TARGET) @ matrix @ SOURCE
    path = tmp_path_factory.mktemp("lta") / "a.lta"
    np.testing.assert_allclose(read_lta(write_lta(path, voxels, 0)), matrix, atol=1e-9)


def test_line_ends_and_comments_do_not_matter_to_an_lta(tmp_path):
    path = tmp_path / "a.lta"
    text = lta(MATRIX, 1).replace("nxforms", "# 3 7\n\nnxforms").replace("\n", "  \r\n")
    path.write_bytes(text.encode())
    np.testing.assert_allclose(read_lta(path), MATRIX)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "type None"),
        (lta(MATRIX, 14), "type 14"),
        (lta(MATRIX, 1, count=2), "2 transforms"),
        (lta(MATRIX[:3], 1), "no matrix"),
        (lta(MATRIX, 1).replace("1 4 4\n", ""), "no matrix"),
        (lta(np.zeros((4, 4)), 1), "no inverse"),
        (lta(MATRIX, 0, valid=0), "lacks the geometry"),
        (lta(MATRIX, 0).replace("cras", "none"), "lacks the geometry"),
        (lta(MATRIX, 0).replace("volume = 200 210 220", "volume = 200 210"), "in threes"),
        (lta(MATRIX, 0).replace("volume = 200", "volume = x"), "damaged"),
    ],
)
def test_a_damaged_lta_is_refused_by_name(tmp_path, text, reason):
    path = tmp_path / "a.lta"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=reason) as error:
        read_lta(path)
    assert str(path) in str(error.value)


def test_the_xfm_goes_before_the_lta(tmp_path):
    folder = tmp_path / "mri" / "transforms"
    assert to_mni305(tmp_path) is None
    other = MATRIX + np.diag([0, 0, 0.1, 0])
    write_lta(folder / "talairach.lta", other, 1)
    np.testing.assert_allclose(to_mni305(tmp_path), other)
    write_lta(folder / "talairach.xfm.lta", MATRIX, 1)
    np.testing.assert_allclose(to_mni305(tmp_path), MATRIX)
    write_xfm(folder / "talairach.xfm", XFM.format(rows(np.eye(4)[:3])))
    np.testing.assert_allclose(to_mni305(tmp_path), np.eye(4))


def test_an_lta_that_ends_elsewhere_is_not_taken_for_mni305(tmp_path):
    path = tmp_path / "mri" / "transforms" / "talairach.lta"
    write_lta(path, MATRIX, 1, "/mni305/average/RB_all_2020-01-02.gca")
    assert to_mni305(tmp_path) is None


def test_an_lta_is_checked_like_an_xfm(tmp_path):
    write_lta(tmp_path / "mri/transforms/talairach.xfm.lta", np.diag([2.0, 2, 2, 1]), 1)
    with pytest.raises(DataError, match=r"2\.00 to 2\.00"):
        to_mni305(tmp_path)


def test_an_xfm_that_is_not_fetched_is_no_reason_to_do_without(tmp_path):
    folder = tmp_path / "mri" / "transforms"
    write_lta(folder / "talairach.xfm.lta", MATRIX, 1)
    (folder / "talairach.xfm").symlink_to(tmp_path / "annex")
    with pytest.raises(DataError, match="datalad get"):
        to_mni305(tmp_path)


def transforms(data_dir, subject):
    folder = data_dir / "freesurfer" / subject / "mri" / "transforms"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.mark.parametrize(
    ("subject", "name"),
    [("bert", "talairach.auto.xfm.lta"), ("fs741", "talairach.xfm.lta")],
)
def test_freesurfers_xfm_and_its_lta_say_the_same(data_dir, subject, name):
    """One is RAS to RAS (FreeSurfer 6), the other voxel to voxel of 0.7 and 1 mm (7.4.1)."""
    folder = transforms(data_dir, subject)
    xfm = read_xfm(folder / "talairach.xfm")
    np.testing.assert_allclose(read_lta(folder / name), xfm, atol=1e-5)
    np.testing.assert_array_equal(to_mni305(folder.parents[1]), xfm)


@pytest.mark.parametrize(("subject", "median"), [("bert", 6.1), ("fs741", 3.6)])
def test_freesurfers_talairach_lta_is_another_space(data_dir, tmp_path, subject, median):
    folder = transforms(data_dir, subject)
    xfm, other = read_xfm(folder / "talairach.xfm"), read_lta(folder / "talairach.lta")
    standard = np.random.default_rng(0).uniform((-65, -90, -50), (65, 70, 75), (2000, 3))
    head = apply_affine(np.linalg.inv(xfm), standard)
    away = np.linalg.norm(apply_affine(other, head) - standard, axis=1)
    assert np.median(away) == pytest.approx(median, abs=0.3)  # mm
    # Alone it is not used.
    alone = tmp_path / "mri" / "transforms"
    alone.mkdir(parents=True)
    (alone / "talairach.lta").write_text((folder / "talairach.lta").read_text())
    assert to_mni305(tmp_path) is None
