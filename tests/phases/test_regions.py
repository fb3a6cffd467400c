"""From a head to the regions of its lesions: what is found, said, depended on and written."""

import dataclasses
import json

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.anatomy import atlas as atlas_module
from cmb_bidsapp.anatomy.atlas import load_atlas
from cmb_bidsapp.anatomy.parcellation import Parcellation
from cmb_bidsapp.anatomy.proxy import to_proxy
from cmb_bidsapp.anatomy.quality import Measure
from cmb_bidsapp.anatomy.reuse import Found, has_lobes
from cmb_bidsapp.anatomy.talairach import MNI152_TO_MNI305
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.images import read_labels
from cmb_bidsapp.bids.inputs import Scan
from cmb_bidsapp.bids.outputs import read_table, sidecar_of
from cmb_bidsapp.labels import LEFT, MARS, MARS_LOOK, PROXY_LOOK, RIGHT, ids, table, where
from cmb_bidsapp.phases.prepare import PREPARE, Head
from cmb_bidsapp.phases.regions import (
    backend,
    find_or_make,
    label_head,
    reused_files,
    write_quality,
    write_regions,
)
from cmb_bidsapp.preprocess.resampling import IDENTITY, Grid, share_in_voxels
from cmb_bidsapp.runtime.errors import DataError
from cmb_bidsapp.settings import Anatomy, Settings
from tests.anatomy.test_jhu import PAIRS
from tests.anatomy.test_jhu import atlas as jhu_labels
from tests.anatomy.test_jhu import write as write_jhu
from tests.skeletons import session as session_of
from tests.skeletons import write_nifti

#: Voxel to MNI152 of the head that is written, 2 mm.
AFFINE = np.array([[2.0, 0, 0, -70], [0, 2, 0, -104], [0, 0, 2, -70], [0, 0, 0, 1]])
SHAPE = (70, 88, 74)
#: A turn and a shift of the T2*w against the T1w, mm.
PULL = np.array([[0.96, -0.28, 0, 6], [0.28, 0.96, 0, -9], [0, 0, 1, 4], [0, 0, 0, 1]])
#: MNI152 to a head that lies elsewhere, mm.
MOVE = np.array([[1.0, 0, 0, 3], [0, 1, 0, -5], [0, 0, 1, 8], [0, 0, 0, 1]])


def ellipsoid():
    """Cortex of four lobes around white matter, thalami, brainstem; the midline is at x = 0."""
    index = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    x, y, z = (AFFINE[axis, axis] * index[axis] + AFFINE[axis, 3] for axis in range(3))
    radius = np.sqrt((x / 62) ** 2 + ((y + 17) / 80) ** 2 + (z / 65) ** 2)
    nuclei = np.sqrt((np.abs(x) - 10) ** 2 + (y + 18) ** 2 + (z - 7) ** 2) < 7
    stem = (np.abs(x) < 12) & (np.abs(y + 28) < 12) & (z < -15) & (radius < 1)
    area = np.where(z < -20, 1030, np.where(y > 0, 1028, np.where(y < -60, 1011, 1029)))
    dseg = np.zeros(SHAPE, np.int32)
    for inside, left, right in (
        (radius < 1, area, area + 1000),
        (radius < 0.85, 2, 41),
        (nuclei, 10, 49),
        (stem, 16, 16),
    ):
        dseg = np.where(inside, np.where(x > 0, right, left), dseg)
    return dseg.astype(np.int32)


@pytest.fixture(scope="module")
def labelled():
    dseg = ellipsoid()
    return Parcellation(dseg, Grid(dseg.shape, AFFINE), None, MNI152_TO_MNI305, "FreeSurfer")


def moved_atlas():
    """Every second voxel of the packaged atlas, moved, and voxel to world."""
    atlas = load_atlas()
    dseg = np.ascontiguousarray(atlas.dseg[::2, ::2, ::2])
    return dseg, MOVE @ atlas.affine @ np.diag([2.0, 2.0, 2.0, 1.0])


def head_of(dseg, affine, about=None):
    brain = dseg > 0
    return Head(brain.astype(np.float32), affine, brain, None, about or {})


@pytest.fixture
def t2star(labelled):
    """Thick slices of the lower brain, turned against the T1w; the mask leaves a corner out."""
    affine = np.linalg.inv(PULL) @ np.array(
        [[2.0, 0, 0, -70], [0, 2, 0, -104], [0, 0, 6, -60], [0, 0, 0, 1]]
    )
    grid = Grid((70, 88, 16), affine)
    brain = share_in_voxels(labelled.dseg > 0, AFFINE, grid, pull=PULL) > 0.5
    brain[:20] = 0
    about = {"Sources": ["raw"], "SpatialReference": "bids:raw:x"}
    return head_of(brain, affine, about)


@pytest.fixture
def files(tmp_path):
    return SessionFiles(tmp_path / "out", "01", None)


@pytest.fixture
def session(tmp_path):
    raw = write_nifti(tmp_path / "bids" / "T2starw.nii.gz")
    t1w = Scan(write_nifti(tmp_path / "bids" / "T1w.nii.gz"), {"suffix": "T1w"}, {}, 1.0)
    return dataclasses.replace(session_of("01", None, raw), t1w=t1w)


@pytest.fixture
def settings(tmp_path):
    def make(**options):
        return Settings(
            tmp_path / "bids", tmp_path / "out", ("participant",), anatomy=Anatomy(**options)
        )

    return make


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def alone(session):
    return dataclasses.replace(session, t1w=None)


# What a stamp depends on


def test_without_anything_to_reuse_the_scans_are_all(session, settings, tmp_path):
    assert reused_files(settings(), session) == []
    assert reused_files(settings(derivatives=(tmp_path / "nothing",)), session) == []


def test_a_stamp_depends_on_all_files_of_a_subject_that_are_read(session, settings, tmp_path):
    folder = tmp_path / "fs" / "sub-01" / "mri"
    dseg = touch(folder / "aparc+aseg.mgz")
    asked = settings(derivatives=(tmp_path / "fs",))
    assert reused_files(asked, session) == [dseg]
    white, xfm = touch(folder / "wmparc.mgz"), touch(folder / "transforms" / "talairach.xfm")
    touch(folder / "aseg.mgz")
    touch(folder / "transforms" / "talairach.m3z")
    assert set(reused_files(asked, session)) == {dseg, white, xfm}
    files = SessionFiles(tmp_path / "out", "01", None)
    scans = {session.t2star.path, session.t1w.path}
    assert set(PREPARE.inputs(session, files, asked)) == {dseg, white, xfm} | scans
    # Another choice reads none of them.
    for wanted in ("atlas", "synthseg"):
        other = settings(derivatives=(tmp_path / "fs",), parcellation=wanted)
        assert reused_files(other, session) == []


def test_a_longitudinal_run_depends_on_its_way_from_the_template(session, settings, tmp_path):
    name = "sub-01_ses-A.long.sub-01"
    dseg = touch(tmp_path / "fs" / name / "mri" / "aparc+aseg.mgz")
    transforms = tmp_path / "fs" / "sub-01" / "mri" / "transforms"
    way = touch(transforms / "sub-01_ses-A_to_sub-01.lta")
    touch(transforms / "sub-01_ses-B_to_sub-01.lta")
    own = dataclasses.replace(session.t1w, entities={"suffix": "T1w", "session": "A"})
    found = reused_files(
        settings(derivatives=(tmp_path / "fs",)), dataclasses.replace(session, t1w=own)
    )
    assert found == [dseg, way]


def test_it_is_the_session_of_the_t1w_that_counts(session, settings, tmp_path):
    own = touch(tmp_path / "fs" / "sub-01_ses-A" / "mri" / "aparc+aseg.mgz")
    touch(tmp_path / "fs" / "sub-01_ses-B" / "mri" / "aparc+aseg.mgz")
    borrowed = dataclasses.replace(session.t1w, entities={"suffix": "T1w", "session": "A"})
    later = dataclasses.replace(session, session="B", t1w=borrowed)
    asked = settings(derivatives=(tmp_path / "fs",))
    assert reused_files(asked, later) == [own]
    assert find_or_make(later, asked, lambda text: None, []).dseg == own


def test_the_white_matter_atlas_counts_with_and_without_a_t1w(session, settings, tmp_path):
    jhu = touch(tmp_path / "jhu.nii.gz")
    dseg = touch(tmp_path / "fs" / "sub-01" / "mri" / "aparc+aseg.mgz")
    asked = settings(jhu_atlas=jhu, derivatives=(tmp_path / "fs",))
    assert set(reused_files(asked, session)) == {jhu, dseg}
    assert reused_files(asked, alone(session)) == [jhu]


def test_the_subjects_folder_goes_before_other_outputs(settings, tmp_path):
    asked = settings(subjects_dir=tmp_path / "subjects", derivatives=(tmp_path / "fs",))
    assert backend(asked).given == (tmp_path / "subjects", tmp_path / "fs")
    assert backend(asked).subjects_dir == tmp_path / "subjects"
    plain = backend(settings())
    assert plain.given == ()
    assert plain.subjects_dir == tmp_path / "out" / "sourcedata" / "freesurfer"
    assert plain.synthseg_dir == tmp_path / "out" / "sourcedata" / "synthseg"


# What a person is told


def notes_of(session, settings):
    notes = []
    assert find_or_make(session, settings, lambda text: None, notes) is None
    return notes


def test_a_t2star_alone_is_labelled_by_the_embedded_parcellation_and_it_is_said(
    session, settings, tmp_path, monkeypatch
):
    # Nothing that is there is taken, and no program is started.
    touch(tmp_path / "fs" / "sub-01" / "mri" / "aparc+aseg.mgz")
    monkeypatch.setenv("PATH", str(tmp_path))
    given = {"derivatives": (tmp_path / "fs",)}
    for wanted in ("freesurfer", "synthseg"):
        (note,) = notes_of(alone(session), settings(parcellation=wanted, **given))
        assert note.startswith("no T1w")
        assert wanted in note
        assert "embedded" in note
    (note,) = notes_of(alone(session), settings(**given))
    assert note.startswith("no T1w")
    assert "embedded" in note


def test_who_asks_for_nothing_else_is_told_nothing(session, settings, tmp_path):
    assert notes_of(alone(session), settings()) == []
    assert notes_of(session, settings()) == []
    given = (tmp_path / "fs",)
    assert notes_of(session, settings(parcellation="atlas", derivatives=given)) == []
    assert notes_of(alone(session), settings(parcellation="atlas", derivatives=given)) == []


def test_folders_in_which_nothing_was_found_are_named(session, settings, tmp_path):
    given = tmp_path / "one", tmp_path / "other"
    (note,) = notes_of(session, settings(derivatives=given))
    assert f"{given[0]}, {given[1]}" in note
    assert "embedded" in note
    dseg = touch(given[1] / "sub-01" / "mri" / "aparc+aseg.mgz")
    notes = []
    found = find_or_make(session, settings(derivatives=given), lambda text: None, notes)
    assert (found.dseg, notes) == (dseg, [])


# Labels of the head


def found_with(tmp_path, dseg):
    path = tmp_path / "sub-01_desc-aseg_dseg.nii.gz"
    nib.save(nib.Nifti1Image(dseg, AFFINE), path)
    return Found(path, "sMRIPrep")


def without_names(dseg):
    cortex = where(dseg, ids(structure="cerebral-cortex"))
    return np.where(cortex, np.where(where(dseg, ids(side="R")), 42, 3), dseg).astype(np.int32)


@pytest.fixture
def named(monkeypatch):
    """Take the place of the registration that names the cortex; notes its seeds."""
    seeds = []

    def name(parcellation, *, seed):
        seeds.append(seed)
        cortex = where(parcellation.dseg, (3, 42))
        return dataclasses.replace(parcellation, dseg=np.where(cortex, 1028, parcellation.dseg))

    monkeypatch.setattr(atlas_module, "with_cortical_names", name)
    return seeds


def test_a_cortex_without_names_is_named_from_the_atlas_and_it_is_said(
    labelled, settings, tmp_path, named
):
    found = found_with(tmp_path, without_names(labelled.dseg))
    notes, steps = [], []
    asked = dataclasses.replace(settings(), seed=7)
    head = head_of(labelled.dseg, AFFINE)
    made = label_head(head, found, asked, steps.append, notes)
    (note,) = notes
    assert str(found.dseg) in note
    assert "lobes are those of the atlas" in note
    assert named == [7]
    assert has_lobes(made.dseg)
    assert steps == ["parcellation (sMRIPrep)"]


def test_a_cortex_with_names_keeps_them(labelled, settings, tmp_path, named):
    notes = []
    found = found_with(tmp_path, labelled.dseg)
    head = head_of(labelled.dseg, AFFINE)
    made = label_head(head, found, settings(), lambda text: None, notes)
    assert (notes, named) == ([], [])
    np.testing.assert_array_equal(np.unique(made.dseg), np.unique(labelled.dseg))


def test_labels_of_another_head_are_refused_before_they_are_named(
    labelled, settings, tmp_path, named
):
    found = found_with(tmp_path, without_names(labelled.dseg))
    elsewhere = AFFINE.copy()
    elsewhere[1, 3] += 40
    head = head_of(labelled.dseg, elsewhere)
    with pytest.raises(DataError, match="not of this T1w"):
        label_head(head, found, settings(), lambda text: None, [])
    assert named == []


def test_where_nothing_was_found_the_head_is_labelled_here(labelled, settings, monkeypatch):
    seen = []

    def parcellate(anatomy, data, affine, *, seed):
        seen.append((data, affine, seed))
        return labelled

    monkeypatch.setattr(atlas_module, "parcellate", parcellate)
    steps, notes = [], []
    asked = dataclasses.replace(settings(), seed=3)
    head = head_of(labelled.dseg, AFFINE)
    assert label_head(head, None, asked, steps.append, notes) is labelled
    ((data, affine, seed),) = seen
    assert data is head.data
    assert affine is head.affine
    assert seed == 3
    assert (len(steps), notes) == (1, [])


def test_the_names_of_the_atlas_come_back_to_its_own_head(settings, tmp_path):
    """The registration itself, on the head that the names are of."""
    true, affine = moved_atlas()
    path = tmp_path / "aseg.nii.gz"
    nib.save(nib.Nifti1Image(without_names(true), affine), path)
    notes = []
    found = Found(path, "sMRIPrep")
    made = label_head(head_of(true, affine), found, settings(), lambda text: None, notes)
    assert len(notes) == 1
    first = np.rint(np.linalg.inv(affine) @ made.grid.affine[:, 3])[:3].astype(int)
    box = tuple(slice(a, a + n) for a, n in zip(first, made.dseg.shape, strict=True))
    expected = true[box]
    lobes = {label.index: label.region for label in table().values()}
    cortex = where(expected, ids(structure="cerebral-cortex"))
    right_lobe = [
        lobes[one] == lobes[other]
        for one, other in zip(made.dseg[cortex], expected[cortex], strict=True)
    ]
    assert np.mean(right_lobe) > 0.9
    np.testing.assert_array_equal(made.dseg[~cortex], expected[~cortex])


# What is written


def write(labelled, t2star, files, settings, pull=PULL, about=None):
    head = head_of(labelled.dseg, labelled.grid.affine, about)
    path = files.parcellation("T1w")
    return write_regions(labelled, head, t2star, pull, path, files, settings)


def sidecar(path):
    return json.loads(sidecar_of(path).read_text())


def test_classes_and_regions_agree_in_every_voxel_and_stay_in_the_brain(
    labelled, t2star, files, settings
):
    written = write(labelled, t2star, files, settings())
    proxy, affine = read_labels(files.proxy)
    mars, _ = read_labels(files.mars)
    np.testing.assert_array_equal(to_proxy(mars), proxy)
    np.testing.assert_allclose(affine, t2star.affine, atol=1e-4)
    assert proxy.shape == t2star.brain.shape
    assert not proxy[~t2star.brain].any()
    assert (proxy[t2star.brain] > 0).mean() > 0.9
    assert set(np.unique(proxy)) == {0, 1, 2, 3}
    for side in (LEFT, RIGHT):
        for name in ("frontal", "temporal", "occipital", "parietal", "thalamus", "brainstem"):
            assert (mars == side + MARS[name]).any(), name
    # A table of names lies beside every image, of the labels that are there.
    assert len(written) == 6
    assert all(path.is_file() for path in written)
    for path, look in ((files.proxy, PROXY_LOOK), (files.mars, MARS_LOOK)):
        rows = read_table(path.with_name(path.name.replace(".nii.gz", ".tsv")))
        present = set(np.unique(read_labels(path)[0])) - {0}
        assert {int(row["index"]): (row["name"], row["color"]) for row in rows} == {
            index: look[index] for index in present
        }


def test_regions_follow_the_registration(labelled, t2star, files, settings, tmp_path):
    write(labelled, t2star, files, settings())
    moved, _ = read_labels(files.mars)
    # The same slices in the world of the T1w need no registration.
    straight = dataclasses.replace(t2star, affine=PULL @ t2star.affine)
    other = SessionFiles(tmp_path / "straight", "01", None)
    write(labelled, straight, other, settings(), pull=IDENTITY)
    np.testing.assert_array_equal(read_labels(other.mars)[0], moved)
    wrong = SessionFiles(tmp_path / "wrong", "01", None)
    write(labelled, t2star, wrong, settings(), pull=IDENTITY)
    assert (read_labels(wrong.mars)[0] != moved).mean() > 0.02


def test_the_parcellation_is_written_as_it_is_with_its_maker(labelled, t2star, files, settings):
    write(labelled, t2star, files, settings(), about={"Sources": ["t1w"]})
    path = files.parcellation("T1w")
    dseg, affine = read_labels(path)
    np.testing.assert_array_equal(dseg, labelled.dseg)
    np.testing.assert_allclose(affine, AFFINE, atol=1e-4)
    assert sidecar(path)["Parcellation"] == "FreeSurfer"
    assert sidecar(path)["Sources"] == ["t1w"]
    for written in (files.proxy, files.mars):
        assert sidecar(written)["Sources"] == [files.uri(path)]
        assert sidecar(written)["SpatialReference"] == "bids:raw:x"


def test_capsules_of_a_given_atlas_are_written_and_named(
    labelled, t2star, files, settings, tmp_path
):
    jhu = write_jhu(tmp_path / "jhu-1mm.nii.gz", jhu_labels())
    write(labelled, t2star, files, settings(jhu_atlas=jhu))
    for path in (files.proxy, files.mars):
        assert sidecar(path)["Capsules"] == "JHU labels, jhu-1mm.nii.gz"
    mars, affine = read_labels(files.mars)
    to_voxel = np.linalg.inv(PULL @ affine)
    for first, name in ((17, "internal-capsule"), (33, "external-capsule")):
        x, y, z = PAIRS[first]
        for side, sign in ((LEFT, -1), (RIGHT, 1)):
            i, j, k, _ = np.rint(to_voxel @ [sign * x, y, z, 1]).astype(int)
            assert mars[i, j, k] == side + MARS[name]


def test_where_there_is_no_talairach_transform_the_structures_bring_the_atlas(
    t2star, files, settings, tmp_path
):
    dseg, affine = moved_atlas()
    jhu = write_jhu(tmp_path / "jhu.nii.gz", jhu_labels())
    found = []
    for to_mni305 in (MNI152_TO_MNI305 @ np.linalg.inv(MOVE), None):
        head = Parcellation(dseg, Grid(dseg.shape, affine), None, to_mni305)
        write(head, t2star, files, settings(jhu_atlas=jhu), pull=MOVE @ PULL)
        mars, _ = read_labels(files.mars)
        found.append(np.isin(mars % 100, [MARS["internal-capsule"], MARS["external-capsule"]]))
    one, other = found
    assert one.sum() > 20
    assert 2 * (one & other).sum() / (one.sum() + other.sum()) > 0.8


def test_without_an_atlas_capsules_lie_between_the_nuclei_and_it_is_said(
    labelled, t2star, files, settings
):
    write(labelled, t2star, files, settings(proxy_rules="reference"))
    for path in (files.proxy, files.mars):
        assert sidecar(path)["Capsules"] == "between the nuclei"
        assert sidecar(path)["ProxyRules"] == "reference"
    # This head has no putamen for them to lie beside.
    mars, _ = read_labels(files.mars)
    assert not np.isin(mars % 100, [MARS["internal-capsule"], MARS["external-capsule"]]).any()


def test_the_quality_is_a_table_with_its_dictionary(files):
    measures = [Measure("thalamus volume", 30.0, "ml", 8.0, 27.0)]
    assert write_quality(measures, files) == [files.quality]
    (row,) = read_table(files.quality)
    assert (row["measure"], row["value"], row["flag"]) == ("thalamus volume", "30", "high")
    assert sidecar(files.quality).keys() == row.keys()
