"""Fields and signals against the formulas of a sphere and of a long cylinder."""

import numpy as np
import pytest
from scipy import ndimage

from cmb_bidsapp.core.labels import STRUCTURES
from cmb_bidsapp.preprocess.dipole import dipole_field
from cmb_bidsapp.simulate.physics import (
    GAMMA_BAR,
    R2_PRIME_PER_PPM,
    Source,
    draw,
    interpolation_matrix,
    phase_per_ppm,
    resample,
    signal_factor,
)
from cmb_bidsapp.simulate.tissues import TISSUES

STEP = 0.25
#: Half of a box of 96 voxels: the middle lies on a voxel.
AXIS = (np.arange(96) - 48) * STEP
BOX = (AXIS, AXIS, AXIS)
ISOTROPIC = (STEP, STEP, STEP)
MIDDLE = 48


def sphere(radius, chi=1.0):
    return Source(kind="cmb", chi=chi, semi_axes=(radius,) * 3, path=np.zeros((1, 3)))


def vessel(direction, radius=1.0, chi=0.3):
    ends = np.outer([-40.0, 40.0], np.array(direction) / np.linalg.norm(direction))
    return Source(kind="vein", chi=chi, semi_axes=(radius,) * 3, path=ends)


@pytest.fixture(scope="module")
def sphere_field():
    """Field of a sphere of 2 mm and 1 ppm, in ppm."""
    return dipole_field(draw(sphere(2.0), BOX), ISOTROPIC)


def radius_of_phase(field, chi, b0, te_ms, limit=np.pi / 2):
    """Distance on the equator at which the phase falls to ``limit``."""
    phase = np.abs(field[MIDDLE:, MIDDLE, MIDDLE]) * chi * phase_per_ppm(b0, te_ms)
    falling = slice(int(phase.argmax()), 40)
    return float(np.interp(-limit, -phase[falling], AXIS[MIDDLE:][falling]))


def test_phase_per_ppm():
    assert phase_per_ppm(3.0, 20) == pytest.approx(2 * np.pi * GAMMA_BAR * 3.0 * 0.020)
    assert pytest.approx(16.05, abs=0.01) == phase_per_ppm(3.0, 20)


@pytest.mark.parametrize(("chi", "ratio"), [(0.4, 1.11), (1.0, 1.50), (2.0, 1.90)])
def test_radius_of_the_quarter_turn_contour(sphere_field, chi, ratio):
    assert radius_of_phase(sphere_field, chi, 3.0, 20) / 2.0 == pytest.approx(ratio, rel=0.03)
    formula = (4 * GAMMA_BAR * 3.0 * 0.020 * chi / 3) ** (1 / 3)
    assert formula == pytest.approx(ratio, abs=0.006)


def test_outside_a_sphere_the_field_is_that_of_a_dipole(sphere_field):
    x, y, z = np.meshgrid(*BOX, indexing="ij")
    r = np.sqrt(x**2 + y**2 + z**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = (2.0 / r) ** 3 * (3 * (z / r) ** 2 - 1) / 3
    shell = (r > 3.0) & (r < 6.0)
    np.testing.assert_allclose(sphere_field[shell], expected[shell], atol=0.01)
    assert np.corrcoef(sphere_field[shell], expected[shell])[0, 1] > 0.999


def test_inside_a_sphere_there_is_no_field(sphere_field):
    r = np.sqrt(sum(a**2 for a in np.meshgrid(*BOX, indexing="ij")))
    assert np.abs(sphere_field[r < 1.5]).max() < 0.1 / 3
    assert abs(sphere_field[r < 1.5].mean()) < 0.01 / 3


def test_the_field_turns_with_b0_only(sphere_field):
    """Symmetric about the third axis; along it opposite to the equator and twice as strong."""
    np.testing.assert_allclose(sphere_field, sphere_field.transpose(1, 0, 2), atol=1e-5)
    pole = sphere_field[MIDDLE, MIDDLE, MIDDLE + 16]
    equator = sphere_field[MIDDLE + 16, MIDDLE, MIDDLE]
    assert pole > 0 > equator
    assert pole / equator == pytest.approx(-2, rel=0.05)


def test_the_field_does_not_depend_on_the_voxel_shape(sphere_field):
    coarse = (AXIS, AXIS, (np.arange(48) - 24) * 2 * STEP)
    field = dipole_field(draw(sphere(2.0), coarse), (STEP, STEP, 2 * STEP))
    for reach in (12, 16, 24):
        assert field[MIDDLE + reach, MIDDLE, 24] == pytest.approx(
            sphere_field[MIDDLE + reach, MIDDLE, MIDDLE], rel=0.05
        )


def test_only_the_product_of_field_strength_and_echo_time_counts():
    occupancy = draw(sphere(1.0), tuple(a[32:64] for a in BOX))
    at_3t = signal_factor(occupancy, ISOTROPIC, 1.0, 3.0, 20)
    at_15t = signal_factor(occupancy, ISOTROPIC, 1.0, 1.5, 40)
    np.testing.assert_allclose(at_3t, at_15t, atol=1e-5)
    assert np.abs(at_3t - signal_factor(occupancy, ISOTROPIC, 1.0, 3.0, 40)).max() > 0.5


def test_calcium_darkens_as_iron_does_with_opposite_phase():
    occupancy = draw(sphere(1.0), tuple(a[32:64] for a in BOX))
    iron = signal_factor(occupancy, ISOTROPIC, 0.8, 3.0, 20)
    calcium = signal_factor(occupancy, ISOTROPIC, -0.8, 3.0, 20)
    np.testing.assert_allclose(calcium, iron.conj(), atol=1e-5)
    assert np.abs(np.angle(iron)).max() > 1
    assert np.abs(iron).min() < 0.9


def test_a_source_decays_the_signal_by_its_r2_prime():
    occupancy = draw(sphere(2.0), tuple(a[24:72] for a in BOX))
    factor = signal_factor(occupancy, ISOTROPIC, 0.5, 3.0, 20)
    assert np.abs(factor[24, 24, 24]) == pytest.approx(
        np.exp(-R2_PRIME_PER_PPM * 0.5 * 0.020), rel=0.02
    )
    assert np.abs(factor[0, 0, 0]) == pytest.approx(1, abs=1e-5)


def test_padding_keeps_the_copies_of_a_source_away(sphere_field):
    """The small box of a source has the same phase as the large one."""
    chi = 0.2
    window = slice(MIDDLE - 20, MIDDLE + 20)
    small = tuple(a[window] for a in BOX)
    factor = signal_factor(draw(sphere(2.0), small), ISOTROPIC, chi, 3.0, 20)
    expected = sphere_field[window, window, window] * chi * phase_per_ppm(3.0, 20)
    assert np.abs(expected).max() < np.pi
    np.testing.assert_allclose(np.angle(factor), expected, atol=0.1)


@pytest.fixture(scope="module")
def vein_field():
    """Field in units of chi of a vein along the first axis, at right angles to B0."""
    return dipole_field(draw(vessel((1, 0, 0)), BOX), ISOTROPIC)


def test_inside_a_vein_across_b0(vein_field):
    assert vein_field[:, MIDDLE, MIDDLE].mean() == pytest.approx(-1 / 6, rel=0.1)


@pytest.mark.parametrize("distance", [2.0, 3.0, 4.0])
def test_outside_a_vein_across_b0(vein_field, distance):
    steps = int(distance / STEP)
    expected = 0.5 * (1.0 / distance) ** 2
    along_b0 = vein_field[:, MIDDLE, MIDDLE + steps].mean()
    aside = vein_field[:, MIDDLE + steps, MIDDLE].mean()
    # The walls of the box leave a constant: the difference of the two directions is free of it.
    assert (along_b0 - aside) / 2 == pytest.approx(expected, rel=0.1)
    assert along_b0 > 0 > aside


def test_a_vein_along_b0_has_field_inside_only():
    field = dipole_field(draw(vessel((0, 0, 1)), BOX), ISOTROPIC)
    assert field[MIDDLE, MIDDLE].mean() == pytest.approx(1 / 3, rel=0.1)
    assert np.abs(field[MIDDLE + 8 :, MIDDLE]).max() < 0.02


def test_an_oblique_vein_has_the_inside_field_of_its_angle():
    angle = np.radians(30)
    field = dipole_field(draw(vessel((np.sin(angle), 0, np.cos(angle))), BOX), ISOTROPIC)
    expected = 0.5 * (np.cos(angle) ** 2 - 1 / 3)
    near = field[MIDDLE, MIDDLE, MIDDLE - 1 : MIDDLE + 2].mean()
    assert near == pytest.approx(expected, rel=0.15)


def magnitude_loss(te_ms, slice_mm, *, chi=1.0, radius=1.0):
    """Share of the magnitude that a microbleed takes in voxels of 0.5 x 0.5 mm."""
    factor = signal_factor(draw(sphere(radius, chi), BOX), ISOTROPIC, chi, 3.0, te_ms)
    part = round(slice_mm / STEP)
    keep = 96 // part // 2 * 2 * part
    start = (96 - keep) // 2
    inside = factor[:, :, start : start + keep]
    return 1 - np.abs(inside.reshape(48, 2, 48, 2, -1, part).mean(axis=(1, 3, 5)))


@pytest.mark.parametrize("slice_mm", [1.0, 2.0, 4.0])
def test_twice_the_echo_time_enlarges_a_microbleed(slice_mm):
    before, after = ((magnitude_loss(te, slice_mm) >= 0.25).sum() for te in (20, 40))
    assert 1.5 < after / before < 3.5


def test_apparent_size_grows_with_susceptibility():
    sizes = [(magnitude_loss(20, 2.0, chi=chi) >= 0.25).sum() for chi in (0.3, 0.6, 1.2, 2.0)]
    assert sizes == sorted(set(sizes))


def test_a_microbleed_blooms():
    """It looks larger than it is."""
    dark = (magnitude_loss(20, 1.0) >= 0.25).sum() * 0.5 * 0.5 * 1.0
    assert dark > 1.5 * 4 / 3 * np.pi


def test_thick_slices_dilute_a_small_microbleed():
    losses = [magnitude_loss(20, mm, radius=0.6, chi=0.5).max() for mm in (1.0, 2.0, 4.0, 6.0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("radius", [0.15, 0.4, 1.0, 2.2])
def test_a_drawn_sphere_has_its_volume(radius):
    volume = draw(sphere(radius), BOX).sum() * STEP**3
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.05)


def test_occupancy_is_a_share():
    for source in (sphere(1.3), vessel((1, 1, 0))):
        occupancy = draw(source, BOX, np.random.default_rng(0))
        assert occupancy.min() == 0
        assert 0.8 < occupancy.max() <= 1


def test_a_drawn_ellipsoid_has_its_axes():
    source = Source(
        kind="cmb", chi=1.0, semi_axes=(3.0, 2.0, 1.0), path=np.array([[1.0, -1.0, 0.5]])
    )
    occupancy = draw(source, BOX)
    for axis, semi in enumerate(source.semi_axes):
        profile = occupancy.max(axis=tuple(a for a in range(3) if a != axis))
        found = AXIS[profile > 0.5]
        assert found.max() - found.min() == pytest.approx(2 * semi, abs=2 * STEP)
        assert (found.max() + found.min()) / 2 == pytest.approx(source.path[0, axis], abs=STEP)


def test_a_random_surface_is_reproducible_and_about_as_large():
    smooth = draw(sphere(2.0), BOX)
    uneven = [draw(sphere(2.0), BOX, np.random.default_rng(seed)) for seed in (4, 4, 5)]
    np.testing.assert_array_equal(uneven[0], uneven[1])
    assert np.abs(uneven[0] - uneven[2]).max() > 0.5
    assert np.abs(uneven[0] - smooth).max() > 0.5
    assert uneven[0].sum() == pytest.approx(smooth.sum(), rel=0.25)


def test_a_vessel_has_its_calibre():
    occupancy = draw(vessel((1, 0, 0), radius=1.0), BOX)
    area = occupancy[MIDDLE].sum() * STEP**2
    assert area == pytest.approx(np.pi, rel=0.1)
    assert occupancy[0, MIDDLE, MIDDLE] == occupancy[-1, MIDDLE, MIDDLE] == 1


def test_diameter_is_that_of_the_sphere_of_the_same_volume():
    assert sphere(1.5).diameter == pytest.approx(3.0)
    assert Source(
        kind="cmb", chi=1.0, semi_axes=(4.0, 2.0, 1.0), path=np.zeros((1, 3))
    ).diameter == pytest.approx(4.0)


def test_beyond_its_reach_a_source_has_little_phase(sphere_field):
    source = sphere(2.0, chi=0.05)
    reach = source.reach(3.0, 20)
    assert 2.0 < reach < 11
    r = np.sqrt(sum(a**2 for a in np.meshgrid(*BOX, indexing="ij")))
    beyond = np.abs(sphere_field[r > reach]) * 0.05 * phase_per_ppm(3.0, 20)
    assert beyond.max() < 0.12


def test_reach_grows_with_what_makes_a_lesion_bloom_and_has_an_end():
    weak, strong = sphere(1.0, 0.2), sphere(1.0, -2.0)
    assert weak.reach(1.5, 20) < weak.reach(3.0, 20) < strong.reach(3.0, 20)
    assert vessel((0, 0, 1)).reach(3.0, 20) > sphere(1.0, 0.3).reach(3.0, 20)
    assert sphere(5.0, 9.0).reach(7.0, 40) == 20.0


@pytest.mark.parametrize("n_in", [2, 7, 60])
def test_interpolation_rows_sum_to_one_even_outside(n_in):
    positions = np.linspace(-5, n_in + 5, 101)
    matrix = interpolation_matrix(n_in, positions)
    assert matrix.shape == (101, n_in)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
    assert matrix.min() >= 0


def test_interpolation_is_linear_and_holds_the_ends():
    positions = np.array([-3.0, 0.0, 0.25, 3.9, 8.5, 9.0, 20.0])
    found = interpolation_matrix(10, positions) @ np.arange(10)
    np.testing.assert_allclose(found, np.clip(positions, 0, 9), atol=1e-5)


def test_resampling_by_matrices_agrees_with_scipy():
    rng = np.random.default_rng(0)
    volume = rng.random((8, 9, 10)).astype(np.float32)
    positions = [rng.uniform(0, n - 1, m) for n, m in zip(volume.shape, (5, 6, 7), strict=True)]
    matrices = tuple(
        interpolation_matrix(n, p) for n, p in zip(volume.shape, positions, strict=True)
    )
    points = np.stack(np.meshgrid(*positions, indexing="ij"))
    expected = ndimage.map_coordinates(volume, points, order=1)
    np.testing.assert_allclose(resample(volume, matrices), expected, atol=1e-5)


def test_every_structure_has_a_tissue():
    assert set(TISSUES) == set(STRUCTURES)


def test_tissues_are_as_bright_as_in_t2star_weighted_images():
    def bright(name):
        tissue = TISSUES[name]
        return tissue.proton_density * np.exp(-20 / tissue.t2star_ms)

    assert bright("csf") > bright("cerebral-cortex") > bright("cerebral-wm") > bright("pallidum")
    assert TISSUES["cerebral-wm"].chi < 0 < TISSUES["pallidum"].chi
