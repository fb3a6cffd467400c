"""recon-all, driven through a stand-in that keeps the rules of FreeSurfer's script."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.core.errors import (
    CommandMissingError,
    DataError,
    LicenseError,
    TemporaryError,
)
from cmb_bidsapp.tools.freesurfer import is_finished, run_recon_all
from tests import standins


def finished(folder: Path, outputs: Path) -> Path:
    shutil.copytree(outputs, folder, dirs_exist_ok=True)
    (folder / "scripts").mkdir(exist_ok=True)
    (folder / "scripts" / "recon-all.done").write_text("SUBJECT sub-01\n")
    return folder


@pytest.mark.parametrize(
    ("threads", "flags"), [(1, ["-openmp", "1"]), (4, ["-parallel", "-openmp", "4"])]
)
def test_a_new_subject_is_given_its_image(
    machine, install_recon_all, recon, subjects, t1w, threads, flags
):
    install_recon_all()
    assert recon(threads=threads) == subjects / "sub-01"
    assert machine.runs[-1].argv == [
        *["-s", "sub-01", "-sd", str(subjects), "-i", str(t1w), "-all"],
        *flags,
    ]
    assert (subjects / "sub-01" / "mri" / "orig" / "001.mgz").read_bytes() == b"head"
    assert is_finished(subjects / "sub-01")


def test_relative_paths_are_made_whole(
    machine, install_recon_all, tmp_path, license_file, t1w, monkeypatch
):
    install_recon_all()
    monkeypatch.chdir(tmp_path)
    folder = run_recon_all(
        Path(t1w.name), "sub-01", Path("fs"), threads=1, license_file=Path(license_file.name)
    )
    assert folder == Path("fs/sub-01")
    assert machine.runs[-1].argv[3:6] == [str(tmp_path / "fs"), "-i", str(t1w)]
    assert machine.runs[-1].environment["FS_LICENSE"] == str(license_file)


def test_the_environment_has_license_folder_and_threads(
    machine, install_recon_all, recon, subjects, license_file
):
    install_recon_all()
    recon(threads=3)
    environment = machine.runs[-1].environment
    assert environment["FS_LICENSE"] == str(license_file)
    assert environment["SUBJECTS_DIR"] == str(subjects)
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] == "3"


def test_a_license_in_the_environment_reaches_it_as_a_file_only(
    machine, install_recon_all, recon, tmp_path, monkeypatch
):
    seen = tmp_path / "seen"
    install_recon_all(f"shutil.copy(os.environ['FS_LICENSE'], {str(seen)!r})\nlay_down()")
    monkeypatch.setenv("FREESURFER_LICENSE", "someone\\nsecret")
    recon(license_file=None)
    assert seen.read_text() == "someone\nsecret\n"
    # recon-all keeps a copy of its environment in the subject's folder.
    assert "secret" not in json.dumps(machine.runs[-1].environment)
    assert not Path(machine.runs[-1].environment["FS_LICENSE"]).exists()


@pytest.mark.parametrize("resume", [True, False])
def test_a_finished_subject_asks_for_nothing(machine, recon, subjects, outputs, resume):
    folder = finished(subjects / "sub-01", outputs)
    assert recon(license_file=None, resume=resume) == folder


def test_the_program_is_asked_for_before_the_license(machine, install_recon_all, recon, subjects):
    with pytest.raises(CommandMissingError, match=r"recon-all.*full.*--parcellation atlas"):
        recon(license_file=None)
    install_recon_all()
    with pytest.raises(LicenseError):
        recon(license_file=None)
    assert machine.runs == []
    assert not (subjects / "sub-01").exists()


def test_a_failure_quotes_the_log_and_says_how_to_start_afresh(install_recon_all, recon, subjects):
    install_recon_all("fail('ERROR: cannot find the head')")
    log = subjects / "sub-01" / "scripts" / "recon-all.log"
    with pytest.raises(DataError) as error:
        recon()
    message = str(error.value)
    assert "recon-all failed with status 1: ERROR: cannot find the head | recon-all -s" in message
    assert message.endswith(f"see {log}")
    assert not is_finished(subjects / "sub-01")
    with pytest.raises(DataError, match=f"see {log}; remove {log.parent.parent} to start afresh"):
        recon()


def test_a_step_that_was_killed_may_be_tried_again(machine, install_recon_all, recon, subjects):
    install_recon_all("fail('/fs/bin/reconbatchjobs: line 81:   256 Killed     exec $JOB')")
    with pytest.raises(TemporaryError, match=r"a step of recon-all.*memory.*256 Killed exec"):
        recon()
    assert not is_finished(subjects / "sub-01")
    install_recon_all()
    recon()
    assert "-i" not in machine.runs[-1].argv
    assert is_finished(subjects / "sub-01")


US = """
import sys
from pathlib import Path
from cmb_bidsapp.tools.freesurfer import run_recon_all
try:
    run_recon_all(Path(sys.argv[1]), "sub-01", Path(sys.argv[2]), threads=1, license_file=None)
except KeyboardInterrupt:
    print("stopped")
"""


def test_being_stopped_leaves_neither_program_nor_lock_nor_license(
    machine, install_recon_all, subjects, t1w, tmp_path, monkeypatch
):
    pid = tmp_path / "pid"
    install_recon_all(
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
    assert not Path(machine.runs[-1].environment["FS_LICENSE"]).exists()


def test_success_without_the_files_is_none(install_recon_all, recon, outputs):
    (outputs / "mri" / "wmparc.mgz").unlink()
    install_recon_all()
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


def test_outputs_of_freesurfer_itself_arrive_whole(machine, recon, bert):
    if not is_finished(bert):
        pytest.skip(f"{bert} is no finished subject")
    machine.install("recon-all", standins.recon_all(bert))
    folder = recon()
    labels = np.asarray(nib.load(folder / "mri" / "aparc+aseg.mgz").dataobj)
    assert {10, 16, 17, 1028, 2028} <= set(np.unique(labels))
    white = np.asarray(nib.load(folder / "mri" / "wmparc.mgz").dataobj)
    assert {3028, 4028, 5001} <= set(np.unique(white))
    assert "Linear_Transform" in (folder / "mri" / "transforms" / "talairach.xfm").read_text()
    # The second time nothing is run.
    machine.install("recon-all", standins.recon_all(bert, "fail('not again')"))
    assert recon(license_file=None) == folder
