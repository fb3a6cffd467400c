"""Sessions as the group level reads them, one at a time, whatever state they are in."""

import json
import os

import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import sidecar_of, write_json
from cmb_bidsapp.bids.protocol import Protocol, SequenceKind
from cmb_bidsapp.bids.stamps import Stamp, state_of, write_stamp
from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.group.session_records import Problem, Record, records
from tests.group.sessions import GRE, lesion, write_session, write_status

MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture
def out_dir(tmp_path):
    write_session(tmp_path, "01", "A", [lesion(), lesion("deep")], GRE)
    write_session(tmp_path, "01", "B", [], {**GRE, "SequenceKind": "swi"})
    write_session(tmp_path, "02", None, [lesion("deep")])
    return tmp_path


def read(out_dir):
    found = list(records(out_dir))
    return (
        [one for one in found if isinstance(one, Record)],
        [one for one in found if isinstance(one, Problem)],
    )


def labels(found):
    return [one.files.label for one in found]


def test_every_session_is_found_with_or_without_a_session_folder(out_dir):
    found, problems = read(out_dir)
    assert [(one.files.participant, one.files.session, len(one.lesions)) for one in found] == [
        ("01", "A", 2),
        ("01", "B", 0),
        ("02", None, 1),
    ]
    assert problems == []


def test_sessions_are_in_the_order_of_their_numbers(tmp_path):
    for label in ("10", "2", "1"):
        write_session(tmp_path, "01", label)
    assert [one.files.session for one in read(tmp_path)[0]] == ["1", "2", "10"]


def test_an_empty_folder_has_no_sessions(tmp_path):
    assert read(tmp_path) == ([], [])


def test_the_protocol_is_that_of_the_sidecar_and_unknown_without_one(out_dir):
    first, second, third = read(out_dir)[0]
    assert first.protocol == Protocol(
        sequence=SequenceKind.T2STARW, field_strength=3.0, echo_time=0.02, slice_distance=6.5
    )
    assert second.protocol.sequence == "swi"
    assert third.protocol == Protocol(sequence=SequenceKind.UNKNOWN)


@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 100_000])
def test_a_session_with_a_broken_sidecar_is_a_problem_that_names_it(out_dir, text):
    sidecar_of(SessionFiles(out_dir, "01", "A").t2star).write_text(text)
    records, (problem,) = read(out_dir)
    assert len(records) == 2
    assert "desc-preproc_T2starw.json is damaged" in str(problem)


def test_a_session_of_no_known_kind_is_a_problem_and_in_no_pool(out_dir):
    sidecar = sidecar_of(SessionFiles(out_dir, "01", "A").t2star)
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "SequenceKind": "SWI"}))
    records, (problem,) = read(out_dir)
    assert len(records) == 2
    assert "SequenceKind 'SWI': expected one of T2starw, MEGRE, GRE, swi, unknown" in str(problem)


def test_a_sidecar_that_is_a_pipe_is_not_waited_for(out_dir):
    sidecar = sidecar_of(SessionFiles(out_dir, "01", "A").t2star)
    sidecar.unlink()
    os.mkfifo(sidecar)
    records, (problem,) = read(out_dir)
    assert len(records) == 2
    assert "not a regular file" in problem.reason


def test_what_is_no_number_in_a_sidecar_is_not_known(out_dir):
    odd = {"MagneticFieldStrength": "3T", "EchoTime": None, "VoxelSize": ["a", 2.0]}
    write_session(out_dir, "02", None, [], {**GRE, **odd, "SequenceKind": "unknown"})
    protocol = read(out_dir)[0][2].protocol
    assert protocol == Protocol(sequence=SequenceKind.UNKNOWN, slice_distance=2.0)


def cut(path):
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.rindex("\n", 0, -1) + 8], encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (cut, "a row does not have the columns of the header"),
        (lambda path: path.write_bytes(b"status\tgrade\n\xff\xfe\x00\n"), "not a text file"),
        (lambda path: path.write_bytes(b""), "lacks border, grade"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "not a regular file"),
        (lambda path: write_table(path, ["status"], [{"status": "kept"}]), "lacks border, grade"),
        (lambda path: path.unlink(), "the session is not finished"),
    ],
    ids=["cut off", "no text", "empty", "pipe", "columns missing", "no table"],
)
def test_a_session_that_cannot_be_read_is_a_problem_and_the_rest_goes_on(out_dir, damage, told):
    path = SessionFiles(out_dir, "01", "A").lesions
    damage(path)
    found, (problem,) = read(out_dir)
    assert labels(found) == ["sub-01_ses-B", "sub-02"]
    assert (problem.path, problem.files.label) == (path, "sub-01_ses-A")
    assert told in problem.reason
    assert "run the participant level again" in str(problem)


def without_last_row(path):
    path.write_text(path.read_text().rstrip("\n").rpartition("\n")[0] + "\n")


@pytest.mark.parametrize(
    ("phase", "name", "damage"),
    [
        ("decide", "lesions", without_last_row),
        ("prepare", "t2star", lambda path: write_json(path, {**GRE, "EchoTime": 0.04})),
    ],
)
def test_a_result_that_could_be_read_but_is_not_as_it_was_written_is_a_problem(
    out_dir, phase, name, damage
):
    files = write_session(out_dir, "01", "A", 2, GRE)
    path = files.lesions if name == "lesions" else sidecar_of(files.t2star)
    made = {path.relative_to(out_dir).as_posix(): state_of(path)}
    write_stamp(files.stamp(phase), Stamp("key", {}, made))
    # A copy has other times; that is no change.
    os.utime(path, (1, 1))
    assert len(read(out_dir)[0]) == 3
    damage(path)
    found, (problem,) = read(out_dir)
    assert labels(found) == ["sub-01_ses-B", "sub-02"]
    assert f"{path.name} was changed after the run wrote it" in problem.reason
    assert problem.left_out


def test_a_participant_with_a_folder_and_nothing_in_it_is_a_problem(out_dir):
    (out_dir / "sub-03" / "figures").mkdir(parents=True)
    (out_dir / "sub-04" / "ses-A").mkdir(parents=True)
    found, problems = read(out_dir)
    assert len(found) == 3
    assert labels(problems) == ["sub-03", "sub-04_ses-A"]


def test_sessions_that_did_not_end_well_in_the_last_run_are_left_out_with_the_reason(out_dir):
    write_status(
        out_dir,
        ("sub-01", "ses-A", "session", "ok", None),
        ("sub-01", "ses-B", "session", "maybe", None),
        ("sub-02", None, "session", "failed", "sub-02_T2starw.nii.gz: the file is damaged"),
        ("sub-05", "ses-C", "session", "failed", "out of memory"),
        ("sub-06", None, "session", "skipped", "no T2*w"),
    )
    found, problems = read(out_dir)
    assert labels(found) == ["sub-01_ses-A"]
    assert labels(problems) == ["sub-01_ses-B", "sub-02", "sub-05_ses-C"]
    assert "session maybe in the last run" in problems[0].reason
    assert "failed in the last run: sub-02_T2starw.nii.gz: the file is dam" in problems[1].reason


def test_a_follow_up_that_failed_is_told_and_the_sessions_count(out_dir):
    write_status(out_dir, ("sub-01", None, "follow-up", "failed", "out of memory"))
    found, (problem,) = read(out_dir)
    assert len(found) == 3
    assert problem.reason.startswith("follow-up failed in the last run: out of memory")


def test_a_session_counts_though_its_sensitivity_could_not_be_measured(out_dir):
    write_status(out_dir, ("sub-01", "ses-A", "sensitivity", "failed", "out of memory"))
    found, problems = read(out_dir)
    assert len(found) == 3
    assert not problems


@pytest.mark.parametrize("content", [b"\xff\xfe", b"participant_id\tstatus\nsub-01\tfailed\n"])
def test_a_status_that_cannot_be_read_is_a_problem_and_nobody_is_left_out(out_dir, content):
    (out_dir / "logs").mkdir()
    (out_dir / "logs" / "status.tsv").write_bytes(content)
    found, (problem,) = read(out_dir)
    assert len(found) == 3
    assert problem.path.name == "status.tsv"


def test_a_label_with_markup_is_a_label(out_dir):
    write_session(out_dir, MARKUP, None, [lesion()])
    assert f"sub-{MARKUP}" in labels(read(out_dir)[0])


def test_what_is_no_result_of_a_session_is_left_alone(out_dir):
    lesions = SessionFiles(out_dir, "02", None).lesions
    (lesions.parent / "sub-02_label-CMB_mimics.tsv").write_text("kind\n")
    # Atomic writes leave such a file behind when they are killed.
    (lesions.parent / f".partial-x1-{lesions.name}").write_text("")
    (out_dir / "group_lesions.tsv").write_text("x\n")
    (out_dir / "sub-02.html").write_text("x")
    (out_dir / "sourcedata").mkdir()
    found, problems = read(out_dir)
    assert (len(found), problems) == (3, [])


def test_sessions_are_read_one_at_a_time(out_dir):
    found = records(out_dir)
    assert next(found).files.label == "sub-01_ses-A"
    write_session(out_dir, "02", None, 5)
    assert [len(one.lesions) for one in found] == [0, 5]
