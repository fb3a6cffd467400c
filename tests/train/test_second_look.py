"""Training of the second look on made-up scans in which bleeds and vessels are easy to tell."""

import copy
import dataclasses
import json
import shutil

import nibabel as nib
import numpy as np
import pytest
import torch

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.cli import main
from cmb_bidsapp.core.errors import NoInputError
from cmb_bidsapp.lesions.second_look import Judge, SecondLook, judge_views
from cmb_bidsapp.lesions.segment import LesionNetwork, second_look_of
from cmb_bidsapp.models.registry import PACKAGED, load_lesion_model
from cmb_bidsapp.sensitivity.background import read_background
from cmb_bidsapp.train import run
from cmb_bidsapp.train.implants import chosen_sessions
from cmb_bidsapp.train.places import MARGIN, Acquisition, Kind, Places, places_of, shadows_of
from cmb_bidsapp.train.second_look import NO, YES, Tuning, halfway, train_second_look

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
    for participant in ("01", "02", "03"):
        t2star, bleeds = scan(rng)
        files = SessionFiles(folder, participant, None)
        sidecar = {"MagneticFieldStrength": 3, "EchoTime": 0.02}
        write_image(files.t2star, t2star, AFFINE, sidecar)
        write_image(files.proxy, (t2star > 0).astype(np.uint8), AFFINE)
        write_image(files.mask, bleeds, AFFINE)
    return folder


@pytest.fixture(scope="module")
def backgrounds(training):
    return [read_background(*one) for one in chosen_sessions(training, training)]


def test_it_learns_to_tell_spots_from_lines(backgrounds):
    rng = np.random.default_rng(0)
    shadows = shadows_of(Acquisition.of(backgrounds[0]), 40, rng)
    parts = [places_of(seen, 0, rng) for seen in backgrounds]
    network = train_second_look(Places.joined(parts[:2]), [shadows], steps=60)
    unseen = parts[2]
    views = unseen.views(slice(None))[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
    judged = judge_views(network, views, tuple(unseen.voxel[0]))
    lesions, others = (judged[unseen.kind == kind] for kind in (Kind.LESION, Kind.OTHER))
    assert lesions.mean() > others.mean() + 0.3


def test_no_label_is_needed(training, monkeypatch):
    monkeypatch.setattr("cmb_bidsapp.train.second_look.BATCH", 40)
    rng = np.random.default_rng(0)
    (files, labeled), *_ = chosen_sessions(training, None)
    seen = read_background(files, labeled)
    places = places_of(seen, 0, rng)
    assert set(places.kind) == {Kind.OTHER, Kind.TISSUE}
    shadows = shadows_of(Acquisition.of(seen), 20, rng)
    losses = []
    train_second_look(places, [shadows], steps=30, progress=lambda _, loss: losses.append(loss))
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_a_judge_that_is_trained_further_starts_from_what_it_was(backgrounds, monkeypatch):
    """Of what is suspected it is told what it says already, of the rest what is true."""
    monkeypatch.setattr("cmb_bidsapp.train.second_look.BATCH", 16)
    told = []

    def loss(odds, truth):
        told.append(truth.tolist())
        return odds.mean()

    monkeypatch.setattr("cmb_bidsapp.train.second_look.F.binary_cross_entropy_with_logits", loss)
    rng = np.random.default_rng(0)
    # The scan's bleeds are suspected, and nobody has labeled them.
    seen = dataclasses.replace(backgrounds[0], lesions=None, suspected=backgrounds[0].lesions)
    places = places_of(seen, 0, rng)
    torch.manual_seed(0)
    start = Judge()
    before = copy.deepcopy(start.state_dict())
    tuning = Tuning(start, places, [np.zeros((1, 10, 38, 38), np.float16)], steps=2, seed=0)
    tuning.advance(2)
    assert len(told) == 2
    assert any(not torch.equal(v, before[k]) for k, v in tuning.judge.state_dict().items())
    assert all(torch.equal(value, before[key]) for key, value in start.state_dict().items())
    suspected = places.kind == Kind.SUSPECTED
    views = places.views(suspected)[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
    said = judge_views(SecondLook([start]), views, tuple(places.voxel[0]))
    for batch in told:
        truth = np.array(batch)
        assert (truth[:6] == np.float32(YES)).all(), "mixed in"
        sure = np.isin(truth, np.float32([YES, NO]))
        assert 0 < (~sure).sum() < 10
        assert np.isin(truth[~sure], said).all()


def test_a_training_that_is_gone_on_with_is_the_same_as_one_at_a_time(
    backgrounds, tmp_path, monkeypatch
):
    """Also where others have drawn random numbers in between."""
    monkeypatch.setattr("cmb_bidsapp.train.second_look.BATCH", 16)
    places = places_of(backgrounds[0], 0, np.random.default_rng(0))
    shadows = [np.full((3, 10, 38, 38), -0.5, np.float16)]
    judge = Judge()
    whole, first, second = (Tuning(judge, places, shadows, steps=4, seed=5) for _ in range(3))
    whole.advance(4)
    first.advance(2)
    torch.save(first.state(), tmp_path / "state.pt")
    torch.rand(7)
    second.resume(torch.load(tmp_path / "state.pt", weights_only=True))
    second.advance(2)
    found, expected = (one.judge.state_dict() for one in (second, whole))
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    early = first.judge.state_dict()
    assert any(not torch.equal(early[key], expected[key]) for key in expected)


def test_halfway_is_the_mean_of_the_weights():
    start, end = (SecondLook([Judge()]) for _ in range(2))
    end.judges[0].features[1].num_batches_tracked += 3
    before, after = (copy.deepcopy(one.state_dict()) for one in (start, end))
    middle = halfway(start, end).state_dict()
    for key in before:
        if before[key].is_floating_point():
            torch.testing.assert_close(middle[key], (before[key] + after[key]) / 2)
    assert middle["judges.0.features.1.num_batches_tracked"] == 3
    for network, own in ((start, before), (end, after)):
        assert all(torch.equal(value, own[key]) for key, value in network.state_dict().items())


def test_scans_that_show_no_microbleed_are_refused(backgrounds):
    places = places_of(backgrounds[0], 0, np.random.default_rng(0))
    with pytest.raises(NoInputError, match="no tissue"):
        train_second_look(places, [np.zeros((0, 10, 38, 38), np.float16)], steps=1)


def test_the_bundle_holds_it_and_segmentation_uses_it(training, tmp_path, capsys):
    bundle = tmp_path / "bundle"
    shutil.copytree(PACKAGED / "lesions", bundle)
    arguments = ["train", "second-look", str(training), str(bundle), "--steps", "3"]
    arguments += ["--masks", str(training), "--also", str(training)]
    assert main([*arguments, "--folds", "2", "--fold", "0"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("lesion,") == 1 + 3, "the fold leaves out two of three, --also nobody"
    card = json.loads((bundle / "model.json").read_text())
    assert "second_look.pt" in card["files"]
    assert "calibration" not in card
    assert card["threshold"] == 0.5, "the old one was measured without the second look"
    model = load_lesion_model(str(bundle))
    t2star = np.asarray(nib.load(SessionFiles(training, "01", None).t2star).dataobj, np.float32)
    first, second = (
        LesionNetwork(one, mirror=False)(t2star, None, AFFINE)
        for one in (load_lesion_model("lesions"), model)
    )
    assert not np.array_equal(first.cmb_probability, second.cmb_probability)
    assert (second.cmb_probability[first.cmb_probability < 0.05] == 0).all()


def test_judges_that_are_added_come_before_those_of_the_bundle(training, tmp_path, monkeypatch):
    bundle = tmp_path / "bundle"
    shutil.copytree(PACKAGED / "lesions", bundle)
    own = (Judge(), Judge())
    monkeypatch.setattr(run, "_judges", lambda *_: own)
    before = second_look_of(load_lesion_model("lesions").second_look).members
    arguments = ["train", "second-look", str(training), str(bundle), "--masks", str(training)]
    assert main([*arguments, "--add"]) == 0
    judges = second_look_of(load_lesion_model(str(bundle)).second_look).members
    for found, expected in zip(judges, (*own, *before), strict=True):
        assert all(map(torch.equal, found.state_dict().values(), expected.state_dict().values()))


def test_mimics_alone_leave_the_judgment_as_it_is(training, tmp_path, capsys):
    bundle = tmp_path / "bundle"
    shutil.copytree(PACKAGED / "lesions", bundle)
    arguments = ["train", "second-look", str(training), str(bundle), "--steps", "2"]
    arguments += ["--masks", str(training), "--mimics-only"]
    before = load_lesion_model("lesions").card
    assert main(arguments) == 0
    assert "the network does not learn mimics" in capsys.readouterr().out
    for participant in ("01", "02", "03"):
        files = SessionFiles(training, participant, None)
        t2star, affine = (image := nib.load(files.t2star)).get_fdata(), image.affine
        bleeds = nib.load(files.mask).get_fdata() > 0
        # Lines of one half are veins, those of the other calcium.
        halves = np.where(np.arange(SHAPE[1]) < SHAPE[1] // 2, 1, 2)[None, :, None]
        write_image(files.mimics, (((t2star < 250) & ~bleeds) * halves).astype(np.uint8), affine)
        write_image(files.mars, np.ones(SHAPE, np.uint16), affine)
    assert main(arguments) == 0
    model = load_lesion_model(str(bundle))
    kept = {name: getattr(model.card, name) for name in ("threshold", "calibration", "metrics")}
    assert kept == {name: getattr(before, name) for name in kept}
    second_look, old = (
        second_look_of(one.second_look) for one in (model, load_lesion_model("lesions"))
    )
    assert second_look.namer is not None
    own, other = second_look.judges.state_dict(), old.judges.state_dict()
    assert all(torch.equal(own[key], other[key]) for key in other)


def test_a_fold_that_is_not_there_is_refused(training, tmp_path, capsys):
    arguments = ["train", "second-look", str(training), str(PACKAGED / "lesions")]
    assert main([*arguments, "--folds", "2", "--fold", "2"]) == 2
    assert "--fold 2: expected 0 to 1" in capsys.readouterr().err


def test_a_folder_that_is_no_bundle_is_refused(training, tmp_path):
    assert main(["train", "second-look", str(training), str(tmp_path / "none")]) == 78
