"""Sessions of one participant, made of one small head that lies otherwise in each."""

import json
import shutil

import numpy as np
import pytest
from nibabel.affines import apply_affine

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import read_sidecar, sidecar_of, write_image, write_json
from cmb_bidsapp.bids.tables import read_table, write_table
from cmb_bidsapp.clinical.follow_up import CHANGE_COLUMNS
from cmb_bidsapp.clinical.tracks import TRACK_COLUMNS
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.engine.child import Job, run, up_to_date
from cmb_bidsapp.lesions.table import COLUMNS
from cmb_bidsapp.preprocess.ants import read_linear
from cmb_bidsapp.settings import Settings
from tests.preprocess.test_registration import MOTION, grid_at, head
from tests.preprocess.test_resampling import world
from tests.skeletons import session as session_of
from tests.skeletons import tree

STAYS, GOES, COMES = (14.0, 17, 7), (-15.0, -7, 10), (-10.0, 20, -13)
FRESH = (12.0, -12, -5)
#: Probability of the network where a lesion will come, one session before.
FAINT = 0.7
ROW = {
    "status": "kept",
    "grade": "definite",
    "region": "lobar",
    "mars_region": "frontal",
    "side": "left",
    "border": "false",
    "diameter": 4.0,
    "probability_max": 0.99999,
    "calibrated_probability": 0.9,
}


def write_session(out_dir, label, lesions, motion, seed, *, faint=(), **protocol):
    """What the app leaves of a session; ``lesions`` and ``faint`` are places of the first."""
    files = SessionFiles(out_dir, "01", label)
    grid = grid_at()
    image, brain = head(apply_affine(np.linalg.inv(motion), world(grid)))
    image = image + np.random.default_rng(seed).normal(0, 1, image.shape)
    instances = np.zeros(grid.shape, np.int16)
    probability = np.zeros(grid.shape, np.float32)
    rows = []
    for number, place in enumerate((*lesions, *faint), 1):
        x, y, z = apply_affine(motion, place)
        voxel = tuple(np.round(apply_affine(np.linalg.inv(grid.affine), (x, y, z))).astype(int))
        probability[voxel] = FAINT if place in faint else 1.0
        if place in lesions:
            instances[voxel] = number
            image[voxel] = 10
            rows.append({**ROW, "lesion_id": number, "x": x, "y": y, "z": z})
    acquired = {
        "SequenceKind": "T2starw",
        "MagneticFieldStrength": 3.0,
        "EchoTime": 0.02,
        "VoxelSize": [3.0, 3.0, 3.0],
    }
    for path, data, sidecar in (
        (files.t2star, (image * brain).astype(np.float32), {**acquired, **protocol}),
        (files.t2star_brain, brain.astype(np.uint8), {}),
        (files.probability, probability, {"ModelSHA256": "abc"}),
        (files.instances, instances, {}),
        (files.mask, (instances > 0).astype(np.uint8), {"Decisions": {"threshold": 0.999}}),
    ):
        write_image(path, data, grid.affine, sidecar)
    write_table(files.lesions, list(COLUMNS), rows)
    return files


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The sessions and what was made of them: outputs, notes, job."""
    folder = tmp_path_factory.mktemp("followed")
    (folder / "bids").mkdir()
    out = folder / "out"
    write_session(out, "A", [STAYS, GOES], np.eye(4), 0, faint=[COMES])
    write_session(out, "B", [COMES, STAYS, FRESH], MOTION, 1)
    write_session(out, "C", [STAYS, GOES, COMES], np.linalg.inv(MOTION), 2, EchoTime=0.04)
    job = job_of(folder)
    notes = follow(job)
    return out, notes, job


def job_of(folder, **options):
    settings = Settings(
        bids_dir=folder / "bids", out_dir=folder / "out", levels=("participant",), **options
    )
    return Job(session_of("01"), settings, "follow-up")


def follow(job):
    """Run the stage; returns its notes."""
    events = []
    run(job, events.append)
    return [event["text"] for event in events if event["event"] == "note"]


def tables(out):
    files = SessionFiles(out, "01", None)
    return read_table(files.tracks), read_table(files.changes)


@pytest.fixture
def again(made, tmp_path):
    """A copy of the sessions and the results, to be changed."""
    shutil.copytree(made[0].parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / "out", job_of(tmp_path)


def test_microbleeds_are_followed_through_the_sessions(made):
    rows, _ = tables(made[0])
    told = [(row["track_id"], row["session_id"], row["state"], row["change"]) for row in rows]
    assert told == [
        ("1", "ses-A", "present", "baseline"),
        ("1", "ses-B", "present", "persistent"),
        ("1", "ses-C", "present", "persistent"),
        ("2", "ses-A", "present", "baseline"),
        ("2", "ses-B", "gone", "n/a"),
        ("2", "ses-C", "present", "persistent"),
        ("3", "ses-A", "below-threshold", "n/a"),
        ("3", "ses-B", "present", "already-there"),
        ("3", "ses-C", "present", "persistent"),
        ("4", "ses-A", "not-yet", "n/a"),
        ("4", "ses-B", "present", "new"),
        ("4", "ses-C", "not-comparable", "n/a"),
    ]
    lesions = ["1", "2", "1", "2", "n/a", "2", "n/a", "1", "3", "n/a", "3", "n/a"]
    assert [row["lesion_id"] for row in rows] == lesions


def test_places_are_told_in_the_world_of_the_first_session(made):
    rows, _ = tables(made[0])
    for row in rows:
        place = {"1": STAYS, "2": GOES, "3": COMES, "4": FRESH}[row["track_id"]]
        found = [float(row[axis]) for axis in "xyz"]
        assert np.linalg.norm(np.subtract(found, place)) < 2
        if row["distance"] != "n/a":
            assert float(row["distance"]) < 2


def test_a_place_where_nothing_is_found_tells_what_is_seen_there(made):
    rows, _ = tables(made[0])
    (below,) = (row for row in rows if row["state"] == "below-threshold")
    assert float(below["probability_max"]) == pytest.approx(FAINT)
    assert below["since"] == "ses-A"
    (gone,) = (row for row in rows if row["state"] == "gone")
    (there,) = (row for row in rows[3:4])
    assert float(gone["probability_max"]) == 0
    assert float(gone["contrast"]) < float(there["contrast"]) / 2
    assert (gone["grade"], gone["diameter"]) == ("definite", "n/a")


def test_changes_are_counted(made):
    _, changes = tables(made[0])
    names = ("session_id", "baseline_count", "count", "persistent", "new", "already_there", "gone")
    names += ("not_comparable", "new_since_baseline", "known", "aria_h", "aria_h_code")
    assert [tuple(row[name] for name in names) for row in changes] == [
        ("ses-B", "2", "3", "1", "1", "1", "1", "0", "1", "3", "mild", "RDES291"),
        ("ses-C", "2", "3", "3", "0", "0", "0", "1", "1", "4", "mild", "RDES291"),
    ]
    assert float(changes[0]["new_at_least_1_probability"]) == pytest.approx(0.9)


def test_another_protocol_is_told(made):
    out, notes, _ = made
    _, changes = tables(out)
    assert [row["protocol_changed"] for row in changes] == ["false", "true"]
    assert changes[1]["protocol_note"] == "; ".join(
        f"echo time 0.02 -> 0.04 s since ses-{label}" for label in "AB"
    )
    assert [row["processing_changed"] for row in changes] == ["false", "false"]
    assert sum("the protocol changed" in note for note in notes) == 1


def test_the_motion_of_the_head_is_found_and_written(made):
    out, _, _ = made
    for label, motion in (("B", MOTION), ("C", np.linalg.inv(MOTION))):
        files = SessionFiles(out, "01", label)
        pull = read_linear(files.to_session("A"))
        corners = np.array([STAYS, GOES, COMES])
        gaps = apply_affine(pull, corners) - apply_affine(motion, corners)
        assert np.linalg.norm(gaps, axis=1).max() < 1.5
    _, changes = tables(out)
    angle = np.degrees(np.arccos((np.trace(MOTION[:3, :3]) - 1) / 2))
    for row in changes:
        assert row["registration"] == "good"
        assert float(row["rotation"]) == pytest.approx(angle, abs=1.5)
        assert float(row["residual"]) < 1
        assert float(row["mask_dice"]) > 0.9


def test_every_track_has_a_picture(made):
    files = SessionFiles(made[0], "01", None)
    found = sorted(files.figure("track").parent.iterdir())
    assert found == [files.figure(f"track{number:03d}") for number in (1, 2, 3, 4)]


def test_tables_have_their_dictionaries(made):
    files = SessionFiles(made[0], "01", None)
    for path, columns in ((files.tracks, TRACK_COLUMNS), (files.changes, CHANGE_COLUMNS)):
        assert list(json.loads(sidecar_of(path).read_text())) == list(columns)
        assert list(read_table(path)[0]) == list(columns)


def test_what_the_order_rests_on_is_told(made):
    out, notes, _ = made
    assert {row["order"] for row in tables(out)[1]} == {"labels"}
    assert any("ordered by label" in note for note in notes)


def test_a_rerun_does_nothing(made):
    out, _, job = made
    before = tree(out)
    assert up_to_date(job)
    assert run(job, lambda event: None) == []
    assert tree(out) == before


def change_lesions(out):
    table = SessionFiles(out, "01", "C").lesions
    rows = read_table(table)
    write_table(table, list(rows[0]), rows[:-1])


def change_protocol(out):
    t2star = SessionFiles(out, "01", "C").t2star
    write_json(sidecar_of(t2star), {**read_sidecar(t2star), "MagneticFieldStrength": 1.5})


def change_decisions(out):
    sidecar = sidecar_of(SessionFiles(out, "01", "C").mask)
    write_json(sidecar, {"Decisions": {"threshold": 0.5}})


def tell_times(out):
    table = out.parent / "bids" / "sub-01" / "sub-01_sessions.tsv"
    rows = [
        {"session_id": f"ses-{label}", "acq_time": f"2020-01-{day:02d}T10:00:00"}
        for label, day in (("A", 3), ("B", 1), ("C", 9))
    ]
    write_table(table, ("session_id", "acq_time"), rows)


def remove_a_session(out):
    shutil.rmtree(out / "sub-01" / "ses-B")


def add_a_session(out):
    write_session(out, "D", [STAYS], np.eye(4), 3)


@pytest.mark.parametrize(
    "change",
    [
        change_lesions,
        change_protocol,
        change_decisions,
        tell_times,
        remove_a_session,
        add_a_session,
    ],
)
def test_what_follows_from_the_sessions_is_made_again_when_they_change(again, change):
    out, job = again
    before = up_to_date(job)
    change(out)
    assert (before, up_to_date(job)) == (True, False)


def test_a_session_whose_results_are_gone_takes_no_part_any_more(again):
    out, job = again
    remove_a_session(out)
    follow(job)
    rows, changes = tables(out)
    assert [row["session_id"] for row in changes] == ["ses-C"]
    assert "ses-B" not in {row["session_id"] for row in rows}


def test_times_decide_what_the_baseline_is(again):
    out, job = again
    remove_a_session(out)
    tell_times(out)
    table = out.parent / "bids" / "sub-01" / "sub-01_sessions.tsv"
    table.write_text(table.read_text().replace("01-09", "01-02"))  # C before A
    follow(job)
    (row,) = tables(out)[1]
    names = ("session_id", "baseline_session_id", "order", "days")
    assert [row[name] for name in names] == ["ses-A", "ses-C", "sessions.tsv", "1"]


def test_another_processing_is_told(again):
    out, job = again
    remove_a_session(out)
    change_decisions(out)
    notes = follow(job)
    (row,) = tables(out)[1]
    assert row["processing_changed"] == "true"
    assert row["processing_note"] == "threshold 0.999 -> 0.5"
    assert any("the processing changed" in note for note in notes)


def test_a_session_that_cannot_be_registered_is_told_and_not_counted(again, monkeypatch):
    out, _ = again
    monkeypatch.setattr("cmb_bidsapp.preprocess.between.GOOD_DICE", 2.0)
    notes = follow(job_of(out.parent, force=True))
    rows, changes = tables(out)
    states = {(row["session_id"], row["state"]) for row in rows}
    assert states == {
        ("ses-A", "present"),
        ("ses-B", "not-comparable"),
        ("ses-C", "not-comparable"),
    }
    for row, label in zip(changes, "BC", strict=True):
        assert (row["registration"], row["new"], row["aria_h"]) == ("poor", "n/a", "n/a")
        assert any(f"ses-{label} could not be registered" in note for note in notes)
        assert not SessionFiles(out, "01", label).to_session("A").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda files: files.probability.unlink(),
        lambda files: files.lesions.write_text("lesion_id\tstatus\n1\n"),
        lambda files: sidecar_of(files.mask).write_text("{"),
    ],
)
def test_a_damaged_session_is_an_error_that_names_it_and_leaves_no_results(again, damage):
    out, job = again
    damage(SessionFiles(out, "01", "B"))
    assert not up_to_date(job)
    with pytest.raises(DataError, match=r"sub-01_ses-B.*run the session again"):
        follow(job)
    files = SessionFiles(out, "01", None)
    assert not files.tracks.exists()
    assert not files.changes.exists()
    assert not list(files.figure("track").parent.iterdir())
    assert not up_to_date(job)


def test_sessions_without_microbleeds_are_compared_as_well(tmp_path):
    (tmp_path / "bids").mkdir()
    for label, seed in (("A", 0), ("B", 1)):
        write_session(tmp_path / "out", label, [], np.eye(4), seed)
    follow(job_of(tmp_path))
    rows, (change,) = tables(tmp_path / "out")
    assert rows == []
    assert (change["new"], change["aria_h"]) == ("0", "none")
