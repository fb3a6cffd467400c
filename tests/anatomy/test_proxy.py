import numpy as np
import pytest
from scipy import ndimage

from cmb_bidsapp.anatomy.proxy import distance, tissue_regions, to_proxy
from cmb_bidsapp.bids.images import read_labels
from cmb_bidsapp.core.labels import mirror_lookup, table
from cmb_bidsapp.preprocess.resampling import Grid

BACKGROUND, LOBAR, DEEP, INFRATENTORIAL = range(4)
ONE = (1.0, 1.0, 1.0)
LEFT_WM, RIGHT_WM, LEFT_CORTEX, VENTRICLE = 2, 41, 3, 4
THALAMUS, CAUDATE, PUTAMEN, PALLIDUM, INSULA = 10, 11, 12, 13, 1035


def proxy_labels(dseg, spacing):
    return to_proxy(tissue_regions(dseg, spacing))


def white_block(shape=(60, 40, 40)):
    """White matter of the left hemisphere with nothing near it."""
    return np.full(shape, LEFT_WM, np.int32)


def alone(label, spacing=ONE):
    dseg = np.zeros((9, 9, 9), np.int32)
    dseg[3:6, 3:6, 3:6] = label
    return set(np.unique(proxy_labels(dseg, spacing)[dseg > 0]).tolist())


@pytest.mark.parametrize(
    ("expected", "structures"),
    [
        (LOBAR, {"cerebral-wm", "cerebral-cortex", "hippocampus", "amygdala"}),
        (DEEP, {"thalamus", "caudate", "putamen", "pallidum", "accumbens", "ventral-dc"}),
        (INFRATENTORIAL, {"brainstem", "cerebellar-wm", "cerebellar-cortex"}),
        (
            BACKGROUND,
            {"lateral-ventricle", "third-ventricle", "fourth-ventricle", "csf"},
        ),
    ],
)
def test_every_label_has_the_class_of_its_structure(expected, structures):
    labels = [label for label in table().values() if label.structure in structures]
    assert labels
    for label in labels:
        wanted = DEEP if label.region == "corpus-callosum" else expected
        assert alone(label.index) == {wanted}, label.name


@pytest.mark.parametrize("label", [502, 515, 530, 5003])
def test_what_is_no_brain_label_is_background(label):
    assert alone(label) == {BACKGROUND}


def test_an_empty_image_gives_an_empty_result():
    proxy = proxy_labels(np.zeros((5, 6, 7), np.int32), ONE)
    assert proxy.shape == (5, 6, 7)
    assert proxy.dtype == np.uint8
    assert not proxy.any()


def test_white_matter_by_itself_is_lobar():
    assert set(np.unique(proxy_labels(white_block(), ONE))) == {LOBAR}


@pytest.mark.parametrize("spacing", [ONE, (2.0, 2.0, 2.0)])
def test_white_matter_within_10_mm_of_the_ventricle_is_deep(spacing):
    dseg = white_block()
    dseg[:5] = VENTRICLE
    proxy = proxy_labels(dseg, spacing)
    depth = (np.arange(60) - 4) * spacing[0]
    inside, outside = depth[5:] <= 10.0, depth[5:] > 10.0
    assert (proxy[5:][inside] == DEEP).all()
    assert (proxy[5:][outside] == LOBAR).all()
    assert (proxy[:5] == BACKGROUND).all()


@pytest.mark.parametrize("nucleus", [THALAMUS, CAUDATE, PALLIDUM])
def test_white_matter_within_5_mm_of_a_nucleus_is_deep(nucleus):
    dseg = white_block()
    dseg[:5] = nucleus
    proxy = proxy_labels(dseg, ONE)
    assert (proxy[:10] == DEEP).all()
    assert (proxy[10:] == LOBAR).all()


def test_the_putamen_does_not_make_white_matter_deep_by_itself():
    dseg = white_block()
    dseg[:5] = PUTAMEN
    proxy = proxy_labels(dseg, ONE)
    assert (proxy[:5] == DEEP).all()
    assert (proxy[5:] == LOBAR).all()


def test_white_matter_within_5_mm_of_the_cortex_stays_lobar():
    """A ventricle 8 mm under the cortex: only what is farther than 5 mm from it is deep."""
    dseg = white_block()
    dseg[:10] = LEFT_CORTEX
    dseg[18:] = VENTRICLE
    column = proxy_labels(dseg, ONE)[:, 20, 20]
    # The last voxel of the cortex is 9: voxels 10 to 14 are at 1 to 5 mm, 15 to 17 farther.
    assert column[:15].tolist() == [LOBAR] * 15
    assert column[15:18].tolist() == [DEEP] * 3
    assert column[18:].tolist() == [BACKGROUND] * 42


def test_the_third_ventricle_and_the_inferior_horn_make_nothing_deep():
    for ventricle in (14, 15, 5, 44):
        dseg = white_block()
        dseg[:5] = ventricle
        assert (proxy_labels(dseg, ONE)[5:] == LOBAR).all()


def capsule(gap, lateral=PUTAMEN, medial=CAUDATE):
    """Nuclei with ``gap`` voxels of white matter between them, cortex right above and below.

    The cortex rules out deep white matter, an insula far away the external capsule: what is
    deep is the internal capsule.
    """
    dseg = white_block((12 + gap, 30, 7))
    dseg[:6, 10:20] = medial
    dseg[6 + gap :, 10:20] = lateral
    dseg[:, :, [0, 6]] = LEFT_CORTEX
    dseg[0, 0, 0] = INSULA
    return dseg


@pytest.mark.parametrize("medial", [CAUDATE, THALAMUS])
@pytest.mark.parametrize("lateral", [PUTAMEN, PALLIDUM])
def test_white_matter_between_the_nuclei_is_internal_capsule(medial, lateral):
    dseg = capsule(9, lateral, medial)
    between = proxy_labels(dseg, ONE)[6:15, 10:20, 1:6]
    assert (between == DEEP).all()


@pytest.mark.parametrize("medial", [CAUDATE, THALAMUS])
def test_nuclei_far_apart_have_no_capsule_between_them(medial):
    # A gap of n voxels: the two distances add up to n + 1 mm.
    assert (proxy_labels(capsule(11, medial=medial), ONE)[6:17, 14, 1:6] == DEEP).all()
    assert (proxy_labels(capsule(12, medial=medial), ONE)[6:18, 14, 1:6] == LOBAR).all()


def test_the_capsule_is_measured_in_millimeters():
    assert (proxy_labels(capsule(9), (2.0, 1.0, 1.0))[6:15, 14, 1:6] == LOBAR).all()
    assert (proxy_labels(capsule(5), (2.0, 1.0, 1.0))[6:11, 14, 1:6] == DEEP).all()


def test_white_matter_between_putamen_and_insula_is_external_capsule():
    for gap, expected in ((7, DEEP), (8, LOBAR)):
        dseg = white_block((30, 20, 20))
        dseg[:6] = PUTAMEN
        dseg[6 + gap :] = INSULA
        proxy = proxy_labels(dseg, ONE)
        assert (proxy[6 : 6 + gap] == expected).all()
        assert (proxy[6 + gap :] == LOBAR).all()


def test_with_an_insula_other_cortex_makes_no_external_capsule():
    dseg = white_block((30, 20, 20))
    dseg[:6] = PUTAMEN
    dseg[11:] = LEFT_CORTEX
    assert (proxy_labels(dseg, ONE)[6:11] == DEEP).all()  # aseg: no insula is known
    dseg[25:, 15:, 15:] = INSULA
    assert (proxy_labels(dseg, ONE)[6:11, :10, :10] == LOBAR).all()


def test_the_callosum_as_labeled_is_deep():
    dseg = white_block((20, 20, 20))
    dseg[:, :, :10] = LEFT_CORTEX
    dseg[9:11, 9:11, 10:12] = 253
    proxy = proxy_labels(dseg, ONE)
    assert (proxy[dseg == 253] == DEEP).all()
    assert (proxy[dseg == LEFT_WM] == LOBAR).all()


def hemispheres(ventricle_at):
    """Left and right white matter that meet, 5 mm under cortex, a ventricle at a distance."""
    dseg = np.zeros((40, 60, 12), np.int32)
    dseg[:20], dseg[20:] = LEFT_WM, RIGHT_WM
    dseg[:20, :, [0, 11]], dseg[20:, :, [0, 11]] = LEFT_CORTEX, 42
    dseg[:, ventricle_at, 1:11] = VENTRICLE
    return dseg


def test_white_matter_that_meets_the_other_sides_near_a_ventricle_is_callosum():
    proxy = proxy_labels(hemispheres(ventricle_at=0), ONE)[:, :, 1:11]
    assert (proxy[14:26, 1:13] == DEEP).all()  # within 6 mm of the midline, 12 of the ventricle
    assert (proxy[14:26, 13:] == LOBAR).all()
    assert (proxy[:14, 1:] == LOBAR).all()
    assert (proxy[26:, 1:] == LOBAR).all()


def test_sides_do_not_matter():
    rng = np.random.default_rng(1)
    dseg = hemispheres(ventricle_at=20)
    dseg[8:14, 25:30, 4:8] = CAUDATE
    dseg[14:17, 30:36, 4:8] = PUTAMEN
    dseg[rng.random(dseg.shape) < 0.05] = 24
    mirrored = proxy_labels(mirror_lookup()[dseg[::-1]], ONE)
    np.testing.assert_array_equal(mirrored[::-1], proxy_labels(dseg, ONE))


def test_empty_space_around_the_head_does_not_matter():
    dseg = capsule(9)
    padded = proxy_labels(np.pad(dseg, 4), ONE)
    np.testing.assert_array_equal(padded[4:-4, 4:-4, 4:-4], proxy_labels(dseg, ONE))
    assert padded.sum() == proxy_labels(dseg, ONE).sum()


def test_any_axis_order_gives_the_same_regions():
    dseg = capsule(4)
    spacing = (1.0, 1.5, 2.0)
    turned = proxy_labels(dseg.transpose(2, 0, 1), (2.0, 1.0, 1.5))
    np.testing.assert_array_equal(turned, proxy_labels(dseg, spacing).transpose(2, 0, 1))


def test_regions_of_a_real_head_have_plausible_sizes(data_dir):
    path = data_dir / "label_maps" / "training_seg_01.nii.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    read = read_labels(path)
    dseg, affine = read.data, read.affine
    # Every second voxel: an eighth of the work, the same proportions.
    dseg, affine = dseg[::2, ::2, ::2], affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    proxy = proxy_labels(np.where(dseg < 500, dseg, 0), Grid.of(dseg, affine).spacing)
    background, lobar, deep, infratentorial = (
        np.bincount(proxy.ravel(), minlength=4) * abs(np.linalg.det(affine[:3, :3])) / 1000
    )
    assert 700 < lobar < 1300  # ml
    assert 80 < infratentorial < 250
    assert 0.05 < deep / lobar < 0.3
    assert deep < infratentorial < lobar < background
    assert not proxy[(dseg >= 500) | np.isin(dseg, (0, 4, 43, 14, 15, 24))].any()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.8, 0.8), (0.9, 0.9, 1.2)])
def test_distances_are_those_of_scipy_as_far_as_they_are_wanted(spacing):
    mask = np.zeros((30, 28, 26), bool)
    mask[9:12, 20:24, 4] = mask[14, 20, 8] = True
    expected = ndimage.distance_transform_edt(~mask, spacing).astype(np.float32)
    np.testing.assert_array_equal(distance(mask, spacing), expected)
    near = distance(mask, spacing, 5)
    np.testing.assert_array_equal(near[expected <= 5], expected[expected <= 5])
    assert np.isinf(near).any()


def test_distances_where_all_or_nothing_is_in_the_mask():
    mask = np.ones((3, 1, 4), bool)
    assert (distance(mask, (1.0, 1.0, 1.0)) == 0).all()
    assert np.isinf(distance(~mask, (1.0, 1.0, 1.0))).all()
