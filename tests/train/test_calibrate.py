"""The calibrate verb: from the table of an evaluation to the card of a bundle."""

import json
import shutil

import numpy as np
import pytest

from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.cli import main
from cmb_bidsapp.core.errors import ModelError
from cmb_bidsapp.models.registry import PACKAGED, calibration_of, load_card, threshold_of
from cmb_bidsapp.train.calibrate import (
    COLUMNS,
    SESSION_COLUMNS,
    SESSIONS,
    TABLE,
    candidates_of,
    operating_points,
    sessions_of,
)


@pytest.fixture
def bundle(tmp_path):
    """A folder with the card of the packaged model, as if it had never been calibrated."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    card = json.loads((PACKAGED / "lesions" / "model.json").read_text())
    for measured in ("calibration", "operating_points"):
        card.pop(measured, None)
    (folder / "model.json").write_text(json.dumps({**card, "threshold": 0.999}))
    return folder


def row(participant, x, probability, stage="after-cfpr", side="predicted", fate="", method="app"):
    values = (f"sub-{participant:02d}", stage, side, fate, x, 0, 0, probability)
    return {"method": method, **dict(zip(COLUMNS, values, strict=True))}


def candidates(true=30, false=10):
    """Participants with a microbleed, most of which are found, and marks far from it."""
    rng = np.random.default_rng(0)
    return [
        *(row(n, 0, "n/a", side="reference") for n in range(true)),
        *(row(n, 3, 1 - rng.uniform(1e-6, 2e-4)) for n in range(true)),
        *(row(n, 40, 1 - rng.uniform(1e-4, 9e-4)) for n in range(false)),
    ]


def write(folder, rows, scans=40, microbleeds=35):
    write_table(folder / TABLE, ["method", *COLUMNS], rows)
    sessions = [(f"sub-{n:02d}", "after-cfpr", "evaluated", 0) for n in range(scans - 1)]
    sessions += [("sub-99", "after-cfpr", "evaluated", microbleeds), ("sub-98", "", "failed", None)]
    dictionaries = [dict(zip(SESSION_COLUMNS, one, strict=True)) for one in sessions]
    write_table(folder / SESSIONS, list(SESSION_COLUMNS), dictionaries)
    return folder


def test_a_calibration_reaches_the_card_and_the_app(bundle, tmp_path, capsys):
    before = json.loads((bundle / "model.json").read_text())
    assert calibration_of(str(bundle)) == ()
    assert main(["train", "calibrate", str(bundle), str(write(tmp_path, candidates()))]) == 0
    after = json.loads((bundle / "model.json").read_text())
    assert {key for key in before if after[key] != before[key]} == {"threshold"}
    assert set(after) - set(before) == {"calibration", "operating_points"}
    assert after["threshold"] == after["operating_points"]["balanced"]["threshold"]
    calibration = after["calibration"]
    assert (calibration["candidates"], calibration["microbleeds"]) == (40, 30)
    assert set(calibration["brier"]) == {"network", "constant", "logistic", "isotonic"}
    knots = calibration_of(str(bundle))
    assert 0.999 < knots[0][0] < 0.9992, "the lowest of the candidates"
    assert knots[0][1] < 0.5 < 0.8 < knots[-1][1]
    assert load_card(str(bundle)).calibration == calibration
    said = capsys.readouterr().out
    assert "40 candidates of 30 participants, 30 of them microbleeds" in said
    assert f"chosen: {calibration['method']}" in said


def test_operating_points_keep_to_their_false_marks():
    probability = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    true = np.array([0, 1, 0, 0, 1, 0, 1, 1], bool)
    points = operating_points(probability, true, scans=2, microbleeds=5)
    assert points["sensitive"] == {
        "threshold": 0.2,
        "false_marks_per_scan": 2.0,
        "found": 0.8,
    }
    # Two false marks in two scans: those at 0.7 and 0.5.
    assert points["balanced"]["threshold"] == 0.5
    assert points["balanced"]["false_marks_per_scan"] == 1.0
    # None at all: above 0.7.
    assert points["specific"] == {"threshold": 0.8, "false_marks_per_scan": 0.0, "found": 0.4}


def test_the_surest_mark_may_be_false():
    points = operating_points(np.array([0.5, 0.9]), np.array([True, False]), 2, 1)
    assert 0.9 < points["specific"]["threshold"] < 1
    assert points["specific"]["found"] == 0


def test_sessions_that_failed_do_not_count(tmp_path):
    write(tmp_path, candidates(), scans=7, microbleeds=9)
    assert sessions_of(tmp_path / SESSIONS) == (7, 9)


def test_an_operating_point_is_chosen_by_name(bundle, tmp_path):
    with pytest.raises(ModelError, match="no operating points"):
        threshold_of(str(bundle), "specific")
    main(["train", "calibrate", str(bundle), str(write(tmp_path, candidates()))])
    points = load_card(str(bundle)).operating_points
    for name in ("sensitive", "balanced", "specific"):
        assert threshold_of(str(bundle), name) == points[name]["threshold"]
    assert threshold_of(str(bundle)) == threshold_of(str(bundle), "balanced")


def test_it_may_be_done_again(bundle, tmp_path):
    for count in (10, 20):
        write(tmp_path, candidates(false=count))
        assert main(["train", "calibrate", str(bundle), str(tmp_path)]) == 0
        assert load_card(str(bundle)).calibration["candidates"] == 30 + count


def test_only_candidates_that_cfpr_keeps_and_the_reference_judges_are_used(tmp_path):
    rows = [
        *candidates(6, 6),
        row(1, 90, 0.7),  # under the model's threshold, as others may be
        row(1, 0, 0.9995, stage="before-cfpr"),
        row(1, 80, 0.9995, fate="ignored"),
        row(1, 0, "n/a", stage="as-given", method="another tool"),
    ]
    probability, true, participant = candidates_of(write(tmp_path, rows) / TABLE)
    assert (len(probability), int(true.sum()), len(set(participant))) == (13, 6, 6)
    assert probability.min() == 0.7


def test_of_marks_near_a_microbleed_the_surest_is_it(tmp_path):
    rows = [*candidates(6, 6), row(1, 1, 0.4), row(2, 4.5, 1.0)]
    probability, true, _ = candidates_of(write(tmp_path, rows) / TABLE)
    assert not true[probability == 0.4], "nearer, but less sure"
    assert true[probability == 1.0], "farther, and surer"
    assert true.sum() == 6


def test_microbleeds_of_another_session_are_none_of_this_one(tmp_path):
    elsewhere = {**row(0, 40, "n/a", side="reference"), "session_id": "ses-B"}
    rows = [{"session_id": "ses-A", **one} for one in candidates(6, 6)]
    write_table(tmp_path / TABLE, ["session_id", "method", *COLUMNS], [*rows, elsewhere])
    assert candidates_of(tmp_path / TABLE)[1].sum() == 6


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (candidates(4, 20), "4 true and 20 false"),
        (candidates(20, 4), "20 true and 4 false"),
        ([{**one, "participant_id": "sub-01"} for one in candidates()], "in 1 participants"),
        ([*candidates(), row(1, 0, "much")], "must be numbers"),
        ([*candidates(), row(1, "there", 1)], "must be numbers"),
        ([*candidates(), row(1, 0, 1, method="old")], "several models (app, old)"),
    ],
)
def test_too_few_or_damaged_candidates_leave_the_card_alone(bundle, tmp_path, capsys, rows, said):
    before = (bundle / "model.json").read_text()
    assert main(["train", "calibrate", str(bundle), str(write(tmp_path, rows))]) == 65
    assert said in capsys.readouterr().err
    assert (bundle / "model.json").read_text() == before


def test_a_folder_without_an_evaluation_says_what_to_run(bundle, tmp_path, capsys):
    assert main(["train", "calibrate", str(bundle), str(tmp_path)]) == 65
    assert "run cmb_bidsapp evaluate first" in capsys.readouterr().err
    (tmp_path / TABLE).write_text("participant_id\n")
    assert main(["train", "calibrate", str(bundle), str(tmp_path)]) == 65
    assert "lacks fate, probability_max, side" in capsys.readouterr().err


def test_a_bundle_of_another_kind_is_refused(tmp_path, capsys):
    write(tmp_path, candidates())
    assert main(["train", "calibrate", str(tmp_path), str(tmp_path)]) == 2
    assert "expected a folder with a model.json" in capsys.readouterr().err
    shutil.copy(PACKAGED / "anatomy" / "model.json", tmp_path)
    assert main(["train", "calibrate", str(tmp_path), str(tmp_path)]) == 2
    assert "expected a model for lesions" in capsys.readouterr().err
