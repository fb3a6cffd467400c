"""The density map: mass, place, sides, and what it leaves out."""

import json

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.anatomy.templates import Space, find_template
from cmb_bidsapp.group.density import Density, brain, centers_of, write_density
from cmb_bidsapp.lesions.lesion import Lesion, Status

SPACE = Space("MNI152NLin6Asym", 2)
MILLILITERS = 0.008
#: Grid points (mm) in and below the cortex, in the thalamus, the pons and the cerebellum.
PLACES = [(-38, 40, 12), (40, -70, 20), (62, -20, 4), (-10, -18, 8), (0, -28, -34), (20, -66, -40)]


def density(*scans):
    made = Density()
    for scan in scans:
        made.add(np.array(scan, float).reshape(-1, 3))
    return made


@pytest.mark.parametrize("place", PLACES)
def test_one_lesion_is_densest_where_it_lies_and_comes_to_one(place):
    data = density([place]).image()
    data, affine = data.data, data.affine
    peak = np.unravel_index(data.argmax(), data.shape)
    assert nib.affines.apply_affine(affine, peak).tolist() == list(place)
    assert data.sum() * MILLILITERS == pytest.approx(1, rel=1e-5)
    assert not data[~brain()].any()


def test_half_of_the_height_is_four_millimeters_away():
    data = density([(24, 0, 30)]).image()
    data, affine = data.data, data.affine
    x, y, z = np.rint(nib.affines.apply_affine(np.linalg.inv(affine), (24, 0, 30))).astype(int)
    assert data[x, y, z + 2] / data[x, y, z] == pytest.approx(0.5, abs=0.01)


def test_sum_is_the_mean_number_of_a_scan():
    made = density(PLACES[:3], PLACES[2:], [], [])
    data = made.image().data
    assert (made.scans, made.placed) == (4, 7)
    assert data.sum() * MILLILITERS == pytest.approx(7 / 4, rel=1e-5)


def test_lesions_at_one_place_add_up():
    once = density([PLACES[0]]).image().data
    thrice = density([PLACES[0]] * 3).image().data
    assert np.allclose(thrice, 3 * once, rtol=1e-5)


def test_mirrored_lesions_give_the_mirrored_map():
    deep = np.array([(24, 4, 30), (16, -18, 8), (30, -50, 28)])
    right = density(deep).image()
    right, affine = right.data, right.affine
    left = density(deep * (-1, 1, 1)).image().data
    assert np.abs(left[::-1] - right).max() < 1e-3 * right.max()
    x = affine[0, 0] * np.arange(len(right)) + affine[0, 3]
    assert right[x > 0].sum() > 0.99 * right.sum()
    assert left[x < 0].sum() > 0.99 * left.sum()


def test_what_is_not_in_the_map_is_counted():
    voxel = max(np.argwhere(brain()), key=lambda voxel: voxel[2])
    top = nib.affines.apply_affine(find_template(SPACE).grid.affine, voxel)
    above = [top + np.array([0, 0, up]) for up in (4, 6, 500)]
    made = density([*above, (np.nan, 0, 0), (np.nan, np.nan, np.nan)])
    assert (made.placed, made.outside, made.unplaced) == (1, 2, 2)
    assert made.image().data.sum() * MILLILITERS == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("scans", [(), ([],), ([], [])])
def test_no_lesions_are_zeros(scans):
    made = density(*scans)
    data = made.image().data
    assert made.scans == len(scans)
    assert data.shape == (91, 109, 91)
    assert not data.any()


def test_centers_of_lesions():
    placed = Lesion(status=Status.KEPT, mni_x=-38.5, mni_y=40.0, mni_z=12.0)
    found = centers_of([placed, Lesion(status=Status.KEPT, x=1.0, y=2.0, z=3.0)])
    assert found[0].tolist() == [-38.5, 40, 12]
    assert np.isnan(found[1:]).all()
    assert centers_of([]).shape == (0, 3)


def test_file_says_what_it_holds(tmp_path):
    path = tmp_path / "group_density.nii.gz"
    made = density(PLACES, [(0, 0, 500), (np.nan, 0, 0)])
    write_density(made, path)
    image = nib.load(path)
    template = find_template(SPACE).grid
    assert image.shape == template.shape
    assert np.array_equal(image.affine, template.affine)
    assert image.get_fdata().sum() * MILLILITERS == pytest.approx(len(PLACES) / 2, rel=1e-5)
    sidecar = json.loads((tmp_path / "group_density.json").read_text())
    assert sidecar["SpatialReference"] == "MNI152NLin6Asym:res-2"
    assert sidecar["Units"] == "microbleeds per scan and ml"
    assert (sidecar["Scans"], sidecar["Lesions"]) == (2, len(PLACES))
    assert (sidecar["LesionsOutsideBrain"], sidecar["LesionsWithoutPlace"]) == (1, 1)
