"""The segment phase with models of users: what it writes and what it says."""

import json

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.images import read_derivative, read_labels
from cmb_bidsapp.bids.inputs import Scan
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.bids.provenance import read_provenance
from cmb_bidsapp.core.labels import CMB
from cmb_bidsapp.settings import Lesions, Settings
from cmb_bidsapp.workflow import SEGMENT
from tests.models.toys import toy_dataset, toy_folder
from tests.skeletons import rescanned, write_nifti
from tests.skeletons import session as session_of

SHAPE = (18, 20, 5)
AFFINE = np.diag([1.0, 1.0, 5.0, 1.0])
BINARY = toy_dataset({"0": "T2starw"}, {"background": 0, "microbleed": 1, "mimic": 2})


@pytest.fixture
def prepared(tmp_path):
    """A session as the prepare phase leaves it, and the files around it."""
    raw = write_nifti(tmp_path / "bids" / "T2starw.nii.gz")
    t1w = Scan(path=raw, entities={"suffix": "T1w"}, metadata={}, voxel_mm3=1.0)
    session = rescanned(session_of("01", None, raw), t1w=t1w)
    files = SessionFiles(tmp_path / "out", "01", None)
    rng = np.random.default_rng(0)
    about = {"SkullStripped": True}
    for path in (files.t2star, files.t1w_on_t2star):
        write_image(path, rng.uniform(50, 150, SHAPE).astype(np.float32), AFFINE, about)
    write_image(files.structures, rng.integers(0, 18, SHAPE).astype(np.uint8), AFFINE, {})
    write_image(files.proxy, rng.integers(0, 4, SHAPE).astype(np.uint8), AFFINE, {})
    return session, files


def run(prepared, model, **options):
    session, files = prepared
    bids = session.t2star.path.parent
    settings = Settings(
        bids_dir=bids,
        out_dir=files.out_dir,
        levels=("participant",),
        lesions=Lesions(str(model), False, **options),
    )
    result = SEGMENT.run(session, files, settings, lambda text: None)
    sidecar = json.loads(files.network_labels.with_suffix("").with_suffix(".json").read_text())
    return result, read_labels(files.network_labels).data, sidecar


def test_without_predicted_regions_those_of_the_anatomy_are_used_and_it_is_said(prepared, tmp_path):
    result, labels, sidecar = run(prepared, toy_folder(tmp_path, dataset=BINARY))
    proxy = read_labels(prepared[1].proxy).data
    probability = read_derivative(prepared[1].probability).data
    found = labels == CMB
    assert 0 < found.sum() < found.size
    np.testing.assert_array_equal(labels[~found], proxy[~found])
    assert probability[found].min() > 0
    (note,) = result.notes
    assert "no brain regions" in note
    assert read_provenance(prepared[1]).notes == result.notes
    assert any("desc-proxy_dseg" in source for source in sidecar["Sources"])
    assert sidecar["Channels"] == ["T2starw"]
    assert not any("T1w" in source for source in sidecar["Sources"])


def test_predicted_regions_are_kept_and_nothing_is_said(prepared, tmp_path):
    result, labels, sidecar = run(prepared, toy_folder(tmp_path, ("0", "1")), folds=("1",))
    assert set(np.unique(labels)) & {1, 2, 3}
    assert result.notes == ()
    assert sidecar["Channels"] == ["T2starw", "T1w"]
    assert sidecar["Model"].endswith("fold_1")
    assert read_provenance(prepared[1]).lesion_model_sha256 == sidecar["ModelSHA256"]


@pytest.mark.parametrize(("axis", "word"), [(0, "sagittal"), (1, "coronal")])
def test_regions_of_slices_that_are_not_axial_are_those_of_the_anatomy(
    prepared, tmp_path, axis, word
):
    files = prepared[1]
    zooms = np.ones(4)
    zooms[axis] = 5.0
    about = {"SkullStripped": True}
    for path in (files.t2star, files.t1w_on_t2star, files.proxy):
        data = np.moveaxis(np.asarray(nib.load(path).dataobj), 2, axis)
        write_image(path, data, np.diag(zooms), about)
    result, labels, _ = run(prepared, toy_folder(tmp_path, ("0", "1")), folds=("1",))
    proxy = read_labels(files.proxy).data
    np.testing.assert_array_equal(labels[labels != CMB], proxy[labels != CMB])
    (note,) = result.notes
    assert word in note
    assert "regions of the anatomy" in note


def test_unfamiliar_voxels_are_told_where_the_model_states_its_own(prepared, tmp_path):
    ranges = {"in_plane_mm": [0.4, 0.5], "slice_mm": [1.0, 2.0]}
    result, _, _ = run(prepared, toy_folder(tmp_path, dataset={**toy_dataset(), **ranges}))
    assert [("in plane" in note, "apart" in note) for note in result.notes] == [
        (True, False),
        (False, True),
    ]


def test_the_folds_are_part_of_what_a_stamp_depends_on(prepared, tmp_path):
    session, files = prepared
    folder = toy_folder(tmp_path, ("0", "1"))

    def settings(*folds):
        lesions = Lesions(str(folder), folds=folds)
        return Settings(
            bids_dir=tmp_path, out_dir=files.out_dir, levels=("participant",), lesions=lesions
        )

    def parameters(*folds):
        return SEGMENT.parameters(settings(*folds), session)

    assert parameters() == parameters("0", "1")
    assert parameters("0") != parameters("1")
    assert files.proxy in SEGMENT.inputs(session, files, settings())
