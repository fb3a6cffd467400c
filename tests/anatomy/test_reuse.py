"""Parcellations of other apps: small heads in every layout, and FreeSurfer's sample subject."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from cmb_bidsapp.anatomy.parcellation import Parcellation
from cmb_bidsapp.anatomy.reuse import (
    Found,
    check_same_head,
    find_parcellation,
    has_lobes,
    read_parcellation,
)
from cmb_bidsapp.anatomy.talairach import read_xfm
from cmb_bidsapp.bids.images import read_labels
from cmb_bidsapp.preprocess.resampling import Grid
from cmb_bidsapp.runtime.errors import DataError

#: FreeSurfer's axes (L, I, A), 4 mm, off-centre.
AFFINE = np.array([[-4.0, 0, 0, 85], [0, 0, 4, -60], [0, -4, 0, 92], [0, 0, 0, 1]])
SHAPE = (40, 44, 42)
#: Rigid map from a session to its longitudinal template, mm.
TO_BASE = np.array([[0.8, -0.6, 0, 5], [0.6, 0.8, 0, -3], [0, 0, 1, 8], [0, 0, 0, 1]])


def head(names=True, full=True):
    """Cortex around white matter, ventricles, thalami; x grows with falling index."""
    i, j, k = np.indices(SHAPE)
    radius = np.sqrt(((i - 20) / 15) ** 2 + ((j - 22) / 16) ** 2 + ((k - 21) / 17) ** 2)
    left = i > 20
    dseg = np.zeros(SHAPE, np.int32)
    cortex = (1028, 2028) if names else (3, 42)
    for limit, (left_id, right_id) in (
        (1.0, cortex),
        (0.75, (2, 41)),
        (0.3, (10, 49)),
        (0.2, (4, 43)),
    ):
        dseg[radius < limit] = np.where(left, left_id, right_id)[radius < limit]
    if full:
        dseg[19:22, 20:24, 26:30] = 253
    return dseg


def save(path, dseg, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = nib.MGHImage if path.suffix == ".mgz" else nib.Nifti1Image
    nib.save(kind(np.asarray(dseg), affine), path)
    return path


def subject(folder, file="aparc+aseg.mgz", dseg=None):
    return save(folder / "mri" / file, head() if dseg is None else dseg)


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def wmparc():
    dseg = head()
    return np.where(dseg == 2, 5001, np.where(dseg == 41, 4028, dseg))


def pointer(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(path.parent / "annex")
    return path


# Finding


@pytest.mark.parametrize("name", ["sub-01", "01"])
def test_a_freesurfer_subject_is_found_with_its_white_matter(tmp_path, name):
    dseg = touch(tmp_path / name / "mri" / "aparc+aseg.mgz")
    found = find_parcellation([tmp_path], "01", None)
    assert found == Found(dseg, "FreeSurfer", None, tmp_path / name)
    white = touch(tmp_path / name / "mri" / "wmparc.mgz")
    assert find_parcellation([tmp_path], "01", "A") == replace(found, white=white)


def test_a_subject_that_was_not_finished_is_not_found(tmp_path):
    touch(tmp_path / "sub-01" / "mri" / "orig.mgz")
    touch(tmp_path / "sub-01" / "mri" / "wmparc.mgz")
    assert find_parcellation([tmp_path], "01", None) is None


def test_the_sessions_own_goes_before_the_longitudinal_before_the_participants(tmp_path):
    names = ["01", "sub-01", "sub-01_ses-A.long.sub-01", "sub-01_ses-A"]
    for name in names:
        file = touch(tmp_path / name / "mri" / "aparc+aseg.mgz")
        assert find_parcellation([tmp_path], "01", "A").dseg == file, name
    assert find_parcellation([tmp_path], "01", None).subject_dir.name == "sub-01"
    assert find_parcellation([tmp_path], "01", "B").subject_dir.name == "sub-01"


@pytest.mark.parametrize(
    "name",
    ["sub-011", "sub-0", "sub-01_ses-AB", "sub-01_ses-B", "x-01", "sub-01_ses-AB.long.sub-01"],
)
def test_others_are_not_found(tmp_path, name):
    touch(tmp_path / name / "mri" / "aparc+aseg.mgz")
    touch(tmp_path / "sub-01" / f"{name}_T1w_synthseg.nii.gz")
    touch(tmp_path / "sub-01" / "anat" / f"{name}_desc-aseg_dseg.nii.gz")
    assert find_parcellation([tmp_path], "01", "A") is None


def test_the_template_of_a_longitudinal_run_is_in_no_scans_space(tmp_path):
    touch(tmp_path / "sub-01" / "mri" / "aparc+aseg.mgz")
    touch(tmp_path / "sub-01" / "base-tps")
    assert find_parcellation([tmp_path], "01", "A") is None


def test_fastsurfer_is_known_by_its_files_best_first(tmp_path):
    mri = tmp_path / "sub-01" / "mri"
    touch(mri / "aparc+aseg.mgz")
    for name in ("deep", "deep.withCC", "mapped"):
        file = touch(mri / f"aparc.DKTatlas+aseg.{name}.mgz")
        found = find_parcellation([tmp_path], "01", None)
        assert (found.dseg, found.kind) == (file, "FastSurfer")
    white = touch(mri / "wmparc.DKTatlas.mapped.mgz")
    assert find_parcellation([tmp_path], "01", None).white == white


def test_smripreps_areas_go_before_its_structures_the_session_before_the_participant(tmp_path):
    for name in (
        "sub-01/anat/sub-01_desc-aseg_dseg.nii.gz",
        "sub-01/anat/sub-01_desc-aparcaseg_dseg.nii.gz",
        "sub-01/ses-A/anat/sub-01_ses-A_run-2_desc-aseg_dseg.nii.gz",
        "sub-01/ses-A/anat/sub-01_ses-A_run-2_space-T1w_desc-aparcaseg_dseg.nii.gz",
        "sub-01/ses-A/anat/sub-01_ses-A_run-2_desc-aparcaseg_dseg.nii.gz",
    ):
        file = touch(tmp_path / name)
        assert find_parcellation([tmp_path], "01", "A") == Found(file, "sMRIPrep")
    found = find_parcellation([tmp_path], "01", "B")
    assert found.dseg.name == "sub-01_desc-aparcaseg_dseg.nii.gz"


@pytest.mark.parametrize(
    "name",
    [
        "sub-01_space-MNI152NLin2009cAsym_desc-aparcaseg_dseg.nii.gz",
        "sub-01_space-T1w_res-1mm_desc-aparcaseg_dseg.nii.gz",
        "sub-01_dseg.nii.gz",
        "sub-01_desc-brain_mask.nii.gz",
        "sub-01_desc-aparcaseg_dseg.tsv",
        "sub-01_ses-A-x_desc-aparcaseg_dseg.nii.gz",
        "sub-02_desc-aparcaseg_dseg.nii.gz",
        "sub-01_desc-synthseg_T1w.nii.gz",
        "sub-01_T1w_synthseg_posteriors.nii.gz",
        "sub-01_T2starw_synthseg.nii.gz",
        "sub-01_space-MNI152_T1w_synthseg.nii.gz",
        "sub-01_T1w.nii.gz",
        "T1w_synthseg.nii.gz",
    ],
)
def test_images_of_other_things_or_in_other_spaces_are_not_taken(tmp_path, name):
    touch(tmp_path / "sub-01" / "anat" / name)
    touch(tmp_path / name)
    assert find_parcellation([tmp_path], "01", "A") is None


@pytest.mark.parametrize("place", [".", "sub-01", "sub-01/anat"])
@pytest.mark.parametrize(
    "name",
    [
        "sub-01_T1w_synthseg.nii.gz",
        "sub-01_acq-highres_run-01_T1w_SynthSeg.mgz",
        "sub-01_synthseg.nii",
        "sub-01_desc-synthseg_dseg.nii.gz",
        "sub-01_space-T1w_desc-synthseg_dseg.nii.gz",
    ],
)
def test_synthsegs_output_is_found_by_its_name(tmp_path, place, name):
    file = touch(tmp_path / place / name)
    assert find_parcellation([tmp_path], "01", None) == Found(file, "SynthSeg")


def test_synthsegs_output_of_the_session_goes_first(tmp_path):
    touch(tmp_path / "sub-01_T1w_synthseg.nii.gz")
    touch(tmp_path / "sub-01_ses-B_T1w_synthseg.nii.gz")
    own = touch(tmp_path / "sub-01" / "ses-A" / "anat" / "sub-01_ses-A_T1w_synthseg.nii.gz")
    assert find_parcellation([tmp_path], "01", "A").dseg == own


def test_folders_are_asked_in_their_order(tmp_path):
    subjects = touch(tmp_path / "a" / "sub-01" / "mri" / "aparc+aseg.mgz")
    images = touch(tmp_path / "b" / "sub-01_ses-A_T1w_synthseg.nii.gz")
    none = tmp_path / "none"
    a, b = tmp_path / "a", tmp_path / "b"
    assert find_parcellation([none, a, b], "01", "A").dseg == subjects
    assert find_parcellation([none, b, a], "01", "A").dseg == images
    assert find_parcellation([none], "01", "A") is None
    assert find_parcellation([], "01", "A") is None


@pytest.mark.parametrize(
    "name", ["sub-01/mri/aparc+aseg.mgz", "sub-01/anat/sub-01_desc-aseg_dseg.nii.gz"]
)
def test_what_is_not_fetched_is_found_and_reading_says_so(tmp_path, name):
    path = pointer(tmp_path / name)
    found = find_parcellation([tmp_path], "01", None)
    assert found.dseg == path
    with pytest.raises(DataError, match="datalad get"):
        read_parcellation(found)


# Reading


def test_a_subject_is_read_with_all_it_has(tmp_path):
    subject(tmp_path / "sub-01")
    subject(tmp_path / "sub-01", "wmparc.mgz", wmparc())
    xfm = tmp_path / "sub-01" / "mri" / "transforms" / "talairach.xfm"
    xfm.parent.mkdir()
    xfm.write_text("MNI\nLinear_Transform = \n1.1 0 0 2\n0 1 0 -3\n0 0 0.9 4;\n")
    read = read_parcellation(find_parcellation([tmp_path], "01", None))
    assert read.source == "FreeSurfer"
    np.testing.assert_allclose(read.to_mni305, read_xfm(xfm))
    assert np.isin([5001, 4028, 1028], read.white).all()
    np.testing.assert_array_equal(read.white == 5001, read.dseg == 2)


def test_the_head_is_cut_out_with_a_margin_and_stays_where_it_is(tmp_path):
    read = read_parcellation(Found(subject(tmp_path / "sub-01"), "FreeSurfer"))
    assert read.dseg.dtype == np.int32
    assert read.dseg.shape == read.grid.shape
    inside = np.argwhere(read.dseg > 0)
    assert inside.min(axis=0).tolist() == [3, 3, 3]
    assert (read.dseg.shape - inside.max(axis=0)).tolist() == [4, 4, 4]
    for label in (1028, 2028, 2, 41, 10, 253):
        expected = np.argwhere(head() == label).mean(axis=0)
        index = np.argwhere(read.dseg == label).mean(axis=0)
        np.testing.assert_allclose(
            read.grid.affine @ [*index, 1], AFFINE @ [*expected, 1], atol=1e-9
        )
        assert (read.dseg == label).sum() == (head() == label).sum()


def test_a_head_at_the_edge_of_the_field_is_kept_whole(tmp_path):
    dseg = head()[5:, 8:36]
    read = read_parcellation(Found(save(tmp_path / "a.nii.gz", dseg), "sMRIPrep"))
    assert (read.dseg > 0).sum() == (dseg > 0).sum()


def test_a_longitudinal_run_is_moved_to_its_session(tmp_path):
    name = "sub-01_ses-A.long.base01"
    subject(tmp_path / name)
    standard = tmp_path / name / "mri" / "transforms" / "talairach.xfm"
    standard.parent.mkdir()
    standard.write_text("Linear_Transform = 1.1 0 0 2 0 1 0 -3 0 0 0.9 4;")
    found = find_parcellation([tmp_path], "01", "A")
    # Without the transform it cannot be placed.
    with pytest.raises(DataError, match=r"sub-01_ses-A_to_base01\.lta is not there"):
        read_parcellation(found)
    lta = tmp_path / "base01" / "mri" / "transforms" / "sub-01_ses-A_to_base01.lta"
    lta.parent.mkdir(parents=True)
    numbers = "\n".join(" ".join(map(str, row)) for row in TO_BASE)
    lta.write_text(f"type = 1\nnxforms = 1\nmean = 0 0 0\nsigma = 1\n1 4 4\n{numbers}\n")
    read = read_parcellation(found)
    index = np.argwhere(read.dseg == 253).mean(axis=0)
    world = read.grid.affine @ [*index, 1]
    template = AFFINE @ [*np.argwhere(head() == 253).mean(axis=0), 1]
    np.testing.assert_allclose(TO_BASE @ world, template, atol=1e-9)
    np.testing.assert_allclose(read.to_mni305 @ world, read_xfm(standard) @ template, atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "full", "source"),
    [
        ("FreeSurfer", True, "FreeSurfer"),
        ("FreeSurfer", False, "SynthSeg"),  # as recon-all-clinical writes it
        ("sMRIPrep", True, "sMRIPrep"),
        ("FastSurfer", False, "FastSurfer"),
        ("SynthSeg", False, "SynthSeg"),
        ("SynthSeg", True, "FreeSurfer"),
    ],
)
def test_the_ids_have_a_say_in_who_made_it(tmp_path, kind, full, source):
    path = save(tmp_path / "a.nii.gz", head(full=full))
    read = read_parcellation(Found(path, kind))
    assert read.source == source
    assert read.white is None
    assert read.to_mni305 is None


def test_a_few_unknown_ids_do_no_harm(tmp_path):
    dseg = head()
    dseg[20, 20:24, 20:24] = 29
    read = read_parcellation(Found(save(tmp_path / "a.nii.gz", dseg), "FreeSurfer"))
    assert (read.dseg == 29).sum() == 16


def destrieux():
    dseg = head()
    return np.where(dseg == 1028, 11116, np.where(dseg == 2028, 12116, dseg))


@pytest.mark.parametrize(
    ("dseg", "words"),
    [
        (destrieux(), r"12116 \(30%\), 11116 \(28%\).*a2009s"),
        (np.select([head() > 1000, head() > 0], [1, 2]), "is no aseg"),  # tissue classes
        (head() * 0, "holds nothing"),
        (head() * 1.5, "label image"),
        (head() * 1000, "label image"),
        (-head(), "label image"),
        (np.where(head() > 0, np.nan, 0), "label image"),
        (np.where(np.isin(head(), (41, 2028)), 0, head()), "no right cerebral white"),
        (np.where(head() == 2, 0, head()), "no left cerebral white"),
        (np.stack([head(), head()], axis=-1), "3D volume"),
    ],
)
def test_what_is_no_parcellation_is_refused_by_name(tmp_path, dseg, words):
    path = save(tmp_path / "a.nii.gz", np.asarray(dseg, np.float32))
    with pytest.raises(DataError, match=words) as error:
        read_parcellation(Found(path, "FreeSurfer"))
    assert str(path) in str(error.value)


def test_a_damaged_file_is_refused_by_name(tmp_path):
    path = subject(tmp_path / "sub-01")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="cannot be read"):
        read_parcellation(Found(path, "FreeSurfer"))


def test_white_matter_of_another_run_is_refused(tmp_path):
    dseg = subject(tmp_path / "sub-01")
    shifted = AFFINE.copy()
    shifted[0, 3] += 4
    for number, (labels, affine) in enumerate([(wmparc(), shifted), (wmparc()[1:], AFFINE)]):
        white = save(tmp_path / str(number) / "wmparc.mgz", labels, affine)
        with pytest.raises(DataError, match="other voxels"):
            read_parcellation(Found(dseg, "FreeSurfer", white))


def test_white_matter_that_is_not_fetched_is_not_passed_over(tmp_path):
    subject(tmp_path / "sub-01")
    pointer(tmp_path / "sub-01" / "mri" / "wmparc.mgz")
    with pytest.raises(DataError, match="datalad get wmparc"):
        read_parcellation(find_parcellation([tmp_path], "01", None))


def test_lobes_are_there_where_the_cortex_is_named():
    assert has_lobes(head())
    assert not has_lobes(head(names=False))
    assert not has_lobes(head(names=False) * 0)
    mixed = head()
    mixed[(mixed == 1028) & (np.arange(SHAPE[2]) < 8)] = 3
    assert has_lobes(mixed)
    # Areas by mistake do not make lobes.
    few = head(names=False)
    few[20, 20, :] = np.where(few[20, 20, :] > 0, 1028, 0)
    assert not has_lobes(few)


# The same head


def parcellation(dseg=None, affine=AFFINE):
    dseg = head() if dseg is None else dseg
    return Parcellation(dseg, Grid.of(dseg, affine), source="FreeSurfer")


def moved_by(millimetres):
    affine = AFFINE.copy()
    affine[:3, 3] += millimetres
    return affine


def test_a_parcellation_inside_its_brain_is_accepted_on_any_grid():
    brain = ndimage.binary_dilation(head() > 0)
    assert check_same_head(parcellation(), brain, AFFINE) == 1.0
    # Twice as fine, other axes: voxel (0, 0, 0) of the old grid is (0.5, 0.5, 0.5) of the new.
    fine = brain.repeat(2, 0).repeat(2, 1).repeat(2, 2).transpose(2, 0, 1)
    affine = np.eye(4)
    affine[:3, :3] = AFFINE[:3, [2, 0, 1]] / 2
    affine[:3, 3] = AFFINE[:3, 3] - AFFINE[:3, :3].sum(axis=1) / 4
    assert check_same_head(parcellation(), fine, affine) == 1.0


def test_the_measure_is_the_share_inside():
    brain = head() > 0
    brain[:, :, 30:] = False
    brain_with_nothing_near = np.zeros_like(brain)
    expected = brain.sum() / (head() > 0).sum()
    with pytest.raises(DataError, match=rf"{expected:.1%}".replace(".", r"\.")):
        check_same_head(parcellation(), brain, AFFINE)
    brain_with_nothing_near[0, 0, 0] = True
    with pytest.raises(DataError, match=r" 0\.0% "):
        check_same_head(parcellation(), brain_with_nothing_near, AFFINE)


def test_fluid_does_not_count_on_either_side():
    brain = ndimage.binary_dilation(head() > 0, iterations=2)
    assert check_same_head(parcellation(), brain, AFFINE) == 1.0
    # SynthSeg's label 24 fills what is left of the skull.
    dseg = head()
    rest = ndimage.binary_dilation(dseg > 0, iterations=3) & (dseg == 0)
    dseg[rest] = 24
    assert check_same_head(parcellation(dseg), ndimage.binary_dilation(head() > 0), AFFINE) == 1.0


@pytest.mark.parametrize("shift", [(20, 0, 0), (0, -20, 0), (5, 18, 0), (0, 0, 300)])
def test_a_head_elsewhere_is_refused_with_its_offset(shift):
    brain = ndimage.binary_dilation(head() > 0)
    with pytest.raises(DataError, match="another participant") as error:
        check_same_head(parcellation(affine=moved_by(shift)), brain, AFFINE)
    x, y, z = shift
    assert f"{np.linalg.norm(shift):.0f} mm away ({x:+d}, {y:+d}, {z:+d} in x" in str(error.value)


# A real subject


@pytest.fixture(scope="module")
def bert(data_dir):
    folder = data_dir / "freesurfer" / "bert"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.fixture(scope="module")
def read_bert(bert):
    return read_parcellation(find_parcellation([bert.parent], "bert", None))


@pytest.fixture(scope="module")
def brain(bert):
    image = nib.load(bert / "mri" / "brainmask.mgz")
    return np.asarray(image.dataobj) > 0, image.affine


def test_a_real_subject_is_read(bert, read_bert):
    assert read_bert.source == "FreeSurfer"
    assert has_lobes(read_bert.dseg)
    assert max(read_bert.dseg.shape) < 200
    np.testing.assert_allclose(
        read_bert.to_mni305, read_xfm(bert / "mri" / "transforms" / "talairach.xfm")
    )
    dseg, affine = read_labels(bert / "mri" / "aparc+aseg.mgz")
    assert (read_bert.dseg > 0).sum() == (dseg > 0).sum()
    where = np.argwhere(dseg == 16).mean(axis=0)
    found = np.argwhere(read_bert.dseg == 16).mean(axis=0)
    np.testing.assert_allclose(read_bert.grid.affine @ [*found, 1], affine @ [*where, 1])
    # White matter has wmparc's ids, the rest the same ones as before.
    assert (read_bert.white >= 3001).sum() > 400_000
    subcortical = np.isin(read_bert.dseg, (10, 11, 12, 13, 49, 50, 51, 52))
    np.testing.assert_array_equal(read_bert.white[subcortical], read_bert.dseg[subcortical])


def test_a_real_subject_lies_in_its_brain(read_bert, brain):
    mask, affine = brain
    assert check_same_head(read_bert, mask, affine) > 0.999
    # A mask that hugs the brain is fine as well: measured .995.
    tight = ndimage.binary_erosion(mask, iterations=3)
    assert check_same_head(read_bert, tight, affine) > 0.99


def test_a_real_subject_in_tkregister_space_is_refused(bert, brain, tmp_path):
    """Its c_ras is (5.4, 18, 0): 90 % of it would still lie in the brain."""
    image = nib.load(bert / "mri" / "aparc+aseg.mgz")
    dseg = np.asarray(image.dataobj)
    path = save(
        tmp_path / "sub-01_desc-aparcaseg_dseg.nii.gz", dseg, image.header.get_vox2ras_tkr()
    )
    read = read_parcellation(find_parcellation([tmp_path], "01", None))
    mask, affine = brain
    with pytest.raises(DataError, match="tkregister") as error:
        check_same_head(read, mask, affine)
    assert "in the brain, its centre" in str(error.value)
    assert "90." in str(error.value)
    assert path.exists()


def test_a_real_subject_in_other_layouts_is_the_same_head(bert, read_bert, tmp_path):
    dseg, affine = read_labels(bert / "mri" / "aparc+aseg.mgz")
    plain = np.where(dseg >= 2000, 42, np.where(dseg >= 1000, 3, dseg))
    others = {251: 2, 252: 2, 253: 2, 254: 2, 255: 2, 30: 2, 62: 41, 31: 4, 63: 43, 77: 2, 85: 0}
    synthseg = plain.copy()
    for index, instead in others.items():
        synthseg[plain == index] = instead
    for name, labels, source in (
        ("sub-01/mri/aparc.DKTatlas+aseg.deep.mgz", dseg, "FastSurfer"),
        ("sub-02/anat/sub-02_desc-aseg_dseg.nii.gz", plain, "sMRIPrep"),
        ("sub-03_T1w_synthseg.nii.gz", synthseg, "SynthSeg"),
    ):
        save(tmp_path / name, labels.astype(np.int32), affine)
        read = read_parcellation(find_parcellation([tmp_path], name[4:6], None))
        assert read.source == source
        assert has_lobes(read.dseg) == (source == "FastSurfer")
        thalamus = read.dseg == 10
        assert thalamus.sum() == (read_bert.dseg == 10).sum()
