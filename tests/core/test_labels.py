import re

import numpy as np
import pytest

from cmb_bidsapp.core.labels import (
    CMB,
    FIRST_EXTRACEREBRAL,
    PROXY,
    PROXY_COLORS,
    PROXY_NAMES,
    STRUCTURES,
    ids,
    mirror_lookup,
    structure_classes,
    table,
    to_structures,
)

#: What FreeSurfer's aseg holds: left, right.
ASEG_PAIRS = {
    "cerebral-wm": (2, 41),
    "cerebral-cortex": (3, 42),
    "cerebellar-wm": (7, 46),
    "cerebellar-cortex": (8, 47),
    "thalamus": (10, 49),
    "caudate": (11, 50),
    "putamen": (12, 51),
    "pallidum": (13, 52),
    "hippocampus": (17, 53),
    "amygdala": (18, 54),
    "accumbens": (26, 58),
    "ventral-dc": (28, 60),
}
#: The Desikan-Killiany areas by lobe, cingulate areas where MARS counts them.
LOBES = {
    "frontal": (2, 3, 12, 14, 17, 18, 19, 20, 24, 26, 27, 28, 32),
    "temporal": (1, 6, 7, 9, 15, 16, 30, 33, 34),
    "parietal": (8, 10, 22, 23, 25, 29, 31),
    "occipital": (5, 11, 13, 21),
    "insula": (35,),
}


@pytest.mark.parametrize(("structure", "pair"), ASEG_PAIRS.items())
def test_aseg_pairs_have_their_structure_and_side(structure, pair):
    left, right = (table()[index] for index in pair)
    assert (left.structure, left.side) == (structure, "L")
    assert (right.structure, right.side) == (structure, "R")


@pytest.mark.parametrize(("lobe", "areas"), LOBES.items())
@pytest.mark.parametrize(("hemisphere", "side"), [(1000, "L"), (2000, "R")])
def test_cortical_areas_have_their_lobe(lobe, areas, hemisphere, side):
    for area in areas:
        label = table()[hemisphere + area]
        assert (label.region, label.side) == (lobe, side), label.name
        assert label.structure == "cerebral-cortex"


def test_every_cortical_area_of_aparc_is_in_the_table():
    listed = {area for areas in LOBES.values() for area in areas}
    assert listed == set(range(1, 36)) - {4}
    assert {1000 + area for area in listed} <= set(table())
    assert {2000 + area for area in listed} <= set(table())


@pytest.mark.parametrize("hemisphere", [1000, 2000])
def test_white_matter_of_wmparc_has_the_lobe_of_its_cortex(hemisphere):
    for area in set(range(1, 36)) - {4}:
        cortex, white = table()[hemisphere + area], table()[hemisphere + 2000 + area]
        assert (white.region, white.side) == (cortex.region, cortex.side), white.name
        assert white.structure == "cerebral-wm"
    deep = table()[5000 + hemisphere // 1000]
    assert (deep.structure, deep.region) == ("cerebral-wm", "white-matter")


def test_callosum_is_white_matter_of_its_own_region():
    assert ids(region="corpus-callosum") == (251, 252, 253, 254, 255)
    assert all(table()[i].structure == "cerebral-wm" for i in range(251, 256))


def test_every_structure_but_the_background_has_an_id():
    assert len(set(STRUCTURES)) == len(STRUCTURES)
    assert {label.structure for label in table().values()} == set(STRUCTURES[1:])


def test_rows_are_unique_and_well_formed():
    labels = list(table().values())
    assert len({label.name for label in labels}) == len(labels)
    for label in labels:
        assert re.fullmatch(r"#[0-9a-f]{6}", label.color), label
        assert label.side in {"L", "R", "n/a"}
        assert label.region


def test_no_brain_label_is_in_the_range_of_extracerebral_tissue():
    assert not [i for i in table() if FIRST_EXTRACEREBRAL <= i < 1000]


def test_mirror_lookup_is_an_involution():
    lookup = mirror_lookup()
    np.testing.assert_array_equal(lookup[lookup], np.arange(lookup.size))


def test_mirror_lookup_changes_exactly_the_labels_with_a_side():
    lookup = mirror_lookup()
    changed = set(np.flatnonzero(lookup != np.arange(lookup.size)).tolist())
    assert changed == {label.index for label in table().values() if label.side != "n/a"}


def test_left_and_right_of_a_pair_share_structure_and_region():
    lookup = mirror_lookup()
    for label in table().values():
        other = table()[int(lookup[label.index])]
        assert (other.structure, other.region) == (label.structure, label.region), label.name
        assert {label.side, other.side} in ({"L", "R"}, {"n/a"})


@pytest.mark.parametrize(
    ("structure", "labels"),
    [
        ("cerebral-wm", [2, 41, 77, 78, 79, 251, 255]),
        ("cerebral-cortex", [3, 42, 1001, 1035, 2001, 2035]),
        ("lateral-ventricle", [4, 5, 43, 44, 31, 63]),
        ("thalamus", [9, 10, 48, 49]),
        ("brainstem", [16]),
        ("third-ventricle", [14]),
        ("fourth-ventricle", [15]),
        ("csf", [24]),
    ],
)
def test_to_structures_groups_labels(structure, labels):
    found = to_structures(np.array(labels))
    assert found.dtype == np.uint8
    assert found.tolist() == [STRUCTURES.index(structure)] * len(labels)


@pytest.mark.parametrize("label", [0, -1, -30000, 515, 999, 2100, 5003, 32000])
def test_to_structures_turns_unknown_labels_into_background(label):
    assert to_structures(np.array([2, label, 2])).tolist() == [1, 0, 1]


def test_to_structures_keeps_the_shape_of_an_image():
    dseg = np.array(list(table()), np.int16)[None, :, None]
    assert to_structures(dseg).shape == dseg.shape
    assert to_structures(dseg).all()


def test_ids_by_structure_and_region_intersect():
    assert ids(structure="cerebral-cortex", region="insula") == (1035, 2035)
    assert ids(structure="putamen") == (12, 51)
    assert ids(structure="putamen", region="frontal") == ()
    assert len(ids()) == len(table())


def test_structure_classes_are_positions():
    assert structure_classes(["background", "csf", "cerebral-wm"]) == [
        0,
        STRUCTURES.index("csf"),
        1,
    ]
    with pytest.raises(ValueError, match="not in tuple"):
        structure_classes(["no-such-structure"])


def test_proxy_classes_leave_room_for_microbleeds():
    assert dict(PROXY) == {"background": 0, "lobar": 1, "deep": 2, "infratentorial": 3}
    assert CMB not in PROXY_NAMES
    assert set(PROXY_COLORS) == {1, 2, 3, CMB}
