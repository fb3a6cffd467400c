"""Which way the phase runs: dark structures, and the iron of the nuclei."""

import numpy as np
import pytest

from cmb_bidsapp.core.labels import STRUCTURES
from cmb_bidsapp.lesions.convention import IRON, find_convention, nuclei_agreement
from cmb_bidsapp.lesions.phase import PhaseImage
from cmb_bidsapp.preprocess.dipole import dipole_field
from cmb_bidsapp.preprocess.swi import homodyne
from cmb_bidsapp.simulate.physics import Source
from tests.lesions.test_phase import CUBIC, filtered, one, scan


@pytest.mark.parametrize(("conjugate", "sign"), [(False, 1), (True, -1)])
def test_the_convention_is_what_most_dark_structures_say(conjugate, sign):
    signal, affine = many()
    image = filtered(signal.conj() if conjugate else signal, affine)
    found = find_convention(image)
    assert (found.sign, found.agreeing) == (sign, 1.0)


def test_few_dark_structures_make_no_convention():
    signal, _, affine = one(CUBIC, 0.6)
    found = find_convention(filtered(signal, affine))
    assert found.sign == 0
    assert found.pieces < 8


def many():
    """Twelve sources of blood."""
    places = [(x, y, 14.0) for x in (10, 28, 46, 64) for y in (10, 28, 46)]
    sources = [
        Source(kind="vein", chi=0.8, semi_axes=(1.5,) * 3, path=np.array([place], float))
        for place in places
    ]
    return scan(sources, CUBIC, (74, 56, 28)), np.eye(4)


def nuclei(*, voxel=(1.0, 1.0, 2.0), iron=(1.0, 1.0), seed=0):
    """Phase of nuclei with so much iron on the left and the right, and their structures."""
    shape = (96, 64, 20)
    structures = np.full(shape, STRUCTURES.index("cerebral-wm"), np.uint8)
    chi = np.zeros(shape, np.float32)
    for side, share in zip((slice(20, 40), slice(56, 76)), iron, strict=True):
        for name, rows in (("caudate", (12, 22)), ("putamen", (26, 38)), ("pallidum", (42, 50))):
            box = (side, slice(*rows), slice(6, 14))
            structures[box] = STRUCTURES.index(name)
            chi[box] = IRON[name] * share
    rng = np.random.default_rng(seed)
    phase = 12 * dipole_field(chi, voxel, room=0.3) + rng.normal(0, 0.2, shape)
    magnitude, affine = np.ones(shape, np.float32), np.diag([*voxel, 1.0])
    turned = np.angle(np.exp(1j * phase)).astype(np.float32)
    return PhaseImage(magnitude, homodyne(magnitude, turned, affine), affine), structures


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("voxel", [(1.0, 1.0, 2.0), (0.6, 0.6, 5.0)])
def test_iron_of_the_nuclei_tells_the_convention_where_no_vein_does(sign, voxel):
    image, structures = nuclei(voxel=voxel, iron=(sign, sign))
    found = find_convention(image, structures)
    assert found.sign == sign
    assert found.nuclei * sign > 0.2
    assert find_convention(image).sign == 0


def test_nuclei_of_one_side_or_that_contradict_each_other_tell_nothing():
    for iron in ((1.0, 0.0), (1.0, -1.0)):
        assert find_convention(*nuclei(iron=iron)).sign == 0


def test_without_iron_there_is_no_correlation():
    averages = [find_convention(*nuclei(iron=(0.0, 0.0), seed=seed)).nuclei for seed in range(5)]
    assert max(map(abs, averages)) < 0.05


def test_sides_are_those_of_the_world_however_the_array_lies():
    image, structures = nuclei(iron=(1.0, 0.0))
    left, right = nuclei_agreement(image, structures)
    assert left > 0.2 > abs(right)
    flipped = PhaseImage(
        image.magnitude[::-1], image.passed[::-1], image.affine @ np.diag([-1.0, 1, 1, 1])
    )
    assert nuclei_agreement(flipped, structures[::-1]) == pytest.approx((left, right), abs=0.02)


@pytest.mark.parametrize(("sides", "sign"), [(0.3, 1), (-0.3, 0), (0.0, 1)])
def test_dark_structures_that_contradict_the_nuclei_leave_it_open(monkeypatch, sides, sign):
    signal, affine = many()
    image = filtered(signal, affine)
    told = "cmb_bidsapp.lesions.convention.nuclei_agreement"
    monkeypatch.setattr(told, lambda *_: (sides, sides))
    structures = np.zeros(image.magnitude.shape, np.uint8)
    assert find_convention(image, structures).sign == sign
