"""Classes and regions on the T2*w grid, and what their sidecars say."""

import dataclasses
import json

import numpy as np
import pytest
from nibabel.affines import apply_affine

from cmb_bidsapp.anatomy.parcellation import Parcellation
from cmb_bidsapp.anatomy.proxy import to_proxy
from cmb_bidsapp.anatomy.quality import Measure
from cmb_bidsapp.anatomy.standard import read_field
from cmb_bidsapp.anatomy.talairach import MNI305_TO_MNI152
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.images import read_labels
from cmb_bidsapp.bids.outputs import sidecar_of
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.core.labels import LEFT, MARS, MARS_LOOK, PROXY_LOOK, RIGHT
from cmb_bidsapp.phases.regions import write_quality, write_regions
from cmb_bidsapp.preprocess.registration import Registration
from cmb_bidsapp.preprocess.resampling import IDENTITY, Grid
from cmb_bidsapp.preprocess.shares import share_in_voxels
from tests.anatomy.subjects import write as write_text
from tests.anatomy.test_jhu import PAIRS
from tests.anatomy.test_jhu import atlas as jhu_labels
from tests.anatomy.test_jhu import write as write_jhu
from tests.phases.heads import AFFINE, MOVE, PULL, head_of, moved_atlas, shifted


@pytest.fixture
def t2star(labeled):
    """Thick slices of the lower brain, turned against the T1w; the mask leaves a corner out."""
    affine = np.linalg.inv(PULL) @ np.array(
        [[2.0, 0, 0, -70], [0, 2, 0, -104], [0, 0, 6, -60], [0, 0, 0, 1]]
    )
    grid = Grid((70, 88, 16), affine)
    brain = share_in_voxels(labeled.dseg > 0, AFFINE, grid, pull=PULL) > 0.5
    brain[:20] = 0
    about = {"Sources": ["raw"], "SpatialReference": "bids:raw:x"}
    return head_of(brain, affine, about)


def write(labeled, t2star, files, settings, pull=PULL, about=None):
    t1w = head_of(labeled.dseg, labeled.grid.affine, about)
    registration = Registration(
        pull=pull,
        mutual_information=1.0,
        correlation=-0.3,
        mask_dice=0.95,
        start="header",
        attempts=1,
    )
    return write_regions(labeled, t1w, t2star, registration, files, settings)


def subject(folder, to_mni152):
    """A FreeSurfer subject whose place in MNI152 is known."""
    rows = [" ".join(map(str, row)) for row in (np.linalg.inv(MNI305_TO_MNI152) @ to_mni152)[:3]]
    xfm = folder / "mri" / "transforms" / "talairach.xfm"
    write_text(xfm, "Linear_Transform =\n{};\n".format("\n".join(rows)))
    return folder


def sidecar(path):
    return json.loads(sidecar_of(path).read_text())


def test_classes_and_regions_agree_in_every_voxel_and_stay_in_the_brain(
    labeled, t2star, files, settings
):
    written = write(labeled, t2star, files, settings())
    read = read_labels(files.proxy)
    proxy = read.data
    mars = read_labels(files.mars).data
    np.testing.assert_array_equal(to_proxy(mars), proxy)
    np.testing.assert_allclose(read.affine, t2star.affine, atol=1e-4)
    assert proxy.shape == t2star.brain.shape
    assert not proxy[~t2star.brain].any()
    assert (proxy[t2star.brain] > 0).mean() > 0.9
    assert set(np.unique(proxy)) == {0, 1, 2, 3}
    for side in (LEFT, RIGHT):
        for name in ("frontal", "temporal", "occipital", "parietal", "thalamus", "brainstem"):
            assert (mars == side + MARS[name]).any(), name
    # A table of names lies beside every image, of the labels that are there.
    assert len(written) == 8
    assert all(path.is_file() for path in written)
    for path, look in ((files.proxy, PROXY_LOOK), (files.mars, MARS_LOOK)):
        rows = read_table(path.with_name(path.name.replace(".nii.gz", ".tsv")))
        present = set(np.unique(read_labels(path).data)) - {0}
        assert {int(row["index"]): (row["name"], row["color"]) for row in rows} == {
            index: look[index] for index in present
        }


def test_regions_follow_the_registration(labeled, t2star, files, settings, tmp_path):
    write(labeled, t2star, files, settings())
    moved = read_labels(files.mars).data
    # The same slices in the world of the T1w need no registration.
    straight = dataclasses.replace(t2star, affine=PULL @ t2star.affine)
    other = SessionFiles(tmp_path / "straight", "01", None)
    write(labeled, straight, other, settings(), pull=IDENTITY)
    np.testing.assert_array_equal(read_labels(other.mars).data, moved)
    wrong = SessionFiles(tmp_path / "wrong", "01", None)
    write(labeled, t2star, wrong, settings(), pull=IDENTITY)
    assert (read_labels(wrong.mars).data != moved).mean() > 0.02


def test_the_ways_to_mni152_start_from_the_t2star(labeled, t2star, files, settings):
    by = np.array([3.0, -5.0, 8.0])
    write(dataclasses.replace(labeled, standard=shifted(by)), t2star, files, settings())
    points = np.random.default_rng(0).uniform(-30, 30, (20, 3))
    there = apply_affine(PULL, points) - by
    np.testing.assert_allclose(read_field(files.to_standard)(points), there, atol=1e-3)
    np.testing.assert_allclose(read_field(files.from_standard)(there), points, atol=1e-3)


def test_the_parcellation_is_written_as_it_is_with_its_maker(labeled, t2star, files, settings):
    write(labeled, t2star, files, settings(), about={"Sources": ["t1w"]})
    path = files.parcellation("T1w")
    read = read_labels(path)
    np.testing.assert_array_equal(read.data, labeled.dseg)
    np.testing.assert_allclose(read.affine, AFFINE, atol=1e-4)
    for written in (path, files.proxy, files.mars):
        assert sidecar(written)["Parcellation"] == "FreeSurfer (7.4.1)"
    assert sidecar(path)["Sources"] == ["t1w"]
    for written in (files.proxy, files.mars):
        assert sidecar(written)["Sources"] == [files.uri(path)]
        assert sidecar(written)["SpatialReference"] == "bids:raw:x"


def test_capsules_of_a_given_atlas_are_written_and_named(
    labeled, t2star, files, settings, tmp_path
):
    jhu = write_jhu(tmp_path / "jhu-1mm.nii.gz", jhu_labels())
    head = dataclasses.replace(labeled, subject_dir=subject(tmp_path / "sub-01", IDENTITY))
    write(head, t2star, files, settings(jhu_atlas=jhu))
    for path in (files.proxy, files.mars):
        assert sidecar(path)["Capsules"] == "JHU labels, jhu-1mm.nii.gz"
    mars = read_labels(files.mars)
    to_voxel = np.linalg.inv(PULL @ mars.affine)
    for first, name in ((17, "internal-capsule"), (33, "external-capsule")):
        x, y, z = PAIRS[first]
        for side, sign in ((LEFT, -1), (RIGHT, 1)):
            i, j, k, _ = np.rint(to_voxel @ [sign * x, y, z, 1]).astype(int)
            assert mars.data[i, j, k] == side + MARS[name]


def test_where_there_is_no_talairach_transform_the_alignment_brings_the_atlas(
    t2star, files, settings, tmp_path
):
    dseg, affine = moved_atlas()
    jhu = write_jhu(tmp_path / "jhu.nii.gz", jhu_labels())
    found = []
    for folder in (subject(tmp_path / "sub-01", np.linalg.inv(MOVE)), tmp_path / "sub-02", None):
        # The alignment is 2 mm off, to be told from the transform.
        ways = shifted(MOVE[:3, 3] + [0, 2, 0])
        head = Parcellation(
            dseg=dseg, grid=Grid(dseg.shape, affine), subject_dir=folder, standard=ways
        )
        write(head, t2star, files, settings(jhu_atlas=jhu), pull=MOVE @ PULL)
        mars = read_labels(files.mars).data
        found.append(np.isin(mars % 100, [MARS["internal-capsule"], MARS["external-capsule"]]))
    by_transform, aligned, of_no_subject = found
    np.testing.assert_array_equal(aligned, of_no_subject)
    assert by_transform.sum() > 20
    both = by_transform & aligned
    assert 2 * both.sum() / (by_transform.sum() + aligned.sum()) > 0.5
    assert (by_transform != aligned).any()


def test_a_damaged_talairach_transform_matters_to_who_needs_it(
    labeled, t2star, files, settings, tmp_path
):
    xfm = write_text(
        tmp_path / "sub-01" / "mri" / "transforms" / "talairach.xfm", "Linear_Transform = 1 0 0;"
    )
    head = dataclasses.replace(labeled, subject_dir=tmp_path / "sub-01")
    jhu = write_jhu(tmp_path / "jhu.nii.gz", jhu_labels())
    with pytest.raises(DataError, match=f"^{xfm} is damaged.*fix the file, or omit --jhu-atlas"):
        write(head, t2star, files, settings(jhu_atlas=jhu))
    assert not files.mars.exists()
    write(head, t2star, files, settings())
    assert files.mars.exists()


def test_without_an_atlas_capsules_lie_between_the_nuclei_and_it_is_said(
    labeled, t2star, files, settings
):
    write(labeled, t2star, files, settings(proxy_rules="reference"))
    for path in (files.proxy, files.mars):
        assert sidecar(path)["Capsules"] == "between the nuclei"
        assert sidecar(path)["ProxyRules"] == "reference"
    # This head has no putamen for them to lie beside.
    mars = read_labels(files.mars).data
    assert not np.isin(mars % 100, [MARS["internal-capsule"], MARS["external-capsule"]]).any()


def test_the_quality_is_a_table_with_its_dictionary(files):
    measures = [Measure(measure="thalamus volume", value=30.0, units="ml", low=8.0, high=27.0)]
    assert write_quality(measures, files) == [files.quality]
    (row,) = read_table(files.quality)
    assert (row["measure"], row["value"], row["flag"]) == ("thalamus volume", "30", "high")
    assert sidecar(files.quality).keys() == row.keys()
