"""What the demo says about its own result."""

import json
from importlib.resources import files

import numpy as np
import pytest

from cmb_bidsapp import models
from cmb_bidsapp.anatomy.quality import BRAIN_ML
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.demo import PROTOCOL, SEED, changes_in_words, compare_with_truth
from cmb_bidsapp.lesions.axes import unfamiliar_voxels
from cmb_bidsapp.simulate.anatomy import atlas_head, deform
from tests.evaluation.folders import blobs, write_prediction, write_reference


@pytest.mark.parametrize("model", ["lesions", "lesions-valdo"])
def test_a_first_run_has_no_note_on_its_voxels(model):
    known = json.loads((files(models) / model / "dataset.json").read_text())
    assert unfamiliar_voxels(np.diag([*PROTOCOL.voxel, 1.0]), known) == []


@pytest.mark.parametrize("number", [0, 1])
def test_the_heads_are_within_the_limits_of_quality(number):
    head = deform(atlas_head(), np.random.default_rng((SEED, number)))
    low, high = BRAIN_ML
    # Masks of simulated heads may be a tenth larger than the brains.
    assert low < head.brain.sum() / 1000 < high / 1.1


def test_every_simulated_session_gets_a_line(tmp_path):
    truth, out_dir = tmp_path / "truth", tmp_path / "out"
    write_reference(truth, "01", "A", instances=blobs((3, 3, 1), (12, 12, 2)))
    write_reference(truth, "01", "B", instances=blobs((3, 3, 1)))
    found = blobs((3, 3, 1), (3, 12, 0), (12, 3, 0))
    write_prediction(out_dir, "01", "A", instances=found, rejected=[3])
    assert compare_with_truth(truth, out_dir) == [
        "sub-01_ses-A: 1 of 2, and 1 elsewhere",
        "sub-01_ses-B: no result",
    ]


def test_every_follow_up_gets_a_line(tmp_path):
    counts = ("persistent", "new", "already_there", "below_threshold", "gone")
    rows = [
        {"session_id": "ses-B", **dict(zip(counts, (3, 2, 1, 4, 0), strict=True))},
        {"session_id": "ses-C", **dict.fromkeys(counts)},
    ]
    write_table(SessionFiles(tmp_path, "01", None).changes, list(rows[0]), rows)
    words = "{0} persistent, {1} new, {2} already there, below threshold, "
    words += "{3} below threshold now, {4} gone"
    assert changes_in_words(tmp_path) == [
        f"sub-01_ses-B: {words.format(3, 2, 1, 4, 0)}",
        f"sub-01_ses-C: {words.format(*['n/a'] * 5)}",
    ]
