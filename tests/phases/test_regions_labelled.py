"""A head is labeled as found, or by the embedded parcellation."""

import dataclasses
import json

import numpy as np
import pytest
from nibabel.affines import apply_affine

from cmb_bidsapp.anatomy.reuse import has_lobes
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.core.labels import ids, table, where
from cmb_bidsapp.phases.regions import label_head
from tests.anatomy.subjects import find_parcellation, save, write
from tests.phases.heads import AFFINE, MOVE, head_of, moved_atlas


def found_with(tmp_path, dseg, affine=AFFINE):
    save(tmp_path / "sub-01_desc-aseg_dseg.nii.gz", dseg, affine)
    return find_parcellation([tmp_path], "01", None)


def without_names(dseg):
    cortex = where(dseg, ids(structure="cerebral-cortex"))
    return np.where(cortex, np.where(where(dseg, ids(side="R")), 42, 3), dseg).astype(np.int32)


@pytest.fixture
def named(monkeypatch):
    """Take the place of the registration; notes its seeds where it is to name the cortex."""
    seeds = []

    def name(parcellation, *, names, seed):
        if not names:
            return parcellation
        seeds.append(seed)
        cortex = where(parcellation.dseg, (3, 42))
        return dataclasses.replace(parcellation, dseg=np.where(cortex, 1028, parcellation.dseg))

    monkeypatch.setattr("cmb_bidsapp.phases.regions.aligned", name)
    return seeds


def test_a_cortex_without_names_is_named_from_the_atlas_and_it_is_said(
    labeled, settings, tmp_path, named
):
    found = found_with(tmp_path, without_names(labeled.dseg))
    notes, steps = [], []
    asked = dataclasses.replace(settings(), seed=7)
    head = head_of(labeled.dseg, AFFINE)
    made = label_head(head, found, asked, steps.append, notes)
    (note,) = notes
    assert str(found.dseg) in note
    assert "using the lobes of the atlas" in note
    assert named == [7]
    assert has_lobes(made.dseg)
    assert steps == ["parcellation: sMRIPrep"]


def test_a_cortex_with_names_keeps_them(labeled, settings, tmp_path, named):
    notes = []
    found = found_with(tmp_path, labeled.dseg)
    head = head_of(labeled.dseg, AFFINE)
    made = label_head(head, found, settings(), lambda text: None, notes)
    assert (notes, named) == ([], [])
    np.testing.assert_array_equal(np.unique(made.dseg), np.unique(labeled.dseg))


def test_the_version_of_what_made_it_is_kept_and_told(labeled, settings, tmp_path):
    found = found_with(tmp_path, labeled.dseg)
    made_by = {"GeneratedBy": [{"Name": "fMRIPrep", "Version": "24.1.1"}]}
    write(tmp_path / "dataset_description.json", json.dumps(made_by))
    steps = []
    made = label_head(head_of(labeled.dseg, AFFINE), found, settings(), steps.append, [])
    # Without a callosum it counts as SynthSeg's.
    assert steps == ["parcellation: sMRIPrep (fMRIPrep 24.1.1)"]
    assert made.source == "SynthSeg (fMRIPrep 24.1.1)"


def test_labels_of_another_head_are_refused_before_they_are_named(
    labeled, settings, tmp_path, named
):
    found = found_with(tmp_path, without_names(labeled.dseg))
    elsewhere = AFFINE.copy()
    elsewhere[1, 3] += 40
    head = head_of(labeled.dseg, elsewhere)
    with pytest.raises(DataError, match="does not match this T1w"):
        label_head(head, found, settings(), lambda text: None, [])
    assert named == []


def test_where_nothing_was_found_the_head_is_labeled_here(labeled, settings, monkeypatch):
    seen = []

    def parcellate(anatomy, image, *, seed):
        seen.append((image, seed))
        return labeled

    monkeypatch.setattr("cmb_bidsapp.phases.regions.parcellate", parcellate)
    steps, notes = [], []
    asked = dataclasses.replace(settings(), seed=3)
    head = head_of(labeled.dseg, AFFINE)
    assert label_head(head, None, asked, steps.append, notes) is labeled
    assert seen == [(head, 3)]
    assert (len(steps), notes) == (1, [])


def test_the_names_of_the_atlas_come_back_to_its_own_head(settings, tmp_path):
    """The registration itself, on the head that the names are of."""
    true, affine = moved_atlas()
    notes = []
    found = found_with(tmp_path, without_names(true), affine)
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
    # And every point of it to its place.
    inside = apply_affine(made.grid.affine, np.argwhere(made.dseg > 0)[::500])
    there = apply_affine(np.linalg.inv(MOVE), inside)
    off = np.linalg.norm(made.standard.to_standard(inside) - there, axis=1)
    back = np.linalg.norm(made.standard.from_standard(there) - inside, axis=1)
    assert np.median(off) < 1
    assert np.median(back) < 1
