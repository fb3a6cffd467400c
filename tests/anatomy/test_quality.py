"""Measures of the anatomy on masks and label volumes whose sizes are known."""

import math

import numpy as np
import pytest

from cmb_bidsapp.anatomy.parcellation import Parcellation
from cmb_bidsapp.anatomy.quality import (
    COLUMNS,
    STRUCTURE_ML,
    USUAL_HEAD_ML,
    Measure,
    brain_measures,
    contrast_measures,
    impossible,
    region_measures,
    registration_measures,
    share_beyond,
    warnings,
)
from cmb_bidsapp.anatomy.reuse import read_parcellation
from cmb_bidsapp.bids.tables import read_table, write_table
from cmb_bidsapp.preprocess.resampling import Grid
from tests.anatomy.subjects import find_parcellation

#: Voxels of 1 ml.
CENTIMETER = (10.0, 10.0, 10.0)
#: A usual head: milliliters of every FreeSurfer id.
ADULT = {
    **{2: 230, 41: 230, 251: 4, 77: 2, 3: 3, 42: 3, 1028: 250, 2028: 250},
    **{7: 14, 46: 14, 8: 55, 47: 55, 4: 10, 43: 9, 5: 1, 72: 1},
    **{10: 7, 49: 7, 11: 4, 50: 4, 12: 5, 51: 5, 13: 2, 52: 2, 17: 4, 53: 4},
    **{16: 20, 14: 1, 24: 30, 28: 4, 60: 4},
}


def parcellation(milliliters, spacing=CENTIMETER):
    """A row of voxels with so many of every id."""
    dseg = np.repeat(*np.array([*milliliters.items()], np.int32).T)[:, None, None]
    return Parcellation(dseg=dseg, grid=Grid(dseg.shape, np.diag([*spacing, 1.0])))


def volume_of_adult(*labels):
    return sum(ADULT[label] for label in labels)


def by_name(measures):
    found = {m.measure: m for m in measures}
    assert len(found) == len(measures)
    return found


def flagged(measures):
    return {m.measure: m.flag for m in measures if m.flag != "ok"}


# Limits


@pytest.mark.parametrize(
    ("value", "flag"), [(1.999, "low"), (2.0, "ok"), (3.0, "ok"), (4.0, "ok"), (4.001, "high")]
)
def test_limits_belong_to_what_is_plausible(value, flag):
    assert Measure(measure="x", value=value, units="ml", low=2.0, high=4.0).flag == flag


def test_a_limit_that_is_not_there_is_not_passed():
    assert Measure(measure="x", value=-1e9, units="ml", low=None, high=4.0).flag == "ok"
    assert Measure(measure="x", value=1e9, units="ml", low=2.0, high=None).flag == "ok"
    assert Measure(measure="x", value=1e9, units="ml").flag == "ok"


@pytest.mark.parametrize(("low", "high", "flag"), [(1.0, None, "low"), (None, 1.0, "high")])
def test_what_is_no_number_is_not_ok(low, high, flag):
    assert Measure(measure="x", value=math.nan, units="ml", low=low, high=high).flag == flag


def test_rows_have_the_columns_and_survive_the_table(tmp_path):
    path = tmp_path / "qc.tsv"
    measures = [
        Measure(measure="one", value=3.0, units="ml", low=None, high=2.0),
        Measure(measure="other", value=0.5, units="share", low=0.25, high=None),
    ]
    write_table(path, list(COLUMNS), (m.row() for m in measures), COLUMNS)
    one, other = read_table(path)
    assert list(one) == list(COLUMNS) == list(measures[0].row())
    assert [*one.values()] == ["one", "3", "ml", "n/a", "2", "high"]
    assert [*other.values()] == ["other", "0.5", "share", "0.25", "n/a", "ok"]
    assert {m.flag for m in measures} <= set(COLUMNS["flag"]["Levels"])


# Masks


@pytest.mark.parametrize(
    ("voxels", "flag"),
    [(899, "low"), (900, "ok"), (2100, "ok"), (2101, "high"), (2305, "high"), (0, "low")],
)
def test_the_volume_of_a_brain_is_in_milliliters(voxels, flag):
    mask = np.zeros((20, 20, 20), bool)
    mask.flat[:voxels] = True
    volume, *_ = brain_measures("T1w", mask, CENTIMETER, 0.98)
    assert (volume.measure, volume.value, volume.units) == ("T1w brain volume", voxels, "ml")
    assert volume.flag == flag
    # The same head in voxels of another shape.
    same, *_ = brain_measures("T1w", mask, (2.5, 4.0, 100.0), 0.98)
    assert same.value == pytest.approx(voxels)


def ball(spacing=(2.0, 2.0, 2.0), radius=60.0):
    """A round brain of 905 ml in the middle of an image that holds it."""
    half = [int(np.ceil(radius / step)) + 2 for step in spacing]
    axes = np.ogrid[tuple(slice(-n, n + 1) for n in half)]
    return sum((axis * step) ** 2 for axis, step in zip(axes, spacing, strict=True)) <= radius**2


def without(mask, axis, end, share):
    """The image cut where the brain lacks about a share of it; what it lacks indeed."""
    areas = mask.sum(axis=tuple(a for a in range(3) if a != axis))
    first = int(np.searchsorted(np.cumsum(areas) / areas.sum(), share)) + 1
    kept = np.moveaxis(mask, axis, 0)[first:]
    image = np.moveaxis(kept if end == 0 else kept[::-1], 0, axis)
    return image, 1 - image.sum() / mask.sum()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", [0, -1])
@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (0.9, 0.9, 4.0), (1.0, 1.0, 3.0)])
@pytest.mark.parametrize("share", [0.01, 0.03, 0.06])
def test_what_lies_beyond_a_face_is_estimated(axis, end, spacing, share):
    image, lacking = without(ball(spacing), axis, end, share)
    _, beyond, _ = brain_measures("T2starw", image, spacing, 0.98)
    assert beyond.measure == "T2starw brain beyond the field of view"
    # The face shows the middle of its voxels: up to half a slice more is there.
    assert beyond.value == pytest.approx(lacking, abs=0.015)
    assert beyond.flag == "ok"


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("share", [0.15, 0.3, 0.5, 0.7])
def test_a_brain_of_which_much_is_not_seen_is_flagged(axis, share):
    image, _ = without(ball(), axis, 0, share)
    assert brain_measures("T1w", image, (2.0, 2.0, 2.0), 0.98)[1].flag == "high"


@pytest.mark.parametrize(("sure", "flag"), [(0.981, "ok"), (0.95, "low"), (0.0, "low")])
def test_a_brain_that_the_network_is_not_sure_of_is_flagged(sure, flag):
    *_, certainty = brain_measures("T2starw", ball(), (2.0, 2.0, 2.0), sure)
    assert certainty.flag == flag
    assert (len(warnings([certainty])) == 1) == (flag == "low")


@pytest.mark.parametrize(("volume", "refused"), [(27.0, 0), (134.0, 0), (322.0, 1)])
def test_a_structure_of_many_times_its_volume_is_impossible(volume, refused):
    found = impossible(
        [Measure(measure="thalamus volume", value=volume, units="ml", low=8.0, high=27.0)]
    )
    assert len(found) == refused
    assert all("thalamus volume is 322 ml" in words for words in found)


def test_a_large_section_on_a_face_is_little_where_the_brain_narrows_fast():
    # As where the lowest slice goes through the cerebellum, or an image ends where the brain does.
    image, lacking = without(ball(), 2, 0, 0.04)
    areas = image.sum(axis=(0, 1))
    assert areas[0] > 0.3 * areas.max()
    assert lacking < 0.05
    tight = ball()[2:-2, 2:-2, 2:-2]
    assert share_beyond(tight) < 0.001


def test_the_cord_goes_on_but_is_little():
    mask = ball()
    mask[29:34, 29:34, :10] = True
    assert 0 < share_beyond(mask) < 0.02


def test_a_brain_away_from_the_faces_is_whole_and_none_at_all_is_not_cut():
    mask = np.zeros((8, 8, 8), bool)
    assert share_beyond(mask) == 0
    mask[1:-1, 1:-1, 1:-1] = True
    assert share_beyond(mask) == 0


# Registration


def test_registration_is_measured_by_masks_images_and_what_is_shown():
    limits = (0.90, 0.10, 0.90)
    assert flagged(registration_measures(*limits)) == {}
    below = flagged(registration_measures(*(np.nextafter(limit, 0) for limit in limits)))
    assert [*below.values()] == ["low"] * 3
    assert flagged(registration_measures(0.95, math.nan, 1.0)) == {
        "mutual information of T1w and T2*w": "low"
    }


def test_a_t1w_as_bright_and_dark_as_the_t2star_is_told_with_the_file():
    name = "sub-01/anat/sub-01_T1w.nii.gz"
    assert flagged(contrast_measures(0.5, 0.5, name)) == {}
    found = contrast_measures(np.nextafter(0.5, 1), math.nan, name)
    assert flagged(found) == {"correlation of T1w and T2*w": "high"}
    # An echo of quite another time may differ; its fluid is still not dark.
    other = contrast_measures(0.1, 0.61, name)
    assert flagged(other) == {"ventricles by white matter in the T1w": "high"}
    assert f"{name} may be a T2*w" in warnings(other)[0]
    (told,) = warnings(found)
    assert f"{name} may be a T2*w image; check it" in told
    assert contrast_measures(math.nan, math.nan, name) == [], "unknown is not told"


# Regions


def test_the_volumes_of_a_usual_head_are_those_of_its_structures():
    measures = by_name(region_measures(parcellation(ADULT), USUAL_HEAD_ML))
    assert {name: m.value for name, m in measures.items() if name.endswith("volume")} == {
        "thalamus volume": volume_of_adult(10, 49),
        "caudate volume": volume_of_adult(11, 50),
        "putamen volume": volume_of_adult(12, 51),
        "pallidum volume": volume_of_adult(13, 52),
        "hippocampus volume": volume_of_adult(17, 53),
        "brainstem volume": volume_of_adult(16),
        "cerebellum volume": volume_of_adult(7, 8, 46, 47),
        "cerebrum volume": volume_of_adult(2, 41, 77, 251, 3, 42, 1028, 2028),
        "ventricles volume": volume_of_adult(4, 43, 5, 72),
    }
    assert flagged(measures.values()) == {}


def test_the_size_of_a_voxel_counts():
    measures = by_name(region_measures(parcellation(ADULT, (5.0, 10.0, 20.0)), USUAL_HEAD_ML))
    assert measures["thalamus volume"].value == pytest.approx(14)
    measures = by_name(region_measures(parcellation(ADULT, (5.0, 10.0, 10.0)), USUAL_HEAD_ML))
    assert measures["thalamus volume"].value == pytest.approx(7)


@pytest.mark.parametrize(
    ("ids", "volumes", "name"),
    [
        ((10, 49), (7, 8, 27, 28), "thalamus"),
        ((11, 50), (3, 4, 13, 14), "caudate"),
        ((12, 51), (4, 5, 20, 21), "putamen"),
        ((13, 52), (1, 2, 6, 7), "pallidum"),
        ((17, 53), (3, 4, 12, 13), "hippocampus"),
        ((16,), (11, 12, 38, 39), "brainstem"),
        ((7, 46, 8, 47), (74, 75, 220, 221), "cerebellum"),
        ((2, 41, 1028, 2028), (587, 588, 1588, 1589), "cerebrum"),  # and 12 of other ids
        ((4, 43), (0, 1, 198, 199), "ventricles"),  # and 2 of other ids
    ],
)
def test_volumes_beyond_those_of_adults_are_flagged(ids, volumes, name):
    flags = []
    for volume in volumes:
        share, rest = divmod(volume, len(ids))
        head = {**ADULT, **{label: share + (n < rest) for n, label in enumerate(ids)}}
        found = flagged(region_measures(parcellation(head), USUAL_HEAD_ML))
        # One voxel more on one side can be much of what is small.
        flags.append(found.get(f"{name} volume", "ok"))
        assert set(found) <= {f"{name} volume", f"{name} asymmetry"}
    assert flags == ["low", "ok", "ok", "high"]


@pytest.mark.parametrize(
    ("left", "right", "name", "within", "beyond"),
    [
        (1028, 2028, "cerebrum", (187, 147), (188, 147)),  # and 233 on either side
        (8, 47, "cerebellum", (49, 35), (50, 35)),  # and 14 on either side
        (10, 49, "thalamus", (9, 7), (10, 7)),
        (12, 51, "putamen", (23, 17), (24, 17)),
        (17, 53, "hippocampus", (47, 33), (48, 33)),
    ],
)
@pytest.mark.parametrize("mirrored", [False, True])
def test_sides_may_differ_by_a_share_of_their_mean(left, right, name, within, beyond, mirrored):
    ids = (right, left) if mirrored else (left, right)

    def measure(sizes):
        head = {**ADULT, **dict(zip(ids, sizes, strict=True))}
        return by_name(region_measures(parcellation(head), USUAL_HEAD_ML))[f"{name} asymmetry"]

    assert measure((20, 20)).value == 0
    assert measure(within).flag == "ok"
    assert measure(beyond).flag == "high"


def test_asymmetry_is_the_difference_over_the_mean():
    head = {**ADULT, 10: 9, 49: 7}
    measure = by_name(region_measures(parcellation(head), USUAL_HEAD_ML))["thalamus asymmetry"]
    assert (measure.value, measure.low, measure.high) == (2 / 8, None, 0.25)
    assert by_name(region_measures(parcellation({**ADULT, 10: 9, 49: 0}), USUAL_HEAD_ML))[
        "thalamus asymmetry"
    ].value == pytest.approx(2)


def test_what_has_no_side_is_on_neither():
    plain = by_name(region_measures(parcellation(ADULT), USUAL_HEAD_ML))["cerebrum asymmetry"]
    more = by_name(region_measures(parcellation({**ADULT, 251: 90, 77: 50}), USUAL_HEAD_ML))[
        "cerebrum asymmetry"
    ]
    assert plain.value == more.value == 0


def test_a_structure_that_is_not_there_is_flagged_once():
    head = {label: size for label, size in ADULT.items() if label not in (12, 51)}
    measures = region_measures(parcellation(head), USUAL_HEAD_ML)
    assert flagged(measures) == {"putamen volume": "low"}
    assert all(math.isfinite(m.value) for m in measures)
    assert set(by_name(region_measures(parcellation(ADULT), USUAL_HEAD_ML))) - set(
        by_name(measures)
    ) == {"putamen asymmetry"}


def test_freesurfers_sample_subject_is_within_the_limits(data_dir):
    found = find_parcellation([data_dir / "freesurfer"], "bert", None)
    if found is None:
        pytest.skip("there is no subject bert")
    assert flagged(region_measures(read_parcellation(found), USUAL_HEAD_ML)) == {}


# Words


def test_what_is_out_of_its_limits_is_said_in_words():
    measures = [
        Measure(measure="putamen volume", value=24.678, units="ml", low=5.0, high=20.0),
        Measure(measure="thalamus volume", value=15.0, units="ml", low=8.0, high=27.0),
        Measure(measure="T1w brain volume", value=2456.7, units="ml", low=900.0, high=2400.0),
        Measure(
            measure="overlap of the brain masks",
            value=0.81234,
            units="Dice",
            low=0.9,
            consequence="look twice",
        ),
    ]
    (line,) = warnings(measures)
    assert line == (
        "check the anatomy: putamen volume is 24.7 ml (expected at most 20); "
        "T1w brain volume is 2457 ml (expected at most 2400); "
        "overlap of the brain masks is 0.812 Dice (expected at least 0.9): look twice"
    )
    assert warnings([]) == ()


@pytest.mark.parametrize(("head_ml", "flag"), [(1500, "high"), (2100, "ok"), (900, "high")])
def test_a_large_head_may_have_large_structures(head_ml, flag):
    head = {**ADULT, 17: 7, 53: 7}
    measure = by_name(region_measures(parcellation(head), head_ml))["hippocampus volume"]
    assert measure.flag == flag


@pytest.mark.parametrize("head_ml", [0.0, 100.0, 9000.0])
def test_a_mask_that_is_wrong_does_not_take_all_limits_along(head_ml):
    for measure in region_measures(parcellation(ADULT), head_ml):
        if measure.units == "ml":
            low, high = STRUCTURE_ML[measure.measure.removesuffix(" volume")]
            assert 0.6 * low <= measure.low <= 1.6 * low
            assert 0.6 * high <= measure.high <= 1.6 * high
