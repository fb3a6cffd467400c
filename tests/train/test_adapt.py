"""The verb that adapts a model to a site, on a made-up one; a stand-in proposes candidates."""

import json
import shutil

import numpy as np
import pytest

from cmb_bidsapp.bids.outputs import write_json
from cmb_bidsapp.cli import main
from cmb_bidsapp.models.registry import load_lesion_model
from cmb_bidsapp.train.choice import PATIENCE
from tests.group.readers import rating, write_ratings
from tests.group.readers import write_session as write_reading
from tests.skeletons import tree
from tests.train.sites import Proposer, site, untrained_bundle, write_session

STEPS = 48


@pytest.fixture(scope="module", autouse=True)
def small():
    """Few places, microbleeds and steps, so that it takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cmb_bidsapp.train.adapt.LesionNetwork", Proposer)
        patch.setattr("cmb_bidsapp.train.adapt.DRAWS", 1)
        patch.setattr("cmb_bidsapp.sensitivity.measure.SOURCES", 12)
        patch.setattr("cmb_bidsapp.lesions.second_look.JUDGES", 2)
        patch.setattr("cmb_bidsapp.train.tuning.SHADOWS", 30)
        patch.setattr("cmb_bidsapp.train.tuning.EVERY", STEPS // 3)
        patch.setattr("cmb_bidsapp.train.places.TISSUE", 100)
        patch.setattr("cmb_bidsapp.train.places.SPOTS", 30)
        patch.setattr("cmb_bidsapp.train.second_look.BATCH", 40)
        patch.setattr("cmb_bidsapp.train.second_look.TUNING_RATE", 2e-3)
        yield


def adapt(out, start, bundle, *options):
    arguments = ["adapt", out, "--model", start, "--output-dir", bundle, "--device", "cpu"]
    return main([str(one) for one in (*arguments, "--steps", STEPS, *options)])


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return untrained_bundle(tmp_path_factory.mktemp("start") / "bundle")


@pytest.fixture(scope="module")
def out(tmp_path_factory, start):
    return site(tmp_path_factory.mktemp("site"), start)


@pytest.fixture(scope="module")
def adapted(tmp_path_factory, out, start):
    bundle = tmp_path_factory.mktemp("adapted") / "mine"
    before = tree(out)
    assert adapt(out, start, bundle) == 0
    assert tree(out) == before, "nothing of the outputs changes"
    return bundle


def card_of(bundle):
    return json.loads((bundle / "model.json").read_text())


def test_more_is_found_at_as_many_marks(adapted):
    measured = card_of(adapted)["metrics"]
    assert measured["found"] > measured["found_before"] + 0.1
    assert measured["difference_interval"][0] > 0
    assert measured["marks_per_scan"] > 0


def test_the_card_says_where_it_comes_from_and_what_it_learned(adapted, start):
    card, before = card_of(adapted), card_of(start)
    assert card["name"] == "toy-adapted"
    assert card["license"] == before["license"] == "CC BY-NC-SA 4.0"
    assert card["training_data"].endswith("adapted, without labels, to 3 scans of 3 participants")
    told = card["schedule"]["adaptation"]
    assert told["start"] == {"name": "toy", "version": "1", "sha256": before["files"]}
    assert (told["participants"], told["held_back_participants"], told["scans"]) == (3, 1, 3)
    assert told["rated_scans"] == 0
    protocol = {"voxel_mm": [1.0, 1.0, 3.0], "field_t": 3.0, "te_ms": 20.0, "scans": 3}
    assert told["protocols"] == [protocol]
    assert told["step"] in (16, 32, 48)
    assert isinstance(told["halfway"], bool)
    assert told["seed"] == 0


def test_only_the_judges_change(adapted, start):
    card, before = card_of(adapted)["files"], card_of(start)["files"]
    assert {name for name in card if card[name] != before[name]} == {"second_look.pt"}
    assert load_lesion_model(str(adapted)).second_look is not None


def test_thresholds_and_calibration_move(adapted, start):
    card, before = card_of(adapted), card_of(start)
    assert card["threshold"] != before["threshold"]
    points = {name: {"threshold": card["threshold"]} for name in before["operating_points"]}
    assert card["operating_points"] == points, "what was measured with other judges is left out"
    assert set(card["calibration"]) == {"knots", "method"}
    levels = [level for _, level in card["calibration"]["knots"]]
    assert levels[0] == 0.2
    assert levels[-1] == 0.9


def test_nobody_who_is_held_back_is_learned_from(adapted):
    work = adapted.with_name("mine-work")
    learned, held_back = (
        {path.name.split("_")[0] for path in work.glob(f"*_{what}.npz")}
        for what in ("places", "trials")
    )
    assert (len(learned), len(held_back)) == (2, 1)
    assert not learned & held_back


def test_an_interrupted_adaptation_goes_on_to_the_same_bundle(
    adapted, out, start, tmp_path, monkeypatch, capsys
):
    work = tmp_path / "work"
    shutil.copytree(adapted.with_name("mine-work"), work)
    for path in (*work.glob("judge-1_step-[13]*"), next(iter(work.glob("*_places.npz")))):
        path.unlink()
    kept = tree(work)
    assert adapt(out, start, tmp_path / "again", "--work-dir", work) == 0
    assert card_of(tmp_path / "again") == card_of(adapted)
    after = tree(work)
    arrays = [name for name in kept if name.endswith((".npz", ".pt"))]
    assert {name: after[name] for name in arrays} == {name: kept[name] for name in arrays}
    assert after.keys() == tree(adapted.with_name("mine-work")).keys()
    weights = [bundle / "second_look.pt" for bundle in (tmp_path / "again", adapted)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_where_nothing_improves_training_stops(adapted, out, start, tmp_path, monkeypatch, capsys):
    work = tmp_path / "work"
    shutil.copytree(adapted.with_name("mine-work"), work, ignore=shutil.ignore_patterns("judge-*"))
    monkeypatch.setattr("cmb_bidsapp.train.gains.Judged.share", lambda *_: 0.5)
    monkeypatch.setattr("cmb_bidsapp.train.tuning.EVERY", 1)
    assert adapt(out, start, tmp_path / "b", "--work-dir", work) == 3
    captured = capsys.readouterr()
    assert f"{PATIENCE} measurements without a gain: training stops" in captured.out
    states = {path.name.partition("_")[2] for path in work.glob("judge-*")}
    assert states == {f"step-{step}.pt" for step in range(1, PATIENCE + 1)}
    assert "no bundle written" in captured.err
    assert "keep using toy-1" in captured.err
    assert not (tmp_path / "b").exists()


def test_a_work_folder_of_another_adaptation_is_refused(adapted, out, start, tmp_path, capsys):
    work = adapted.with_name("mine-work")
    assert adapt(out, start, tmp_path / "b", "--work-dir", work, "--random-seed", "1") == 2
    assert "belongs to another adaptation" in capsys.readouterr().err


def test_ratings_are_learned_and_the_card_says_so(out, start, tmp_path, capsys, monkeypatch):
    # Whether so few steps gain anything depends on the processor's arithmetic.
    monkeypatch.setattr("cmb_bidsapp.train.gains.Gain.better", True)
    shutil.copytree(out, tmp_path / "out")
    places = {"1": (0, 0, 2), "2": (9, 9, 5)}
    candidates = [(number, "kept", "definite", place) for number, place in places.items()]
    for participant in ("01", "02", "03"):
        write_reading(tmp_path / "out", participant, candidates=candidates)
        rows = [
            {**rating(number, word, place=places[number]), "participant_id": f"sub-{participant}"}
            for number, word in (("1", "definite"), ("2", "not-cmb"))
        ]
        write_ratings(tmp_path, *rows, name=f"sub-{participant}_ratings.tsv")
    assert adapt(tmp_path / "out", start, tmp_path / "b", "--ratings", tmp_path) == 0
    assert capsys.readouterr().out.count(" 1 lesion,") == 2, "one scan is held back"
    card = card_of(tmp_path / "b")
    assert card["schedule"]["adaptation"]["rated_scans"] == 2
    assert "with readers' ratings of 2, to 3 scans" in card["training_data"]


def test_two_participants_are_too_few(out, start, tmp_path, capsys):
    assert adapt(out, start, tmp_path / "b", "--participant-label", "01", "02") == 2
    assert "2 participants are too few; at least 3 are needed" in capsys.readouterr().err
    assert not (tmp_path / "b-work").exists()


def test_a_model_without_judges_is_refused(out, start, tmp_path, capsys):
    bundle = tmp_path / "none"
    shutil.copytree(start, bundle)
    card = card_of(bundle)
    del card["files"]["second_look.pt"]
    write_json(bundle / "model.json", card)
    assert adapt(out, bundle, tmp_path / "b") == 2
    assert "has no second look" in capsys.readouterr().err


def test_outputs_of_another_model_are_refused(out, tmp_path, capsys):
    assert adapt(out, "lesions", tmp_path / "b") == 65
    assert "made by toy-1" in capsys.readouterr().err


def test_the_model_is_not_overwritten(out, start, capsys):
    before = tree(start)
    assert adapt(out, start, start) == 2
    assert "choose another one" in capsys.readouterr().err
    assert tree(start) == before


def test_sessions_that_cannot_be_used_are_named(start, tmp_path, capsys, caplog):
    model = load_lesion_model(str(start))
    coronal = np.diag([1.0, 3.0, 1.0, 1.0])[:, [0, 2, 1, 3]]
    write_session(tmp_path / "out", "01", model, affine=coronal)
    write_session(tmp_path / "out", "02", model).mask.unlink()
    assert adapt(tmp_path / "out", start, tmp_path / "b") == 66
    assert "sub-01 is left out: its slices are coronal" in caplog.text
    assert "sub-02 is left out: it is not finished" in caplog.text
    assert "no finished session with axial slices" in capsys.readouterr().err


def test_a_name_no_card_can_hold_is_refused(out, start, tmp_path, capsys):
    assert adapt(out, start, tmp_path / "b", "--name", " ") == 2
    assert "--name must be one line of text" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_refused(start, tmp_path, capsys):
    assert adapt(tmp_path / "none", start, tmp_path / "b") == 2
    assert "not a folder" in capsys.readouterr().err
