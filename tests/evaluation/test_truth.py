"""The reference of a session."""

import math

import numpy as np
import pytest

from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.evaluation.predictions import PredictionFiles
from cmb_bidsapp.evaluation.presets import DEFAULT_RULES, PRESETS, Rules
from cmb_bidsapp.evaluation.truth import read_truth
from tests.evaluation.folders import AFFINE, SHAPE, blobs, halves, write_reference

PAPER = DEFAULT_RULES.preset


def truth_of(files, rules=DEFAULT_RULES):
    given = PredictionFiles(
        out_dir=files.out_dir, participant=files.participant, session=files.session, path=files.mask
    )
    return read_truth(given, rules)


def test_a_mask_alone_is_its_pieces_and_the_protocol_its_voxel_size(tmp_path):
    truth = truth_of(write_reference(tmp_path, "01", instances=blobs((3, 3, 1), (10, 10, 2))))
    assert [len(lesion.voxels) for lesion in truth.lesions] == [9, 9]
    assert len(truth.voxels) == 18
    assert [lesion.place.region for lesion in truth.lesions] == ["unassigned"] * 2
    assert truth.protocol == "1x1x5mm"


def test_the_table_says_where_instances_lie(tmp_path):
    files = write_reference(
        tmp_path, "01", instances=blobs((3, 3, 1), (10, 10, 2)), regions=("deep", "lobar"),
        mars_regions=(("left", "thalamus"), ("right", "frontal")), protocol="swi3t",
    )  # fmt: skip
    truth = truth_of(files)
    places = [(one.place.region, one.place.mars_region) for one in truth.lesions]
    assert places == [("deep", "left-thalamus"), ("lobar", "right-frontal")]
    assert truth.protocol == "swi3t"


def test_without_a_table_the_proxy_labels_say_it(tmp_path):
    instances = blobs((3, 3, 1), (12, 10, 2))
    truth = truth_of(write_reference(tmp_path, "01", instances=instances, proxy=halves((1, 2))))
    assert [lesion.place.region for lesion in truth.lesions] == ["lobar", "deep"]


def test_instances_that_contradict_the_mask_are_refused(tmp_path):
    files = write_reference(tmp_path, "01", instances=blobs((3, 3, 1)), regions=("deep",))
    write_image(files.mask, (blobs((4, 3, 1)) > 0).astype(np.uint8), AFFINE)
    with pytest.raises(DataError, match="mark different voxels"):
        truth_of(files)


def test_what_may_be_marked_or_not_is_ignored_unless_the_preset_knows_no_such_thing(tmp_path):
    faint = blobs((10, 10, 2)) > 0
    files = write_reference(tmp_path, "01", instances=blobs((3, 3, 1)), ignore=faint)
    found = truth_of(write_reference(tmp_path / "two", "01", instances=blobs((10, 10, 2)))).lesions
    fates = [one.fate for one in truth_of(files).compare(found, PAPER).fates]
    assert fates == ["missed", "ignored"]
    valdo = Rules(preset=PRESETS["valdo"], connectivity=26, min_score=0.5, thresholds=())
    fates = [one.fate for one in truth_of(files, valdo).compare(found, valdo.preset).fates]
    assert fates == ["missed", "false-positive"]


def test_marks_without_an_extent_have_no_dice(tmp_path):
    truth = truth_of(write_reference(tmp_path, "01", instances=blobs((3, 3, 1))))
    whole = truth.compare(truth.lesions, PAPER)
    assert (whole.overlap.dice, whole.dice) == (1, 1)
    points = truth.compare(truth.lesions, PAPER, extent=False)
    assert points.counts.tp == 1
    assert math.isnan(points.dice)
    assert math.isnan(points.fates[0].dice)


def test_shares_of_raters_weigh_where_the_preset_says_so(tmp_path):
    files = write_reference(tmp_path, "01", instances=blobs((3, 3, 1)))
    shares = np.zeros(SHAPE, np.float32)
    shares[blobs((3, 3, 1)) > 0] = 0.5
    write_image(files.mask, shares, AFFINE)
    weights = [
        truth_of(files, Rules(preset=PRESETS[name], connectivity=26, min_score=0.5, thresholds=()))
        .lesions[0]
        .weight
        for name in ("paper", "valdo")
    ]
    assert weights == [1, 0.5]
