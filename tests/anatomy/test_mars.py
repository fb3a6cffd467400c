import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from cmb_bidsapp.anatomy.mars import mars_labels, on_grid
from cmb_bidsapp.anatomy.parcellation import Parcellation
from cmb_bidsapp.anatomy.proxy import Capsules, to_proxy
from cmb_bidsapp.anatomy.talairach import MNI305_TO_MNI152, read_xfm
from cmb_bidsapp.core.labels import (
    LEFT,
    MARS,
    MARS_FORM,
    MARS_LOOK,
    PROXY,
    RIGHT,
    mirror_lookup,
    table,
)
from cmb_bidsapp.preprocess.resampling import Grid

FRONTAL, TEMPORAL, INSULA = 1028, 1030, 1035
LEFT_WM, RIGHT_WM, BRAINSTEM, PUTAMEN, CAUDATE = 2, 41, 16, 12, 11
FLUID = {"lateral-ventricle", "third-ventricle", "fourth-ventricle", "csf"}
#: The lists of the paper and of FreeSurfer, written out once more as the tests' own expectation.
LOBES_OF_AREAS = {
    "frontal": (2, 3, 12, 14, 17, 18, 19, 20, 24, 26, 27, 28, 32),
    "parietal": (8, 10, 22, 23, 25, 29, 31),
    "temporal": (1, 6, 7, 9, 15, 16, 30, 33, 34),
    "occipital": (5, 11, 13, 21),
    "insula": (35,),
}


def parcellation(dseg, spacing=(1.0, 1.0, 1.0), white=None):
    return Parcellation(dseg=dseg, grid=Grid(dseg.shape, np.diag([*spacing, 1.0])), white=white)


def named_block():
    """Left white matter between frontal cortex (low x) and temporal cortex (high x)."""
    dseg = np.full((60, 6, 6), LEFT_WM, np.int32)
    dseg[:4], dseg[-4:] = FRONTAL, TEMPORAL
    return dseg


def left(name):
    return LEFT + MARS[name]


def right(name):
    return RIGHT + MARS[name]


def test_the_form_has_thirteen_regions_on_two_sides():
    assert len(MARS) == 13
    assert set(MARS_LOOK) == {side + n for side in (LEFT, RIGHT) for n in range(1, 14)}
    assert len({name for name, _ in MARS_LOOK.values()}) == 26
    assert max(MARS_LOOK) < 255  # what does not vote


def test_white_matter_has_the_lobe_of_the_nearest_cortex():
    mars = mars_labels(parcellation(named_block()))
    assert (mars[:30] == left("frontal")).all()
    assert (mars[30:] == left("temporal")).all()


def test_spacing_decides_what_is_near():
    dseg = np.full((9, 9, 1), LEFT_WM, np.int32)
    dseg[0, :, :], dseg[:, 8, :] = FRONTAL, TEMPORAL
    near_x = mars_labels(parcellation(dseg, (1.0, 4.0, 1.0)))
    near_y = mars_labels(parcellation(dseg, (4.0, 1.0, 1.0)))
    assert near_x[4, 4, 0] == left("frontal")
    assert near_y[4, 4, 0] == left("temporal")


def test_wmparc_decides_the_lobe_of_its_white_matter():
    dseg = named_block()
    white = dseg.copy()
    white[4:56] = 5001
    white[4:20] = 3030  # FreeSurfer's surfaces know better than the distance
    mars = mars_labels(parcellation(dseg, white=white))
    assert (mars[4:20] == left("temporal")).all()
    assert (mars[20:30] == left("frontal")).all()
    assert (mars[30:56] == left("temporal")).all()


@pytest.mark.parametrize("structure", ["hippocampus", "amygdala"])
def test_hippocampus_and_amygdala_are_temporal_wherever_they_lie(structure):
    dseg = named_block()
    dseg[6:10] = next(i.index for i in table().values() if i.structure == structure)
    assert (mars_labels(parcellation(dseg))[6:10] == left("temporal")).all()


def test_unnamed_cortex_has_the_lobe_of_the_nearest_named_one():
    dseg = named_block()
    dseg[4:8] = 1000
    dseg[50:56] = 3
    mars = mars_labels(parcellation(dseg))
    assert (mars[4:8] == left("frontal")).all()
    assert (mars[50:56] == left("temporal")).all()


def test_a_cortex_without_any_name_is_refused():
    dseg = named_block()
    dseg[dseg > 1000] = 3
    with pytest.raises(ValueError, match="no names"):
        mars_labels(parcellation(dseg))


def test_every_label_with_a_side_keeps_it():
    for label in table().values():
        if label.side == "n/a" or label.structure in FLUID:
            continue
        dseg = named_block()
        if label.side == "R":
            dseg = mirror_lookup()[dseg]
        dseg[10:13] = label.index
        sides = mars_labels(parcellation(dseg))[10:13] // 100
        assert (sides == (1 if label.side == "L" else 2)).all(), label.name


def test_tissue_without_a_side_takes_the_nearer_one():
    dseg = np.zeros((21, 5, 5), np.int32)
    dseg[:5], dseg[16:] = LEFT_WM, RIGHT_WM
    dseg[0], dseg[20] = FRONTAL, FRONTAL + 1000
    dseg[5:16] = BRAINSTEM
    mars = mars_labels(parcellation(dseg))
    assert (mars[5:11] == left("brainstem")).all()
    assert (mars[11:16] == right("brainstem")).all()


def test_capsules_of_an_atlas_replace_those_between_the_nuclei():
    dseg = named_block()
    dseg[20:24], dseg[28:32] = CAUDATE, PUTAMEN
    mask = np.zeros(dseg.shape, bool)
    plain = mars_labels(parcellation(dseg))
    assert (plain[24:28] == left("internal-capsule")).all()
    internal, external = mask.copy(), mask.copy()
    internal[26:40], external[10:16] = True, True
    mars = mars_labels(parcellation(dseg), capsules=Capsules(internal, external))
    assert (mars[26:28] == left("internal-capsule")).all()
    assert (mars[28:32] == left("basal-ganglia")).all()  # an atlas turns no gray matter white
    assert (mars[32:40] == left("internal-capsule")).all()
    assert (mars[10:16] == left("external-capsule")).all()
    assert (mars[24:26] != left("internal-capsule")).all()


def test_the_reference_rules_make_all_unsegmented_white_matter_deep():
    dseg = named_block()
    white = dseg.copy()
    white[4:20], white[20:40], white[40:56] = 3028, 5001, 3030
    assert (to_proxy(mars_labels(parcellation(dseg, white=white))) == PROXY["lobar"]).all()
    mars = mars_labels(parcellation(dseg, white=white), rules="reference")
    assert (mars[20:40] == left("dpwm")).all()
    assert (to_proxy(mars[:20]) == PROXY["lobar"]).all()
    assert (to_proxy(mars[40:]) == PROXY["lobar"]).all()


@pytest.mark.parametrize("scale", [1 - 6e-8, 1 + 1.2e-7])
def test_the_rounding_of_a_header_changes_nothing(scale):
    rng = np.random.default_rng(4)
    dseg = named_block()
    dseg[26:29] = 4  # ventricle: white matter ends exactly 10 mm from it
    dseg[:, 3:] = np.where(dseg[:, 3:] == LEFT_WM, RIGHT_WM, dseg[:, 3:])
    dseg[0, rng.random((6, 6)) > 0.5] = TEMPORAL
    exact = mars_labels(parcellation(dseg))
    np.testing.assert_array_equal(mars_labels(parcellation(dseg, (scale, 1.0, scale))), exact)


def test_an_empty_parcellation_has_no_regions():
    assert not mars_labels(parcellation(np.zeros((4, 4, 4), np.int32))).any()


def test_on_a_thick_slice_class_and_region_agree():
    # 2 mm frontal, 2 mm DPWM, 2 mm callosum: a frontal plurality by order, but mostly deep.
    column = np.repeat([left("frontal"), left("dpwm"), left("corpus-callosum")], [2, 1, 3])
    mars = np.broadcast_to(column, (4, 4, 6)).astype(np.uint8)
    thick = np.diag([1.0, 1.0, 6.0, 1.0])
    thick[2, 3] = 2.5
    proxy, found = on_grid(mars, Grid(mars.shape, np.eye(4)), Grid((4, 4, 1), thick))
    assert (proxy == PROXY["deep"]).all()
    assert (found == left("corpus-callosum")).all()
    column = np.repeat([left("frontal"), left("dpwm"), left("thalamus"), left("insula")], 2)[:7]
    mars = np.broadcast_to(column[:6], (4, 4, 6)).astype(np.uint8)
    proxy, found = on_grid(mars, Grid(mars.shape, np.eye(4)), Grid((4, 4, 1), thick))
    assert (proxy == PROXY["deep"]).all()  # 2 mm lobar against 4 mm deep, in two regions
    assert np.isin(found, (left("dpwm"), left("thalamus"))).all()


@pytest.fixture(scope="module")
def bert(data_dir):
    folder = data_dir / "freesurfer" / "bert" / "mri"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    aparc, wmparc = (nib.load(folder / f"{name}.mgz") for name in ("aparc+aseg", "wmparc"))
    labels = [np.asarray(image.dataobj).astype(np.int32) for image in (aparc, wmparc)]
    box = ndimage.find_objects((labels[0] > 0).astype(np.uint8))[0]
    dseg, white = (volume[box] for volume in labels)
    whole = Grid(aparc.shape, aparc.affine)
    corner = np.array([s.start for s in box])
    return Parcellation(dseg=dseg, grid=whole.part(corner, np.array(dseg.shape)), white=white)


def test_regions_of_a_real_subject_lie_where_the_mars_atlas_has_them(bert, data_dir):
    """An atlas in MNI152, without sides, carried by the Talairach transform alone."""
    path = data_dir / "atlas" / "MARS_scale_parcellation_map_mni.nii.gz"
    xfm = data_dir / "freesurfer" / "bert" / "mri" / "transforms" / "talairach.xfm"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    atlas = nib.load(path)
    numbers = np.round(np.sqrt(np.asarray(atlas.dataobj))).astype(np.uint8)  # squares are stored
    to_atlas = np.linalg.inv(atlas.affine) @ MNI305_TO_MNI152 @ read_xfm(xfm) @ bert.grid.affine
    there = ndimage.affine_transform(
        numbers, to_atlas[:3, :3], to_atlas[:3, 3], bert.grid.shape, order=0
    )
    ours = mars_labels(bert) % 100
    for name, number in MARS.items():
        votes = np.bincount(there[ours == number], minlength=14)[1:]
        # The insula is a sheet, thinner than an affine is exact.
        assert name == "insula" or votes.argmax() + 1 == number, name
        assert votes[number - 1] > 0.25 * votes.sum(), name


def distance_to(mask):
    return ndimage.distance_transform_edt(~mask)


def expected_deep(found, rules):
    """Algorithm 1 from the label lists alone, without capsules between nuclei (1 mm voxels)."""
    dseg, white = found.dseg, found.white
    tissue = np.isin(dseg, (2, 41, 77, 251, 252, 253, 254, 255))
    nuclei = np.isin(dseg, (10, 11, 12, 13, 26, 28, 49, 50, 51, 52, 54 + 4, 60))
    callosum = np.isin(dseg, (251, 252, 253, 254, 255))
    # In 41 voxels the two volumes differ on what is white matter at all.
    unsegmented = np.isin(white, (5001, 5002)) & tissue
    if rules == "reference":
        return nuclei | callosum | unsegmented, tissue
    around = np.isin(dseg, (10, 49, 11, 50, 13, 52))
    surrounding = (distance_to(np.isin(dseg, (4, 43))) <= 10) | (distance_to(around) <= 5)
    return nuclei | callosum | (unsegmented & surrounding), tissue


@pytest.mark.parametrize("rules", ["paper", "reference"])
def test_algorithm_1_on_a_real_freesurfer_subject_voxel_by_voxel(bert, rules):
    """Capsules are empty here: what is tested is every other line of the algorithm."""
    nothing = np.zeros(bert.dseg.shape, bool)
    mars = mars_labels(bert, capsules=Capsules(nothing, nothing), rules=rules)
    proxy = to_proxy(mars)
    dseg = bert.dseg
    deep, tissue = expected_deep(bert, rules)
    # The bridge of white matter beside the labeled callosum is ours.
    certain = np.isin(dseg, (2, 41, 77)) & (mars % 100 != MARS["corpus-callosum"])
    certain &= np.isin(bert.white, range(3000, 5003))
    lobar_gray = np.isin(dseg, (3, 17, 18, 42, 53, 54)) | ((dseg >= 1000) & (dseg < 2100))
    infratentorial = np.isin(dseg, (7, 8, 16, 46, 47))
    fluid = np.isin(dseg, (0, 4, 5, 14, 15, 24, 30, 31, 43, 44, 62, 63, 72, 80, 85))
    assert (proxy[certain & deep] == PROXY["deep"]).all()
    assert (proxy[certain & ~deep] == PROXY["lobar"]).all()
    assert certain.sum() > 0.97 * tissue.sum()
    assert (proxy[deep & ~tissue] == PROXY["deep"]).all()
    assert (proxy[lobar_gray] == PROXY["lobar"]).all()
    assert (proxy[infratentorial] == PROXY["infratentorial"]).all()
    assert not proxy[fluid].any()
    known = tissue | deep | lobar_gray | infratentorial | fluid
    assert known.all()
    assert (proxy[~fluid] > 0).all()  # no brain voxel is left unassigned


def test_lobes_and_sides_of_a_real_freesurfer_subject_voxel_by_voxel(bert):
    mars, dseg, white = mars_labels(bert), bert.dseg, bert.white
    for lobe, areas in LOBES_OF_AREAS.items():
        for side, cortex, matter in ((LEFT, 1000, 3000), (RIGHT, 2000, 4000)):
            number = side + MARS[lobe]
            assert (mars[np.isin(dseg, [cortex + area for area in areas])] == number).all()
            near = np.isin(white, [matter + area for area in areas])
            lobar = to_proxy(mars) == PROXY["lobar"]
            assert (mars[near & lobar & np.isin(dseg, (2, 41))] == number).all()
    for label, name in ((10, "thalamus"), (12, "basal-ganglia"), (8, "cerebellum")):
        assert (mars[dseg == label] == left(name)).all()
    volumes = {name: (mars % 100 == number).sum() / 1000 for name, number in MARS.items()}
    assert all(volume > 5 for volume in volumes.values())
    for name, number in MARS.items():
        both = [(mars == side + number).sum() for side in (LEFT, RIGHT)]
        assert 0.8 < both[0] / both[1] < 1.25, name
    assert set(MARS_FORM) == set(volumes)
