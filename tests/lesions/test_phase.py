"""The sign of candidates by the phase: units, filter, fit of a dipole, scanner's convention."""

import numpy as np
import pytest

from cmb_bidsapp.lesions.lesion import PhaseSign
from cmb_bidsapp.lesions.phase import (
    Convention,
    PhaseImage,
    b0_direction,
    fit_sources,
    signs,
    to_radians,
)
from cmb_bidsapp.preprocess.swi import homodyne
from cmb_bidsapp.simulate.acquisition import apply_source
from cmb_bidsapp.simulate.grid import ScanGrid
from cmb_bidsapp.simulate.physics import Source
from cmb_bidsapp.simulate.protocols import ScanProtocol

TURN = np.linspace(-np.pi, np.pi, 4096, dtype=np.float32).reshape(16, 16, 16)
SURE = Convention(sign=1, pieces=10, agreeing=1.0)


@pytest.mark.parametrize(
    "stored",
    [
        TURN,
        TURN + np.pi,
        (TURN + np.pi) / np.pi * 2047.5,
        TURN / np.pi * 4095,
        TURN / np.pi * 180,
        TURN * 1000,
        TURN / np.pi * 0.0037,
    ],
    ids=["rad", "0..2pi", "0..4095", "-4096..4094", "degrees", "mrad", "any scale"],
)
def test_phase_of_any_unit_becomes_radians(stored):
    found = to_radians(stored.astype(np.float32))
    step = np.angle(np.exp(1j * (found - TURN)))
    # Where a turn begins does not matter.
    assert np.abs(np.angle(np.exp(1j * (step - step.flat[2000])))).max() < 0.01


def test_radians_by_the_sidecar_are_taken_as_they_are():
    assert np.array_equal(to_radians(TURN * 3, "rad"), TURN * 3)


@pytest.mark.parametrize(
    "values", [np.zeros((3, 3, 3)), np.linspace(0, 700, 27), np.linspace(-0.5, 1.1, 27)]
)
def test_what_cannot_be_a_phase_is_refused(values):
    with pytest.raises(ValueError, match=r"same value|no turn"):
        to_radians(np.asarray(values, np.float32).reshape(3, 3, 3))


def test_b0_is_the_z_of_the_scanner_along_the_axes_of_the_array():
    sagittal = np.array([[0, 0, 4.0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    assert b0_direction(sagittal) == pytest.approx([0, 1, 0])
    turn = np.radians(30)
    oblique = np.diag([1.0, 2, 3, 1])
    oblique[1:3, 1:3] = [
        [2 * np.cos(turn), -3 * np.sin(turn)],
        [2 * np.sin(turn), 3 * np.cos(turn)],
    ]
    assert b0_direction(oblique) == pytest.approx([0, 0.5, np.sqrt(0.75)])


def scan(sources, protocol, shape, *, offset=1.0):
    """Complex image of sources in tissue, a ramp of phase over it; axes RAS, B0 along the third."""
    rng = np.random.default_rng(3)
    slab = max(1, round(protocol.voxel[2] / 0.5))
    in_plane = int(np.ceil(protocol.voxel[0] / 0.25))
    grid = ScanGrid(
        origin=(0.0, 0.0, 0.0),
        voxel=protocol.voxel,
        shape=shape,
        slab=slab,
        excited=slab,
        in_plane=in_plane,
    )
    fine = np.ones((*shape[:2], shape[2] * slab), np.complex64)
    for source in sources:
        apply_source(fine, source, grid, protocol, rng)
    factor = grid.mean_of_slices(fine)
    noise = rng.standard_normal((2, *shape)) / 40
    ramp = 0.1 * np.arange(shape[0])[:, None, None] + offset * np.arange(shape[2])
    return factor * np.exp(1j * ramp) + noise[0] + 1j * noise[1]


def filtered(signal, affine):
    magnitude, phase = np.abs(signal).astype(np.float32), np.angle(signal).astype(np.float32)
    return PhaseImage(magnitude, homodyne(magnitude, phase, affine), affine)


THICK, CUBIC = (
    ScanProtocol(name="thick", b0=3, te_ms=20, voxel=(1, 1, 4), snr=25),
    ScanProtocol(name="cubic", b0=3, te_ms=20, voxel=(1, 1, 1), snr=25),
)


def one(protocol, chi):
    """A source of 3 mm in the middle of a patch, and its mask."""
    shape = tuple(int(28 / side) for side in protocol.voxel)
    center = np.array([n // 2 for n in shape]) * np.array(protocol.voxel, float)
    source = Source(kind="any", chi=chi, semi_axes=(1.5,) * 3, path=center[None])
    steps = (np.indices(shape).T * protocol.voxel - center).T
    instances = (np.linalg.norm(steps, axis=0) <= 2).astype(np.int32)
    return scan([source], protocol, shape), instances, np.diag([*map(float, protocol.voxel), 1.0])


@pytest.mark.parametrize("protocol", [THICK, CUBIC], ids=lambda p: p.name)
@pytest.mark.parametrize(
    ("chi", "sign"), [(0.6, PhaseSign.PARAMAGNETIC), (-0.6, PhaseSign.DIAMAGNETIC)]
)
def test_blood_and_calcium_have_opposite_signs(protocol, chi, sign):
    signal, instances, affine = one(protocol, chi)
    found = signs(filtered(signal, affine), instances, SURE)[1]
    assert found.sign is sign
    assert found.fit.strength * chi > 0
    # A scanner of the other convention gives the conjugate.
    other = signs(
        filtered(signal.conj(), affine), instances, Convention(sign=-1, pieces=10, agreeing=1.0)
    )[1]
    assert other.sign is sign
    unsure = signs(filtered(signal, affine), instances, Convention(sign=0, pieces=3, agreeing=0.5))[
        1
    ]
    assert unsure.sign is PhaseSign.UNDECIDED
    assert unsure.fit == found.fit


def test_the_sign_heeds_how_the_slices_lie_to_b0():
    signal, instances, affine = one(CUBIC, 0.6)
    turned = np.array([[0, 1.0, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    ((_, axial),) = fit_sources(filtered(signal, affine), instances)
    image = filtered(np.moveaxis(signal, 2, 0), turned)
    ((_, coronal),) = fit_sources(image, np.moveaxis(instances, 2, 0))
    assert coronal.evidence == pytest.approx(axial.evidence, abs=0.15)
    # B0 taken for another axis, the dipole does not fit.
    ((_, wrong),) = fit_sources(
        filtered(np.moveaxis(signal, 2, 0), affine), np.moveaxis(instances, 2, 0)
    )
    assert wrong.evidence < axial.evidence / 2


def test_where_nothing_turns_the_phase_there_is_no_sign():
    signal, instances, affine = one(CUBIC, 0.0)
    assert signs(filtered(signal, affine), instances, SURE)[1].sign is PhaseSign.UNDECIDED
