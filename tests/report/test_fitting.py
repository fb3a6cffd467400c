"""Volumes that a page takes in: what is there first, and how coarse it gets."""

import gzip
from base64 import b64decode

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine

from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.report.fitting import averaged, fitted
from cmb_bidsapp.report.viewer import IMAGES, nifti, volume_file
from tests.report.heads import AFFINE, SHAPE, finish_session, loaded

PLENTY = 10**7
ALL = {"T2starw", "T1w", "regions", "outlines"}


@pytest.fixture
def visits(tmp_path):
    """Derivatives of three sessions, with noise as scans have it; voxels are 1 mm in plane."""
    made = [finish_session(tmp_path, session=label) for label in "ABC"]
    noise = np.random.default_rng(0)
    for one in made:
        for name in IMAGES:
            shades = noise.normal(120, 12, SHAPE).astype(np.uint8)
            volume_file(one, name).write_bytes(nifti(Volume(shades, AFFINE)))
    return made


def volumes_of(found):
    return {
        name: nib.Nifti1Image.from_bytes(gzip.decompress(b64decode(text)))
        for name, text in found.packed.items()
    }


def step_of(found, name):
    """Side of a voxel in plane (mm)."""
    return float(nib.affines.voxel_sizes(volumes_of(found)[name].affine).min())


def total(found):
    return sum(one.size for one in found)


def without_t1w(found):
    return total(found) - sum(len(one.packed["T1w"]) for one in found)


def test_what_fits_is_taken_in_as_it_is(finished):
    (found,) = fitted([finished], PLENTY)
    assert set(found.packed) == ALL
    assert found.note == ""
    assert found.size == sum(len(text) for text in found.packed.values())
    whole, _ = loaded(volume_file(finished, "T2starw"))
    assert np.array_equal(volumes_of(found)["T2starw"].dataobj, whole)


def test_the_t1w_gets_coarser_first_and_no_coarser_than_it_must(visits):
    full = fitted(visits, PLENTY)
    tight = fitted(visits, total(full) - 1)
    assert total(tight) < total(full)
    for one, other in zip(tight, full, strict=True):
        assert one.packed["T2starw"] == other.packed["T2starw"]
        assert one.note == "the T1w is downsampled to 1.1 mm"
        assert 1 < step_of(one, "T1w") < 1.2


def test_the_t1w_is_left_out_before_any_t2star_gets_coarser(visits):
    full = fitted(visits, PLENTY)
    tight = fitted(visits, without_t1w(full) + 100)
    for one, other in zip(tight, full, strict=True):
        assert set(one.packed) == ALL - {"T1w"}
        assert one.packed["T2starw"] == other.packed["T2starw"]
        assert one.note == "the volume of the T1w is omitted"


def test_the_t2star_of_all_sessions_gets_coarser_alike_before_one_is_left_out(visits):
    full = fitted(visits, PLENTY)
    tight = fitted(visits, int(0.75 * without_t1w(full)))
    steps = {round(step_of(one, "T2starw"), 3) for one in tight}
    assert len(steps) == 1
    assert 1 < steps.pop() <= 1.65
    assert all("the T2*w is downsampled to 1." in one.note for one in tight)
    assert total(tight) <= 0.75 * without_t1w(full)


def test_if_not_all_fit_the_first_and_the_latest_stay(visits):
    full = fitted(visits, PLENTY)
    found = fitted(visits, without_t1w(full) // 3)
    assert [bool(one.packed) for one in found] == [True, False, True]
    assert found[1].note == "the volumes are omitted"
    assert [one.packed for one in fitted(visits, 100)] == [{}, {}, {}]


def test_outputs_without_volumes_have_none(tmp_path):
    files = finish_session(tmp_path, t1w=False)
    assert "T1w" not in fitted([files], PLENTY)[0].packed
    volume_file(files, "regions").unlink()
    assert fitted([files], PLENTY)[0].packed == {}


@pytest.mark.parametrize(
    ("step", "shape"), [(2.0, (4, 2, 3)), (1.6, (5, 2, 3)), (4 / 3, (6, 3, 3))]
)
def test_longer_voxels_are_means_and_stay_in_their_place(step, shape):
    ramp = np.add.outer(20 * np.arange(8), 5 * np.arange(4))[..., None] + np.zeros(3)
    made = averaged(Volume(ramp.astype(np.uint8), AFFINE), step)
    means = made.data
    assert means.shape == shape
    assert means.mean() == pytest.approx(ramp.mean(), abs=0.5)
    # The image is a plane: at any place both have the same value, to a tenth of a voxel.
    for voxel in [(1, 1, 1), (2, 0, 2)]:
        i, j, _ = apply_affine(np.linalg.inv(AFFINE) @ made.affine, voxel)
        assert means[voxel] == pytest.approx(20 * i + 5 * j, abs=2)


def test_an_image_that_is_as_coarse_is_left_as_it_is():
    image = Volume(np.zeros((7, 4, 3), np.uint8), AFFINE)
    assert averaged(image, 1.0) is image
    assert averaged(image, 0.0) is image
