"""The field of a sphere, however B0 lies, and what room around a map is for."""

import numpy as np
import pytest

from cmb_bidsapp.preprocess.dipole import dipole_field

STEP, RADIUS = 0.5, 3.0


@pytest.fixture(scope="module")
def sphere():
    offsets = (np.indices((64, 64, 64)).T - 31.5) * STEP
    return (np.linalg.norm(offsets, axis=-1).T <= RADIUS).astype(np.float32)


@pytest.mark.parametrize("b0", [(0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.6, 0.0, 0.8)])
def test_a_sphere_raises_the_field_along_b0_and_lowers_it_across(sphere, b0):
    field = dipole_field(sphere, (STEP,) * 3, b0=b0, room=0.5)
    across = (-b0[2], 0.0, b0[0])
    for direction, sign in ((b0, 1), (across, -1)):
        place = np.round(31.5 + 6.0 / STEP * np.array(direction)).astype(int)
        offset = (place - 31.5) * STEP
        distance = np.linalg.norm(offset)
        cosine = offset @ b0 / distance
        exact = (RADIUS / distance) ** 3 / 3 * (3 * cosine**2 - 1)
        assert field[tuple(place)] == pytest.approx(exact, rel=0.1)
        assert np.sign(field[tuple(place)]) == sign


def test_with_room_the_images_of_a_source_stay_away(sphere):
    corner = np.roll(sphere, (-20, -20, -20), (0, 1, 2))
    far = (63, 63, 12)
    periodic, free = (dipole_field(corner, (STEP,) * 3, room=room)[far] for room in (0.0, 0.5))
    assert abs(free) < abs(periodic) / 5
