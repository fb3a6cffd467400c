"""What candidates resemble, wherever the axes of the image point."""

import nibabel as nib
import numpy as np
import pytest
import torch

from cmb_bidsapp.lesions.lesion import Mimic
from cmb_bidsapp.lesions.mimics import mimics_of
from cmb_bidsapp.lesions.second_look import Namer

AFFINE = np.diag([0.5, 0.5, 3.0, 1.0])


@pytest.fixture
def namer():
    torch.manual_seed(3)
    return Namer()


@pytest.fixture
def pieces(scan):
    pieces = np.zeros(scan.shape, np.int32)
    pieces[58:64, 58:64, 6] = 1
    pieces[18:24, 28:33, 3] = 2
    return pieces


def test_each_candidate_resembles_something(scan, pieces, namer):
    looks = mimics_of(namer, scan, pieces, AFFINE)
    assert looks.keys() == {1, 2}
    assert all(isinstance(one.mimic, Mimic) for one in looks.values())
    assert all(1 / len(Mimic) <= one.share <= 1 for one in looks.values())
    assert looks[1].share != looks[2].share


@pytest.mark.parametrize("codes", ["LPS", "PSR", "SLA"])
def test_the_order_of_axes_does_not_matter(scan, pieces, namer, codes):
    before = mimics_of(namer, scan, pieces, AFFINE)
    turn = nib.orientations.axcodes2ornt(codes)
    image, numbers = (nib.orientations.apply_orientation(data, turn) for data in (scan, pieces))
    affine = AFFINE @ nib.orientations.inv_ornt_aff(turn, scan.shape)
    after = mimics_of(namer, image, numbers, affine)
    for number, looks in before.items():
        assert after[number].mimic is looks.mimic
        assert after[number].share == pytest.approx(looks.share, abs=1e-5)


def test_without_candidates_there_is_nothing_to_say(scan, namer):
    assert mimics_of(namer, scan, np.zeros(scan.shape, np.int32), AFFINE) == {}
