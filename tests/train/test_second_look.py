"""Training of the second look on made-up scans in which bleeds and vessels are easy to tell."""

import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.cli import main
from cmb_bidsapp.lesions.second_look import PIXELS, judge_views
from cmb_bidsapp.lesions.segment import LesionNetwork
from cmb_bidsapp.models.registry import PACKAGED, load_lesion_model
from cmb_bidsapp.train.cases import find_cases
from cmb_bidsapp.train.second_look import (
    LEAST_DARK,
    MARGIN,
    Places,
    dark_places,
    places_of,
    train_second_look,
)

AFFINE = np.diag([0.8, 0.8, 3.0, 1.0])
SHAPE = (90, 90, 12)
VOXEL = [0.8, 0.8, 3.0]


def scan(rng):
    """A flat brain with round spots, which are bleeds, and lines, which are none."""
    t2star = np.zeros(SHAPE, np.float32)
    t2star[5:-5, 5:-5, 1:-1] = 400
    bleeds = np.zeros(SHAPE, np.uint8)
    for x, y, z in zip(*(rng.integers(12, 78, (2, 12))), rng.integers(2, 10, 12), strict=True):
        bleeds[x : x + 3, y : y + 3, z] = 1
    lines = np.zeros(SHAPE, bool)
    for x, y, z in zip(*(rng.integers(12, 60, (2, 12))), rng.integers(2, 10, 12), strict=True):
        lines[x : x + 18, y, z] = True
    lines &= bleeds == 0
    t2star[(bleeds > 0) | lines] = 120
    return t2star + rng.normal(0, 8, SHAPE).astype(np.float32) * (t2star > 0), bleeds


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    rng = np.random.default_rng(0)
    for participant in ("01", "02"):
        for session in ("draw0", "draw1"):
            t2star, bleeds = scan(rng)
            files = SessionFiles(folder, participant, session)
            for path, data in (
                (files.t2star, t2star),
                (files.t1w_on_t2star, np.zeros_like(t2star)),
                (files.proxy, (t2star > 0).astype(np.uint8)),
                (files.mask, bleeds),
                (files.ignored, np.zeros_like(bleeds)),
            ):
                write_image(path, data, AFFINE)
    return folder


def test_dark_places_are_the_darkest_first(training):
    case = find_cases(training)[0]
    t2star = np.asarray(nib.load(case.t2star).dataobj)
    places = dark_places(t2star, VOXEL)
    assert len(places) > 20
    assert t2star[tuple(places[:10].T)].max() < 160
    assert (t2star[tuple(places.T)] > 0).all()


def test_lesions_and_other_dark_places_of_a_case(training):
    case = find_cases(training)[0]
    places = places_of(case, np.random.default_rng(0))
    assert places.views.shape[2:] == (PIXELS + 2 * MARGIN,) * 2
    assert 5 < places.true.sum() < 14
    assert (~places.true).sum() > 20
    middle = places.views[:, 2, 17:21, 17:21].min(axis=(1, 2))
    assert (middle[places.true] <= -LEAST_DARK).all()
    alone = places_of(case, np.random.default_rng(0), backgrounds=False)
    assert alone.true.all()
    assert len(alone.true) == places.true.sum()


def test_it_learns_to_tell_spots_from_lines(training):
    cases = find_cases(training)
    rng = np.random.default_rng(0)
    known, unseen = (
        Places.joined([places_of(case, rng) for case in part]) for part in (cases[:3], cases[3:])
    )
    network = train_second_look(known, steps=60)
    views = unseen.views[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
    judged = judge_views(network, views.copy(), tuple(unseen.voxel[0]))
    assert judged[unseen.true].mean() > judged[~unseen.true].mean() + 0.3


def test_the_bundle_holds_it_and_segmentation_uses_it(training, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(PACKAGED / "lesions", bundle)
    arguments = ["train", "second-look", str(training), str(bundle), "--steps", "3"]
    assert main([*arguments, "--folds", "2", "--fold", "0"]) == 0
    card = json.loads((bundle / "model.json").read_text())
    assert "second_look.pt" in card["files"]
    assert "calibration" not in card
    assert card["threshold"] == 0.5, "the old one was measured without the second look"
    model = load_lesion_model(str(bundle))
    t2star = np.asarray(nib.load(find_cases(training)[0].t2star).dataobj, np.float32)
    first, second = (
        LesionNetwork(one, mirror=False)(t2star, None, AFFINE)
        for one in (load_lesion_model("lesions"), model)
    )
    assert not np.array_equal(first.cmb_probability, second.cmb_probability)
    assert (second.cmb_probability[first.cmb_probability < 0.05] == 0).all()


def test_a_fold_that_is_not_there_is_refused(training, tmp_path, capsys):
    arguments = ["train", "second-look", str(training), str(PACKAGED / "lesions")]
    assert main([*arguments, "--folds", "2", "--fold", "2"]) == 2
    assert "--fold 2: 0 to 1" in capsys.readouterr().err


def test_a_folder_that_is_no_bundle_is_refused(training, tmp_path):
    assert main(["train", "second-look", str(training), str(tmp_path / "none")]) == 78
