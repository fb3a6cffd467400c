"""Parcellations of other apps are read, checked and placed: small heads, and a real subject."""

import numpy as np
import pytest

from cmb_bidsapp.anatomy.existing import ExistingParcellation
from cmb_bidsapp.anatomy.reuse import has_lobes, read_parcellation
from cmb_bidsapp.anatomy.talairach import read_xfm, to_mni305
from cmb_bidsapp.bids.images import read_labels
from cmb_bidsapp.core.errors import DataError
from tests.anatomy.subjects import (
    AFFINE,
    LAYOUTS,
    SHAPE,
    find_parcellation,
    head,
    pointer,
    save,
    wmparc,
    write,
)

#: Rigid map from a session to its longitudinal template, mm.
TO_BASE = np.array([[0.8, -0.6, 0, 5], [0.6, 0.8, 0, -3], [0, 0, 1, 8], [0, 0, 0, 1]])


def test_a_subject_is_read_with_all_it_has(tmp_path):
    save(tmp_path / "sub-01" / "mri" / "aparc+aseg.mgz", head())
    save(tmp_path / "sub-01" / "mri" / "wmparc.mgz", wmparc())
    # Only what needs the way to MNI305 reads it.
    write(tmp_path / "sub-01" / "mri" / "transforms" / "talairach.xfm", "damaged")
    read = read_parcellation(find_parcellation([tmp_path], "01", None))
    assert read.source == "FreeSurfer"
    assert read.subject_dir == tmp_path / "sub-01"
    assert np.isin([5001, 4028, 1028], read.white).all()
    np.testing.assert_array_equal(read.white == 5001, read.dseg == 2)


def test_the_head_is_cut_out_with_a_margin_and_stays_where_it_is(tmp_path):
    read = read_parcellation(
        ExistingParcellation(
            dseg=save(tmp_path / "sub-01" / "mri" / "aparc+aseg.mgz", head()), kind="FreeSurfer"
        )
    )
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
    read = read_parcellation(
        ExistingParcellation(dseg=save(tmp_path / "a.nii.gz", dseg), kind="sMRIPrep")
    )
    assert (read.dseg > 0).sum() == (dseg > 0).sum()


def test_a_longitudinal_run_is_moved_to_its_session(tmp_path):
    name = "sub-01_ses-A.long.base01"
    save(tmp_path / name / "mri" / "aparc+aseg.mgz", head())
    standard = write(
        tmp_path / name / "mri" / "transforms" / "talairach.xfm",
        "Linear_Transform = 1.1 0 0 2 0 1 0 -3 0 0 0.9 4;",
    )
    found = find_parcellation([tmp_path], "01", "A")
    # Without the transform it cannot be placed.
    with pytest.raises(DataError, match=r"sub-01_ses-A_to_base01\.lta is not there"):
        read_parcellation(found)
    numbers = "\n".join(" ".join(map(str, row)) for row in TO_BASE)
    write(
        tmp_path / "base01" / "mri" / "transforms" / "sub-01_ses-A_to_base01.lta",
        f"type = 1\nnxforms = 1\nmean = 0 0 0\nsigma = 1\n1 4 4\n{numbers}\n",
    )
    read = read_parcellation(found)
    index = np.argwhere(read.dseg == 253).mean(axis=0)
    world = read.grid.affine @ [*index, 1]
    template = AFFINE @ [*np.argwhere(head() == 253).mean(axis=0), 1]
    np.testing.assert_allclose(TO_BASE @ world, template, atol=1e-9)
    to_standard = to_mni305(read.subject_dir)
    np.testing.assert_allclose(to_standard @ world, read_xfm(standard) @ template, atol=1e-9)


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
    save(tmp_path / LAYOUTS[kind], head(full=full))
    read = read_parcellation(find_parcellation([tmp_path], "01", None))
    assert read.source == source
    assert read.white is None


def test_a_few_unknown_ids_do_no_harm(tmp_path):
    dseg = head()
    dseg[20, 20:24, 20:24] = 29
    read = read_parcellation(
        ExistingParcellation(dseg=save(tmp_path / "a.nii.gz", dseg), kind="FreeSurfer")
    )
    assert (read.dseg == 29).sum() == 16


def destrieux():
    dseg = head()
    return np.where(dseg == 1028, 11116, np.where(dseg == 2028, 12116, dseg))


@pytest.mark.parametrize(
    ("dseg", "words"),
    [
        (destrieux(), r"12116 \(30%\), 11116 \(28%\).*a2009s"),
        (np.select([head() > 1000, head() > 0], [1, 2]), "is not an aseg"),  # tissue classes
        (head() * 0, "contains nothing"),
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
        read_parcellation(ExistingParcellation(dseg=path, kind="FreeSurfer"))
    assert str(path) in str(error.value)


def test_a_damaged_file_is_refused_by_name(tmp_path):
    path = save(tmp_path / "sub-01" / "mri" / "aparc+aseg.mgz", head())
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="cannot be read"):
        read_parcellation(ExistingParcellation(dseg=path, kind="FreeSurfer"))


def test_white_matter_of_another_run_is_refused(tmp_path):
    dseg = save(tmp_path / "sub-01" / "mri" / "aparc+aseg.mgz", head())
    shifted = AFFINE.copy()
    shifted[0, 3] += 4
    for number, (labels, affine) in enumerate([(wmparc(), shifted), (wmparc()[1:], AFFINE)]):
        white = save(tmp_path / str(number) / "wmparc.mgz", labels, affine)
        with pytest.raises(DataError, match="different voxel grids"):
            read_parcellation(ExistingParcellation(dseg=dseg, kind="FreeSurfer", white=white))


def test_white_matter_that_is_not_fetched_is_not_passed_over(tmp_path):
    save(tmp_path / "sub-01" / "mri" / "aparc+aseg.mgz", head())
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


def test_a_real_subject_is_read(bert, read_bert):
    assert read_bert.source == "FreeSurfer"
    assert has_lobes(read_bert.dseg)
    assert max(read_bert.dseg.shape) < 200
    assert read_bert.subject_dir == bert
    own = read_labels(bert / "mri" / "aparc+aseg.mgz")
    dseg, affine = own.data, own.affine
    assert (read_bert.dseg > 0).sum() == (dseg > 0).sum()
    where = np.argwhere(dseg == 16).mean(axis=0)
    found = np.argwhere(read_bert.dseg == 16).mean(axis=0)
    np.testing.assert_allclose(read_bert.grid.affine @ [*found, 1], affine @ [*where, 1])
    # White matter has wmparc's ids, the rest the same ones as before.
    assert (read_bert.white >= 3001).sum() > 400_000
    subcortical = np.isin(read_bert.dseg, (10, 11, 12, 13, 49, 50, 51, 52))
    np.testing.assert_array_equal(read_bert.white[subcortical], read_bert.dseg[subcortical])


def test_a_real_subject_in_other_layouts_is_the_same_head(bert, read_bert, tmp_path):
    own = read_labels(bert / "mri" / "aparc+aseg.mgz")
    dseg, affine = own.data, own.affine
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
