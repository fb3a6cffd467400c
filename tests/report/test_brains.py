"""The packaged brain as a picture: the right places, and each side on its own side."""

import numpy as np
import pytest

from cmb_bidsapp.core.labels import LEFT, MARS, RIGHT
from cmb_bidsapp.report import brains
from cmb_bidsapp.report.cohort_brains import AXIAL_MM, CORONAL_MM


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((-12, -18, 8), LEFT + MARS["thalamus"]),
        ((12, -18, 8), RIGHT + MARS["thalamus"]),
        ((-38, 40, 12), LEFT + MARS["frontal"]),
        ((20, -66, -40), RIGHT + MARS["cerebellum"]),
        ((28, 0, 0), RIGHT + MARS["basal-ganglia"]),
        ((-14, -90, 4), LEFT + MARS["occipital"]),
    ],
)
def test_map_of_the_packaged_brain(place, value):
    mars, affine = brains.mars_map()
    voxel = np.rint(np.linalg.inv(affine) @ (*place, 1))[:3].astype(int)
    assert mars[tuple(voxel)] == value


def test_a_side_view_shows_its_own_half_alone():
    for view, side in ((brains.RIGHT, RIGHT), (brains.LEFT, LEFT)):
        seen, _ = brains.outside(view)
        assert set(np.unique(seen[seen > 0]) // LEFT * LEFT) == {side}
        assert {"frontal", "parietal", "temporal", "occipital", "cerebellum", "brainstem"} <= {
            name for name, number in MARS.items() if side + number in seen
        }


def test_slices_cut_what_is_not_seen_from_outside():
    seen = {
        value
        for view, mm in ((brains.FRONT, CORONAL_MM), (brains.BELOW, AXIAL_MM))
        for value in np.unique(brains.section(view, mm)[0])
    }
    deep = range(MARS["basal-ganglia"], MARS["dpwm"] + 1)
    inside = (*deep, MARS["insula"])
    assert {side + number for side in (LEFT, RIGHT) for number in inside} <= seen
