"""Where a point that a reader clicked lies."""

import numpy as np
import pytest

from cmb_bidsapp.anatomy.standard import Field, write_field
from cmb_bidsapp.group.places import LesionPlaces
from cmb_bidsapp.preprocess.resampling import Grid
from tests.group.readers import AFFINE, write_session


@pytest.fixture
def files(tmp_path):
    """Regions with a right frontal lobe (x > 0) and a left thalamus."""
    return write_session(tmp_path).files


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ((20.0, 0.0, 0.0), ("lobar", "frontal", "right", False)),
        ((-6.0, 0.0, -4.0), ("deep", "thalamus", "left", False)),
        ((-45.0, -45.0, 30.0), ("unassigned", "unassigned", "unassigned", False)),
    ],
)
def test_a_point_has_the_region_and_side_of_its_voxel(files, point, expected):
    found = LesionPlaces.of(files).look_up(point)
    assert tuple(found[name] for name in ("region", "mars_region", "side", "border")) == expected
    assert "mni_x" not in found


def test_a_point_beside_the_image_has_no_voxel(files):
    places = LesionPlaces.of(files)
    assert places.voxel((-49.6, -49.6, -39.0)).tolist() == [0, 0, 0]
    assert places.voxel((60.0, 0.0, 0.0)) is None
    assert places.voxel((0.0, 0.0, -90.0)) is None


def test_regions_that_cannot_be_read_are_said_to_be_so(files):
    files.mars.write_bytes(b"no image")
    with pytest.raises(ValueError, match="the regions cannot be read"):
        LesionPlaces.of(files)


def test_where_there_is_a_way_to_mni152_the_point_goes_it(files):
    shift = np.zeros((50, 50, 20, 3), np.float32)
    shift[..., 2] = 7
    write_field(Field(shift, Grid((50, 50, 20), AFFINE)), files.to_standard)
    found = LesionPlaces.of(files).look_up((20.0, 0.0, 0.0))
    assert [found[f"mni_{axis}"] for axis in "xyz"] == pytest.approx([20, 0, 7], abs=0.01)
