"""recon-all, driven through a stand-in that keeps the rules of FreeSurfer's script."""

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.anatomy.freesurfer import is_finished, run_recon_all, version_of
from cmb_bidsapp.runtime.errors import (
    CommandMissingError,
    DataError,
    LicenceError,
    TemporaryError,
)
from tests import standins

#: Says what it was given, refuses what recon-all refuses, does the work, lets go of the lock.
RECON_ALL = """
import json, os, pathlib, shutil, signal, sys, time

def value(flag):
    return sys.argv[sys.argv.index(flag) + 1]

folder = pathlib.Path(value("-sd")) / value("-s")
given = pathlib.Path(value("-i")) if "-i" in sys.argv else None
pathlib.Path({record!r}).write_text(json.dumps({{
    "argv": sys.argv[1:],
    "environment": dict(os.environ),
    "licence": pathlib.Path(os.environ["FS_LICENSE"]).read_text(),
}}))
if not folder.parent.is_dir():
    sys.exit("SUBJECTS_DIR does not exist")
if (given is None) != folder.exists():
    sys.exit("You are trying to re-run an existing subject, or there is none")
scripts, image = folder / "scripts", folder / "mri" / "orig" / "001.mgz"
scripts.mkdir(parents=True, exist_ok=True)
done, lock = scripts / "recon-all.done", scripts / "IsRunning.lh+rh"
done.unlink(missing_ok=True)
if lock.exists():
    sys.exit("recon-all is already running")
lock.write_text(f"SUBJECT x\\nHOST elsewhere\\nPROCESSID {{os.getpid()}} \\n")
if given is not None:
    image.parent.mkdir(parents=True)
    image.write_bytes(given.read_bytes())
if not image.exists():
    sys.exit("no run data found")

def fail(line):
    with (scripts / "recon-all.log").open("a") as log:
        log.write(line + "\\n\\nrecon-all -s x exited with ERRORS\\n")
    done.write_text("1\\n")
    lock.unlink()
    sys.exit(1)

def work(source):
    shutil.copytree(source, folder, dirs_exist_ok=True, copy_function=shutil.copyfile)

{work}
done.write_text("SUBJECT x\\nVERSION $Id: recon-all,v 1.379 $\\n")
lock.unlink()
"""


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in ("FS_LICENSE", "FREESURFER_LICENSE", "FREESURFER_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def outputs(tmp_path):
    """What recon-all lays down, as far as it is read."""
    folder = tmp_path / "outputs"
    for name in ("aparc+aseg.mgz", "wmparc.mgz", "transforms/talairach.xfm"):
        path = folder / "mri" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


class Machine:
    """A machine with nothing on its path but, once installed, the stand-in."""

    def __init__(self, folder, outputs):
        self.bin, self.record, self.outputs = folder / "bin", folder / "record.json", outputs
        self.bin.mkdir()

    def install(self, work=None):
        work = f"work({str(self.outputs)!r})" if work is None else work
        script = RECON_ALL.format(record=str(self.record), work=work)
        standins.install(self.bin, "recon-all", script)

    @property
    def seen(self):
        return json.loads(self.record.read_text())


@pytest.fixture
def machine(tmp_path, monkeypatch, outputs):
    made = Machine(tmp_path, outputs)
    monkeypatch.setenv("PATH", str(made.bin))
    return made


@pytest.fixture
def t1w(tmp_path):
    path = tmp_path / "head.nii.gz"
    path.write_bytes(b"head")
    return path


@pytest.fixture
def licence(tmp_path):
    path = tmp_path / "license.txt"
    path.write_text("key")
    return path


@pytest.fixture
def subjects(tmp_path):
    return tmp_path / "derivatives" / "freesurfer"


@pytest.fixture
def recon(t1w, subjects, licence):
    """Run the stand-in on the subject ``sub-01``."""

    def run(**options):
        options = {"threads": 1, "licence_file": licence, **options}
        return run_recon_all(t1w, "sub-01", subjects, **options)

    return run


@pytest.fixture
def begun(subjects):
    """A subject whose run was cut off after its image had been imported."""
    image = subjects / "sub-01" / "mri" / "orig" / "001.mgz"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"imported")
    (subjects / "sub-01" / "scripts").mkdir()
    return subjects / "sub-01"


def finished(folder: Path, outputs: Path) -> Path:
    shutil.copytree(outputs, folder, dirs_exist_ok=True)
    (folder / "scripts").mkdir(exist_ok=True)
    (folder / "scripts" / "recon-all.done").write_text("SUBJECT sub-01\n")
    return folder


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


@pytest.mark.parametrize(
    ("threads", "flags"), [(1, ["-openmp", "1"]), (4, ["-parallel", "-openmp", "4"])]
)
def test_a_new_subject_is_given_its_image(machine, recon, subjects, t1w, threads, flags):
    machine.install()
    assert recon(threads=threads) == subjects / "sub-01"
    assert machine.seen["argv"] == [
        *["-s", "sub-01", "-sd", str(subjects), "-i", str(t1w), "-all"],
        *flags,
    ]
    assert (subjects / "sub-01" / "mri" / "orig" / "001.mgz").read_bytes() == b"head"
    assert is_finished(subjects / "sub-01")


def test_a_run_that_was_cut_off_is_resumed_with_the_image_it_has(machine, recon, begun):
    machine.install()
    assert recon() == begun
    assert machine.seen["argv"] == [
        *["-s", "sub-01", "-sd", str(begun.parent), "-all", "-openmp", "1"]
    ]
    assert is_finished(begun)


def test_relative_paths_are_made_whole(machine, tmp_path, licence, t1w, monkeypatch):
    machine.install()
    monkeypatch.chdir(tmp_path)
    folder = run_recon_all(
        Path(t1w.name), "sub-01", Path("fs"), threads=1, licence_file=Path(licence.name)
    )
    assert folder == Path("fs/sub-01")
    assert machine.seen["argv"][3:6] == [str(tmp_path / "fs"), "-i", str(t1w)]
    assert machine.seen["environment"]["FS_LICENSE"] == str(licence)


def test_the_environment_has_licence_folder_and_threads(machine, recon, subjects, licence):
    machine.install()
    recon(threads=3)
    environment = machine.seen["environment"]
    assert environment["FS_LICENSE"] == str(licence)
    assert environment["SUBJECTS_DIR"] == str(subjects)
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] == "3"


def test_a_licence_in_the_environment_reaches_it_as_a_file_only(machine, recon, monkeypatch):
    machine.install()
    monkeypatch.setenv("FREESURFER_LICENSE", "someone\\nsecret")
    recon(licence_file=None)
    assert machine.seen["licence"] == "someone\nsecret\n"
    # recon-all keeps a copy of its environment in the subject's folder.
    assert "secret" not in json.dumps(machine.seen["environment"])
    assert not Path(machine.seen["environment"]["FS_LICENSE"]).exists()


@pytest.mark.parametrize("resume", [True, False])
def test_a_finished_subject_asks_for_nothing(machine, recon, subjects, outputs, resume):
    folder = finished(subjects / "sub-01", outputs)
    assert recon(licence_file=None, resume=resume) == folder


def test_the_program_is_asked_for_before_the_licence(machine, recon, subjects):
    with pytest.raises(CommandMissingError, match=r"recon-all.*full.*--parcellation atlas"):
        recon(licence_file=None)
    machine.install()
    with pytest.raises(LicenceError):
        recon(licence_file=None)
    assert not machine.record.exists()
    assert not (subjects / "sub-01").exists()


def test_where_resuming_is_not_allowed_the_folder_is_left_alone(machine, recon, begun):
    machine.install()
    with pytest.raises(DataError, match=f"{begun} is not finished; remove it, or allow"):
        recon(resume=False)
    assert not machine.record.exists()


def test_a_run_that_was_stopped_before_it_had_its_image_starts_afresh(
    machine, recon, subjects, caplog
):
    machine.install()
    folder = subjects / "sub-01"
    (folder / "mri" / "orig").mkdir(parents=True)
    (folder / "scripts").mkdir()
    (folder / "scripts" / "recon-all.log").write_text("started")
    assert recon() == folder
    assert "-i" in machine.seen["argv"]
    assert str(folder) in caplog.text


def test_files_without_an_image_are_not_thrown_away(machine, recon, subjects):
    machine.install()
    kept = subjects / "sub-01" / "surf" / "lh.white"
    kept.parent.mkdir(parents=True)
    kept.write_text("surface")
    with pytest.raises(DataError, match=r"lacks mri/orig/001\.mgz.*remove it"):
        recon()
    assert kept.read_text() == "surface"


@pytest.mark.parametrize("name", ["IsRunning.lh+rh", "IsRunning.lh", "IsRunning.rh"])
def test_the_lock_of_a_process_that_is_gone_is_removed(
    machine, recon, begun, dead_pid, caplog, name
):
    machine.install()
    lock = write_lock(begun, host=socket.gethostname(), pid=dead_pid, name=name)
    recon()
    assert not lock.exists()
    assert is_finished(begun)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(lock) in caplog.text
    assert str(dead_pid) in caplog.text


def test_a_lock_that_nobody_wrote_beside_for_long_is_removed(machine, recon, begun, caplog):
    machine.install()
    lock = write_lock(begun, host="elsewhere", pid=1234, age=12.1 * 3600)
    recon()
    assert is_finished(begun)
    assert f"{lock}: nothing was written for 12 hours" in caplog.text


@pytest.mark.parametrize("written", ["lock", "log", "both"])
def test_a_lock_of_another_machine_holds_while_something_is_written(
    machine, recon, begun, dead_pid, written
):
    machine.install()
    lock = write_lock(begun, host="elsewhere", pid=dead_pid, age=11.9 * 3600)
    old = time.time() - 13 * 3600
    if written == "log":
        os.utime(lock, (old, old))
    elif written == "lock":
        os.utime(begun / "scripts" / "recon-all.log", (old, old))
    with pytest.raises(TemporaryError, match=f"host elsewhere, process {dead_pid}.*IsRunning"):
        recon()
    assert lock.exists()
    assert not machine.record.exists()


@pytest.mark.parametrize(
    ("host", "pid"), [(socket.gethostname(), os.getpid()), (socket.gethostname(), "cut off")]
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


def test_a_failure_quotes_the_log_and_says_how_to_start_afresh(machine, recon, subjects):
    machine.install("fail('ERROR: cannot find the head')")
    log = subjects / "sub-01" / "scripts" / "recon-all.log"
    with pytest.raises(DataError) as error:
        recon()
    message = str(error.value)
    assert "recon-all failed with status 1: ERROR: cannot find the head | recon-all -s" in message
    assert message.endswith(f"see {log}")
    assert not is_finished(subjects / "sub-01")
    with pytest.raises(DataError, match=f"see {log}; remove {log.parent.parent} to start afresh"):
        recon()


def test_a_killed_run_leaves_no_lock_and_can_be_resumed(machine, recon, subjects):
    machine.install("os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(TemporaryError, match=r"SIGKILL.*memory"):
        recon()
    assert not list(subjects.rglob("IsRunning*"))
    machine.install()
    recon()
    assert "-i" not in machine.seen["argv"]
    assert is_finished(subjects / "sub-01")


US = """
import sys
from pathlib import Path
from cmb_bidsapp.anatomy.freesurfer import run_recon_all
try:
    run_recon_all(Path(sys.argv[1]), "sub-01", Path(sys.argv[2]), threads=1, licence_file=None)
except KeyboardInterrupt:
    print("stopped")
"""


def test_being_stopped_leaves_neither_program_nor_lock_nor_licence(
    machine, subjects, t1w, tmp_path, monkeypatch
):
    pid = tmp_path / "pid"
    machine.install(
        f"part = pathlib.Path({str(pid) + '.part'!r}); part.write_text(str(os.getpid()))\n"
        f"part.rename({str(pid)!r})\n"
        "time.sleep(60)"
    )
    monkeypatch.setenv("FREESURFER_LICENSE", "key")
    us = subprocess.Popen(
        [sys.executable, "-c", US, str(t1w), str(subjects)], stdout=subprocess.PIPE, text=True
    )
    while not pid.exists():
        assert us.poll() is None
        time.sleep(0.05)
    us.send_signal(signal.SIGTERM)
    assert us.communicate()[0] == "stopped\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert not list(subjects.rglob("IsRunning*"))
    assert not Path(machine.seen["environment"]["FS_LICENSE"]).exists()


def test_success_without_the_files_is_none(machine, recon, outputs):
    (outputs / "mri" / "wmparc.mgz").unlink()
    machine.install()
    with pytest.raises(DataError, match=r"lacks mri/wmparc\.mgz"):
        recon()


def test_finished_means_ended_well_unlocked_and_complete(tmp_path, outputs):
    folder = tmp_path / "sub-01"
    assert not is_finished(folder)
    finished(folder, outputs)
    assert is_finished(folder)
    done = folder / "scripts" / "recon-all.done"
    done.write_text("1\n")
    assert not is_finished(folder)
    done.write_text("SUBJECT sub-01\n")
    lock = folder / "scripts" / "IsRunning.lh"
    lock.touch()
    assert not is_finished(folder)
    lock.unlink()
    for name in ("aparc+aseg.mgz", "wmparc.mgz"):
        path = folder / "mri" / name
        path.rename(tmp_path / name)
        assert not is_finished(folder)
        (tmp_path / name).rename(path)
    assert is_finished(folder)
    done.unlink()
    assert not is_finished(folder)


def test_the_version_is_the_build_or_what_the_end_says(tmp_path):
    assert version_of(tmp_path) is None
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "recon-all.done").write_text("SUBJECT x\nVERSION 7.4.1 \nCMDPATH y\n")
    assert version_of(tmp_path) == "7.4.1"
    (scripts / "build-stamp.txt").write_text("freesurfer-linux-ubuntu22_x86_64-7.4.1-20230614\n")
    assert version_of(tmp_path) == "freesurfer-linux-ubuntu22_x86_64-7.4.1-20230614"
    (scripts / "build-stamp.txt").write_text("\n")
    (scripts / "recon-all.done").write_text("1\n")
    assert version_of(tmp_path) is None


def test_outputs_of_freesurfer_itself_arrive_whole(machine, recon, subjects, data_dir):
    bert = data_dir / "freesurfer" / "bert"
    if not is_finished(bert):
        pytest.skip(f"{bert} is no finished subject")
    assert version_of(bert) == "$Id: FreeSurferEnv.csh,v 1.89 2016/06/09 14:54:31 zkaufman Exp $"
    machine.outputs = bert
    machine.install()
    folder = recon()
    labels = np.asarray(nib.load(folder / "mri" / "aparc+aseg.mgz").dataobj)
    assert {10, 16, 17, 1028, 2028} <= set(np.unique(labels))
    white = np.asarray(nib.load(folder / "mri" / "wmparc.mgz").dataobj)
    assert {3028, 4028, 5001} <= set(np.unique(white))
    assert "Linear_Transform" in (folder / "mri" / "transforms" / "talairach.xfm").read_text()
    # The second time nothing is run.
    machine.install("fail('not again')")
    assert recon(licence_file=None) == folder
