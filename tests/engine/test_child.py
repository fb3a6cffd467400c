import dataclasses
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from cmb_bidsapp.bids.outputs import sidecar_of, write_json
from cmb_bidsapp.bids.provenance import read_seconds
from cmb_bidsapp.bids.scans import Participant
from cmb_bidsapp.bids.stamps import read_stamp, sha256_of
from cmb_bidsapp.core.decisions import Decisions
from cmb_bidsapp.core.errors import CannotWriteError, DataError
from cmb_bidsapp.engine import child as module
from cmb_bidsapp.engine.child import Job, run, up_to_date
from cmb_bidsapp.phases.base import Phase, Result
from cmb_bidsapp.settings import Settings
from tests.skeletons import session, tree


def copy_upper(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(source.read_text().upper())
    return Result((target,))


def first_file(files):
    return files.out_dir / "first.txt"


def second_file(files):
    return files.out_dir / "second.txt"


def run_first(session, files, settings, step):
    step("reading")
    step("writing")
    return copy_upper(session.t2star.path, first_file(files))


def run_second(session, files, settings, step):
    return copy_upper(first_file(files), second_file(files))


PHASES = (
    Phase(
        name="first",
        run=run_first,
        inputs=lambda s, *_: [s.t2star.path],
        parameters=lambda settings, _: {"seed": settings.seed},
        version=1,
    ),
    Phase(
        name="second",
        run=run_second,
        inputs=lambda _, files, __: [first_file(files)],
        parameters=lambda settings, _: {"threshold": settings.decisions.threshold},
        version=1,
    ),
)


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STAGES", {"session": PHASES})
    raw = tmp_path / "raw.txt"
    raw.write_text("raw")
    settings = Settings(bids_dir=tmp_path, out_dir=tmp_path / "out", levels=("participant",))
    return Job(session("01", "A", raw), settings)


@pytest.fixture
def done(job):
    assert ran(job) == ["first", "second"]
    return job


def ran(job):
    return run(job, lambda event: None)


def changed(job, **options):
    return dataclasses.replace(job, settings=dataclasses.replace(job.settings, **options))


def test_a_finished_session_is_up_to_date_and_left_alone(done):
    before = tree(done.settings.out_dir)
    assert up_to_date(done)
    assert ran(done) == []
    assert tree(done.settings.out_dir) == before


def test_a_session_that_never_ran_is_not_up_to_date(job):
    assert not up_to_date(job)


def test_a_parameter_makes_stale_the_phases_that_depend_on_it(done):
    other = changed(done, decisions=Decisions(threshold=0.123))
    assert not up_to_date(other)
    assert ran(other) == ["second"]
    assert up_to_date(other)
    assert not up_to_date(done)


def test_a_parameter_of_an_early_phase_that_changes_no_result_stops_there(done):
    assert ran(changed(done, seed=5)) == ["first"]


def test_settings_no_phase_depends_on_change_nothing(done):
    assert up_to_date(changed(done, stop_on_first_crash=True))


def test_a_new_input_runs_all_that_follows_from_it(done):
    done.session.t2star.path.write_text("new raw")
    assert not up_to_date(done)
    assert ran(done) == ["first", "second"]
    assert second_file(done.files).read_text() == "NEW RAW"


@pytest.mark.parametrize(
    "of", [lambda job: job.session.t2star.path, lambda job: second_file(job.files)]
)
def test_a_file_that_was_only_touched_is_hashed_by_the_next_run_alone(done, monkeypatch, of):
    hashed = []

    def counted(path):
        hashed.append(path)
        return sha256_of(path)

    touched = of(done)
    os.utime(touched, ns=(1, 1))
    monkeypatch.setattr("cmb_bidsapp.bids.stamps.sha256_of", counted)
    assert up_to_date(done)
    assert {*hashed} == {touched}
    hashed.clear()
    assert up_to_date(done)
    assert ran(done) == []
    assert hashed == []


def test_an_output_folder_that_cannot_be_written_to_is_up_to_date_all_the_same(done, monkeypatch):
    def refuse(path, stamp):
        raise PermissionError(path)

    os.utime(done.session.t2star.path, ns=(1, 1))
    monkeypatch.setattr(module, "write_stamp", refuse)
    assert up_to_date(done)


def test_an_input_that_changes_while_it_is_read_is_read_again_next_time(job, monkeypatch):
    def work(session, files, settings, step):
        result = run_first(session, files, settings, step)
        if session.t2star.path.read_text() == "raw":
            session.t2star.path.write_text("another")
        return result

    once = (dataclasses.replace(PHASES[0], run=work), PHASES[1])
    monkeypatch.setattr(module, "STAGES", {"session": once})
    assert ran(job) == ["first", "second"]
    assert not up_to_date(job)
    assert ran(job) == ["first", "second"]
    assert second_file(job.files).read_text() == "ANOTHER"
    assert up_to_date(job)


def test_every_file_is_hashed_once_in_a_process_and_none_where_a_stamp_is_missing(job, monkeypatch):
    hashed = []

    def counted(path):
        hashed.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr("cmb_bidsapp.bids.stamps.sha256_of", counted)
    assert not up_to_date(job)
    assert hashed == []
    assert ran(job) == ["first", "second"]
    assert hashed == ["raw.txt", "first.txt", "second.txt"]
    assert up_to_date(job)
    assert not up_to_date(changed(job, seed=5))
    assert len(hashed) == 3


def test_an_input_that_was_only_touched_changes_nothing(done):
    content = done.session.t2star.path.read_text()
    done.session.t2star.path.write_text(content)
    assert up_to_date(done)


@pytest.mark.parametrize("file", [first_file, second_file])
def test_an_altered_output_is_made_again(done, file):
    file(done.files).write_text("edited by hand")
    assert not up_to_date(done)
    ran(done)
    assert file(done.files).read_text() == "RAW"
    assert up_to_date(done)


def test_a_deleted_output_is_made_again_and_nothing_else(done):
    second_file(done.files).unlink()
    assert not up_to_date(done)
    assert ran(done) == ["second"]
    first_file(done.files).unlink()
    assert not up_to_date(done)
    assert ran(done) == ["first"]
    assert up_to_date(done)


@pytest.mark.parametrize("name", ["first", "second"])
@pytest.mark.parametrize("damage", ["", "{}", None])
def test_a_phase_without_a_readable_stamp_runs_again(done, name, damage):
    stamp = done.files.stamp(name)
    stamp.unlink() if damage is None else stamp.write_text(damage)
    assert not up_to_date(done)
    assert ran(done) == [name]


def test_force_runs_everything(done):
    forced = changed(done, force=True)
    assert not up_to_date(forced)
    assert ran(forced) == ["first", "second"]
    assert up_to_date(done)


def test_a_phase_that_fails_leaves_no_stamp_and_keeps_those_before_it(job, monkeypatch):
    def fails(*_):
        raise DataError("no good")

    broken = (PHASES[0], dataclasses.replace(PHASES[1], run=fails))
    monkeypatch.setattr(module, "STAGES", {"session": broken})
    with pytest.raises(DataError):
        ran(job)
    assert read_stamp(job.files.stamp("first")) is not None
    assert read_stamp(job.files.stamp("second")) is None
    monkeypatch.setattr(module, "STAGES", {"session": PHASES})
    assert ran(job) == ["second"]


def test_stamps_tell_inputs_and_outputs_and_a_log_the_steps(done):
    stamp = read_stamp(done.files.stamp("first"))
    assert list(stamp.outputs) == ["first.txt"]
    assert list(stamp.inputs) == [str(done.session.t2star.path)]
    assert set(read_seconds(done.files)) == {"reading", "writing"}


def test_a_result_without_its_sidecar_is_made_again(job, monkeypatch):
    def work(session, files, *_):
        write_json(sidecar_of(first_file(files)), {"EchoTime": 0.02})
        return copy_upper(session.t2star.path, first_file(files))

    monkeypatch.setattr(module, "STAGES", {"session": (dataclasses.replace(PHASES[0], run=work),)})
    assert ran(job) == ["first"]
    assert up_to_date(job)
    sidecar_of(first_file(job.files)).unlink()
    assert not up_to_date(job)


def test_notes_are_told(job, monkeypatch):
    def work(*_):
        return Result((), ("look at this",))

    only = Phase(name="only", run=work, inputs=lambda *_: [], parameters=lambda *_: {}, version=1)
    monkeypatch.setattr(module, "STAGES", {"session": (only,)})
    events = []
    run(job, events.append)
    assert events == [{"event": "note", "text": "look at this"}]


def test_a_stage_runs_its_own_phases_and_keeps_stamps_of_its_own(done, monkeypatch):
    monkeypatch.setattr(module, "STAGES", {"session": PHASES, "follow-up": PHASES[1:]})
    together = Participant(done.session.participant)
    whole = dataclasses.replace(done, stage="follow-up", session=together)
    assert up_to_date(done)
    assert not up_to_date(whole)
    assert ran(whole) == ["second"]
    assert up_to_date(whole)
    assert up_to_date(done)


def test_steps_are_told_as_they_begin(job):
    events = []
    run(job, events.append)
    assert events == [{"event": "step", "text": "reading"}, {"event": "step", "text": "writing"}]


CHILD = """\
import os, pickle, sys
from pathlib import Path
from cmb_bidsapp.engine import child as phase
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.phases.base import Phase, Result

def work(session, files, settings, step):
    step("working")
    print("a library prints")
    os.system("echo a program prints")
    {ending}

only = Phase(
    name="only", run=work, inputs=lambda *_: [], parameters=lambda *_: {{}}, version=1
)
phase.STAGES = {{"session": (only,)}}
sys.exit(phase.main())
"""


@pytest.mark.parametrize(
    ("ending", "code", "last"),
    [
        ("return Result(())", 0, {"event": "done", "ran": ["only"]}),
        (
            "raise DataError('no good')",
            65,
            {"event": "failed", "code": 65, "message": "no good"},
        ),
        (
            "raise MemoryError",
            75,
            {
                "event": "failed",
                "code": 75,
                "message": "out of memory; give more with --mem or run fewer at once",
            },
        ),
    ],
)
def test_a_child_speaks_in_events_only(job, tmp_path, ending, code, last):
    import pickle

    child = subprocess.run(
        [sys.executable, "-c", CHILD.format(ending=ending)],
        input=pickle.dumps(job),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert child.returncode == code, child.stderr.decode()
    events = [json.loads(line) for line in child.stdout.splitlines()]
    assert events == [{"event": "step", "text": "working"}, last]
    said = child.stderr.decode()
    assert "a library prints" in said
    assert "a program prints" in said


def test_a_link_of_the_outputs_into_the_dataset_is_not_written_through(job, tmp_path):
    raw = tmp_path / "sub-01" / "ses-A"
    raw.mkdir(parents=True)
    link = job.settings.out_dir / "sub-01" / "ses-A"
    link.parent.mkdir(parents=True)
    link.symlink_to(raw)
    with pytest.raises(CannotWriteError, match="links into the dataset"):
        ran(job)
    assert not first_file(job.files).exists()
    # To another disk a link may lead.
    elsewhere = tmp_path.parent / f"{tmp_path.name}-disk"
    elsewhere.mkdir()
    link.unlink()
    link.symlink_to(elsewhere)
    assert ran(job) == ["first", "second"]


@pytest.mark.parametrize(
    ("error", "free", "code", "words"),
    [
        (RuntimeError("itk: write failed"), 0, 75, "no space left on the disk of {} (RuntimeError"),
        (RuntimeError("itk: write failed"), 1 << 30, 70, "RuntimeError: itk: write failed"),
        (DataError("bad image"), 0, 65, "bad image"),
    ],
)
def test_what_libraries_say_where_a_disk_is_full_is_told_as_that(
    tmp_path, monkeypatch, error, free, code, words
):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    found, message = module._why(error, tmp_path)
    assert found == code
    assert message.startswith(words.format(tmp_path))
