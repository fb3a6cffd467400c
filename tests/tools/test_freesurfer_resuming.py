"""recon-all on subjects that an earlier run has begun, left, or still works on."""

import logging
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cmb_bidsapp.core.errors import DataError, TemporaryError
from cmb_bidsapp.tools.freesurfer import is_finished


def write_lock(folder, *, host, pid, name="IsRunning.lh+rh", age=0.0) -> Path:
    """A lock as recon-all writes it, and a log, last written some time (s) ago."""
    lock, log = folder / "scripts" / name, folder / "scripts" / "recon-all.log"
    lock.write_text(
        "------------------------------\nSUBJECT sub-01\nHEMI    lh rh\n"
        "DATE Fri Jan 20 01:15:06 EST 2017\nUSER someone\n"
        f"HOST {host}\nPROCESSID {pid} \nPROCESSOR x86_64\nOS Linux\n"
    )
    log.write_text("at work\n")
    for path in (lock, log):
        os.utime(path, (time.time() - age,) * 2)
    return lock


@pytest.fixture
def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_run_that_was_cut_off_is_resumed_with_the_image_it_has(
    machine, install_recon_all, recon, begun
):
    install_recon_all()
    assert recon() == begun
    assert machine.runs[-1].argv == [
        *["-s", "sub-01", "-sd", str(begun.parent), "-all", "-openmp", "1"]
    ]
    assert is_finished(begun)


def test_where_resuming_is_not_allowed_the_folder_is_left_alone(
    machine, install_recon_all, recon, begun
):
    install_recon_all()
    with pytest.raises(
        DataError, match=f"{begun} is not finished; remove it, or omit --fs-no-resume"
    ):
        recon(resume=False)
    assert machine.runs == []


def test_a_run_that_was_stopped_before_it_had_its_image_starts_afresh(
    machine, install_recon_all, recon, subjects, caplog
):
    install_recon_all()
    folder = subjects / "sub-01"
    (folder / "mri" / "orig").mkdir(parents=True)
    (folder / "scripts").mkdir()
    (folder / "scripts" / "recon-all.log").write_text("started")
    assert recon() == folder
    assert "-i" in machine.runs[-1].argv
    assert str(folder) in caplog.text


def test_files_without_an_image_are_not_thrown_away(install_recon_all, recon, subjects):
    install_recon_all()
    kept = subjects / "sub-01" / "surf" / "lh.white"
    kept.parent.mkdir(parents=True)
    kept.write_text("surface")
    with pytest.raises(DataError, match=r"lacks mri/orig/001\.mgz.*remove it"):
        recon()
    assert kept.read_text() == "surface"


@pytest.mark.parametrize("name", ["IsRunning.lh+rh", "IsRunning.lh", "IsRunning.rh"])
def test_the_lock_of_a_process_that_is_gone_is_removed(
    install_recon_all, recon, begun, dead_pid, caplog, name
):
    install_recon_all()
    lock = write_lock(begun, host=socket.gethostname(), pid=dead_pid, name=name)
    recon()
    assert not lock.exists()
    assert is_finished(begun)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(lock) in caplog.text
    assert str(dead_pid) in caplog.text


def test_a_lock_that_nobody_wrote_beside_for_long_is_removed(
    install_recon_all, recon, begun, caplog
):
    install_recon_all()
    lock = write_lock(begun, host="elsewhere", pid=1234, age=12.1 * 3600)
    recon()
    assert is_finished(begun)
    assert f"{lock}: nothing was written for 12 hours" in caplog.text


@pytest.mark.parametrize("written", ["lock", "log", "both"])
def test_a_lock_of_another_machine_holds_while_something_is_written(
    machine, install_recon_all, recon, begun, dead_pid, written
):
    install_recon_all()
    lock = write_lock(begun, host="elsewhere", pid=dead_pid, age=11.9 * 3600)
    old = time.time() - 13 * 3600
    if written == "log":
        os.utime(lock, (old, old))
    elif written == "lock":
        os.utime(begun / "scripts" / "recon-all.log", (old, old))
    with pytest.raises(TemporaryError, match=f"host elsewhere, process {dead_pid}.*IsRunning"):
        recon()
    assert lock.exists()
    assert machine.runs == []


@pytest.mark.parametrize(
    ("host", "pid"),
    [(socket.gethostname(), os.getpid()), (socket.gethostname(), "cut off")],
    ids=["alive", "cut off"],
)
def test_a_lock_of_this_machine_holds_unless_its_process_is_known_gone(
    machine, recon, begun, host, pid
):
    lock = write_lock(begun, host=host, pid=pid)
    with pytest.raises(TemporaryError, match=f"host {host}, process {pid}"):
        recon()
    assert lock.exists()


def test_a_lock_that_says_nothing_holds(machine, recon, begun):
    lock = write_lock(begun, host="", pid="")
    lock.write_text("")
    with pytest.raises(TemporaryError, match="host unknown, process unknown"):
        recon()


def test_a_killed_run_leaves_no_lock_and_can_be_resumed(
    machine, install_recon_all, recon, subjects
):
    install_recon_all("os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(TemporaryError, match=r"SIGKILL.*memory"):
        recon()
    assert not list(subjects.rglob("IsRunning*"))
    install_recon_all()
    recon()
    assert "-i" not in machine.runs[-1].argv
    assert is_finished(subjects / "sub-01")
