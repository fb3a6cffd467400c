"""kill -9 before every single change of the disk that a run makes, its own files and a session's.

A run is a fork of this process, so that hundreds of them cost little; sessions run in the same
process as the program, and whatever either of them does last is cut off.
"""

import io
import os
import signal
import sys

import pytest

from cmb_bidsapp.cli import main
from cmb_bidsapp.engine import child
from cmb_bidsapp.engine.child import Job
from cmb_bidsapp.engine.children import Outcome
from cmb_bidsapp.levels import participant
from tests.faults import tiny
from tests.faults.test_interruption import partial, results, status
from tests.skeletons import build_dataset

#: What the audit hooks of Python call the changes of a name on the disk.
CHANGES = ("os.rename", "os.remove", "os.rmdir")


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Runs the program in a fork that is killed before its ``number``-th change of the disk."""
    root = build_dataset(tmp_path / "bids", {"sub-01_T2starw": {}})
    marks = tmp_path / "marks"
    monkeypatch.setenv(tiny.MARKS, str(marks))
    monkeypatch.setattr(child, "STAGES", {"session": tiny.PHASES, "follow-up": ()})
    monkeypatch.setattr(participant, "run_sessions", in_this_process)
    monkeypatch.setattr(participant, "write_citation", lambda *_: None)
    monkeypatch.setattr("cmb_bidsapp.levels.reports.write_participant_report", tiny.report)

    # What is imported on the way now need not be in every fork.
    assert main([str(root), str(tmp_path / "none"), "participant", "--dry-run"]) == 0

    def run(out, number=None):
        """Whether it was killed, and the phases that began."""
        marks.write_text("")
        process = os.fork()
        if process == 0:
            sys.stdout = sys.stderr = io.StringIO()
            if number is not None:
                sys.addaudithook(Killer(number))
            os._exit(main([str(root), str(out), "participant", "--nprocs", "1"]))
        ended = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        assert ended in (0, -signal.SIGKILL)
        return ended != 0, marks.read_text().split()[1::2]

    return run


class Killer:
    """Kills this process at an event."""

    def __init__(self, number):
        self.left = number

    def __call__(self, event, arguments):
        if event in CHANGES:
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)


def in_this_process(sessions, settings, logs, on_event, stage="session"):
    for session in sessions:
        on_event(session, "begin", "")
        yield Outcome(session=session, ran=tuple(child.run(Job(session, settings, stage), print)))


def test_a_kill_before_any_change_of_the_disk_leaves_what_a_rerun_completes(program, tmp_path):
    assert program(tmp_path / "whole") == (False, ["prepare", "segment", "decide"])
    expected = results(tmp_path / "whole")
    number, killed = 0, True
    while killed:
        number += 1
        out = tmp_path / str(number)
        killed, _ = program(out, number)
        found = {name: data for name, data in results(out).items() if ".partial-" not in name}
        # Whatever has a final name is whole, and what is said to be well is there.
        assert found.items() <= expected.items(), number
        if (out / "logs" / "status.tsv").exists() and status(out).get("sub-01", "?")[0] == "ok":
            assert {name for name in expected if name.startswith("sub-01/")} <= {*found}, number
        stamped = {path.stem.rpartition("_")[2] for path in out.glob("logs/stamps/sub-01_*.json")}
        again, began = program(out)
        assert not again
        assert not stamped & {*began}, number
        assert results(out) == expected, number
        assert status(out)["sub-01"][0] == "ok"
        assert not partial(out), number
    # Outputs, sidecars, stamps, rows and reports among them.
    assert number > 30
