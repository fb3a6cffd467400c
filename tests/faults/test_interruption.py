"""Signals, kills and full disks in runs of the whole program with phases that take no time."""

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.group.session_records import finished_before, records
from tests.faults.tiny import REFUSES
from tests.skeletons import result_of

#: Only what hangs takes as long (s), on a machine that has other work, too.
LONG = 900


def wait_for(process, holds, seconds=LONG):
    """Wait until something holds, or the process has ended."""
    deadline = time.monotonic() + seconds
    while not holds() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert holds() or process.poll() is not None


def status(out):
    return {
        row["participant_id"]: (row["status"], row["exit_code"], row["message"])
        for row in read_table(out / "logs" / "status.tsv")
    }


def results(out):
    """Content of every derivative and report by path."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and "logs" not in path.relative_to(out).parts
    }


def partial(out):
    return list(out.rglob(".partial-*"))


def children_of(process):
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True
    )
    return [int(word) for word in found.stdout.split()]


def all_end(pids, seconds=LONG):
    """Whether processes end in time."""
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(alive, pids))


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_children_and_tells_what_was_done(tiny, number):
    app = tiny("01", "hang1", "then1")
    process = app.start("--nprocs", "1")
    wait_for(process, lambda: "sub-hang1 prepare" in app.marks)
    children = children_of(process)
    assert children
    process.send_signal(number)
    said, complained = process.communicate(timeout=LONG)
    assert process.returncode == 130
    assert result_of(said) == (1, 2, 0, 130)
    assert complained == "cmb_bidsapp: interrupted\n"
    assert all_end(children)
    assert {label: row[:2] for label, row in status(app.out).items()} == {
        "sub-01": ("ok", "0"),
        "sub-hang1": ("failed", "130"),
        "sub-then1": ("failed", "75"),
    }
    assert status(app.out)["sub-hang1"][2] == "interrupted"
    assert status(app.out)["sub-then1"][2].startswith("not started")
    assert (app.out / "sub-01.html").is_file()
    assert not partial(app.out)


def test_a_kill_of_the_program_leaves_rows_and_reports_of_what_had_ended(tiny):
    app = tiny("01", "bad1", "hang1")
    process = app.start("--nprocs", "1")
    wait_for(process, lambda: "sub-hang1 prepare" in app.marks)
    children = children_of(process)
    process.kill()
    process.communicate(timeout=LONG)
    assert all_end(children)
    rows = status(app.out)
    assert rows["sub-01"][:2] == ("ok", "0")
    assert rows["sub-bad1"] == ("failed", "65", "no good")
    assert rows["sub-hang1"][2].startswith("started but not finished")
    assert (app.out / "sub-01.html").is_file()
    assert (app.out / "sub-bad1.html").is_file()


@pytest.mark.parametrize("whom", ["program", "child"])
def test_after_kills_at_any_time_a_rerun_ends_as_an_undisturbed_run_does(tiny, tmp_path, whom):
    app = tiny("01")
    assert app.run("--nprocs", "1", out=tmp_path / "undisturbed")[0] == 0
    expected = results(tmp_path / "undisturbed")
    chance, done = random.Random(whom), set()
    for phase in ("prepare", "segment", "decide", "none"):
        app.forget()
        process = app.start("--nprocs", "1")
        if phase == "none":
            process.communicate(timeout=LONG)
            assert process.returncode == 0
        else:
            wait_for(process, lambda phase=phase: f"sub-01 {phase}" in app.marks)
            time.sleep(chance.uniform(0, 0.05))
            children = children_of(process) if whom == "child" else []
            # A process may end by itself just before its kill: that too is a time to be killed.
            for pid in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if whom == "program":
                process.kill()
            process.communicate(timeout=LONG)
        assert not {mark.split()[1] for mark in app.marks} & done
        done = {path.stem.rpartition("_")[2] for path in app.out.glob("logs/stamps/sub*.json")}
        # Whatever has a final name is whole; a report of the failure is not that of the end.
        found = {n: d for n, d in results(app.out).items() if ".partial-" not in n}
        found.pop("sub-01.html", None)
        assert found.items() <= expected.items()
    assert results(app.out) == expected
    assert not partial(app.out)


def test_a_forced_run_that_is_killed_or_refused_leaves_what_is_true(tiny):
    app = tiny("01", "02")
    assert app.run("--nprocs", "1")[0] == 0
    app.forget()
    process = app.start("--nprocs", "1", "--force")
    wait_for(process, lambda: "sub-01 decide" in app.marks)
    process.kill()
    process.communicate(timeout=LONG)
    # A finished session is not dropped.
    rows = status(app.out)
    assert rows["sub-01"][2].startswith("started but not finished")
    assert rows["sub-02"][0] == "ok"
    files, other = (SessionFiles(app.out, label, None) for label in ("01", "02"))
    assert finished_before(files)
    told = [one for one in records(app.out) if "complete results" in getattr(one, "reason", "")]
    assert [one.left_out for one in told] == [False]

    # Results of data that are refused now do not stay.
    app.environment[REFUSES] = "1"
    assert app.run("--nprocs", "1", "--force", "--participant-label", "01")[0] == 65
    for name in ("t2star", "proxy", "probability", "mask", "lesions", "summary"):
        assert not getattr(files, name).exists()
    assert not list(files.lesions.parent.glob("*.json"))
    assert other.lesions.is_file()
    assert not finished_before(files)


def test_locale_clock_and_times_of_files_change_nothing(tiny):
    app = tiny("01")
    (image,) = app.bids.rglob("*_T2starw.nii.gz")
    os.utime(image, (4e9, 4e9))
    odd = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for environment in ({**odd, "TZ": "XYZ+23:59:59"}, {"TZ": "Pacific/Kiritimati"}):
        app.environment |= environment
        code, said, complained = app.run("--nprocs", "1")
        assert (code, complained) == (0, ""), said
        # A zone, or a file of the future, is no reason to begin again.
        assert len(app.marks) == 3
    assert status(app.out)["sub-01"][0] == "ok"


def test_a_damaged_result_of_any_kind_is_made_again_or_refused(tiny):
    app = tiny("01")
    assert app.run("--nprocs", "1")[0] == 0
    expected = results(app.out)
    names = [name for name in expected if name.startswith("sub-01")]
    assert len(names) >= 13
    for damage in (lambda path: path.unlink(), lambda path: path.write_text("")):
        for name in names:
            damage(app.out / name)
        assert app.run("--nprocs", "1")[0] == 0
        assert results(app.out) == expected


def test_two_runs_on_one_output_folder_do_not_disturb_each_other(tiny):
    app = tiny("01", "02")
    runs = [
        app.start("--nprocs", "1", "--participant-label", *labels)
        for labels in (("01",), ("01", "02"))
    ]
    said = [run.communicate(timeout=LONG)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert {label: row[0] for label, row in status(app.out).items()} == {
        "sub-01": "ok",
        "sub-02": "ok",
    }
    assert sorted(app.marks) == sorted(
        f"sub-{label} {phase}"
        for label in ("01", "02")
        for phase in ("prepare", "segment", "decide")
    )
    assert not partial(app.out)
