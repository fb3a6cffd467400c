"""Disks that are full or read-only, little memory, one bad participant of several, no network."""

import contextlib
import ctypes
import os
import resource
import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.faults.test_interruption import partial, results, status
from tests.skeletons import result_of, tree


@pytest.fixture
def disk(tmp_path):
    """Mounts a file system of some size; remounting changes it."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options, again=False):
        flags = ["-o", f"remount,{options}"] if again else ["-t", "tmpfs", "-o", options, "tmpfs"]
        done = subprocess.run(["mount", *flags, str(folder)], capture_output=True, text=True)
        if done.returncode and not again:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        return folder

    yield mount
    with contextlib.suppress(OSError):
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


def test_a_disk_that_fills_up_costs_nothing_that_was_done(tiny, disk, tmp_path):
    app = tiny("01")
    out = disk("size=600k") / "out"
    code, said, _ = app.run("--nprocs", "1", out=out)
    assert code == 75
    assert result_of(said) == (0, 1, 0, 75)
    assert "no space left on the disk" in said
    assert not partial(out)
    stamped = {path.stem.rpartition("_")[2] for path in out.glob("logs/stamps/sub*.json")}
    disk("size=20m", again=True)
    app.forget()
    code, said, _ = app.run("--nprocs", "1", out=out)
    assert (code, result_of(said)) == (0, (1, 0, 0, 0))
    assert not {mark.split()[1] for mark in app.marks} & stamped
    shutil.copytree(out, tmp_path / "copy")
    assert app.run("--nprocs", "1", out=tmp_path / "undisturbed")[0] == 0
    assert results(tmp_path / "copy") == results(tmp_path / "undisturbed")


def test_scratch_that_fills_up_costs_only_those_who_need_it(tiny, disk):
    app = tiny("01", "scratch1")
    work = disk("size=300k")
    code, said, _ = app.run("--nprocs", "1", "-w", str(work))
    assert (code, result_of(said)) == (1, (1, 1, 0, 1))
    outcome, number, why = status(app.out)["sub-scratch1"]
    assert (outcome, number) == ("failed", "75")
    assert f"no space left on the disk of {work}" in why
    assert not list(work.iterdir())
    disk("size=20m", again=True)
    code, said, _ = app.run("--nprocs", "1", "-w", str(work))
    assert (code, result_of(said)) == (0, (2, 0, 0, 0))


def test_a_disk_without_any_room_counts_who_was_not_processed(tiny, disk):
    app = tiny("01", "02")
    folder = disk("size=16k")
    with contextlib.suppress(OSError):
        (folder / "fill").write_bytes(bytes(1 << 20))
    code, said, complained = app.run(out=folder / "out")
    assert code == 75
    assert result_of(said) == (0, 2, 0, 75)
    assert "no space left on the disk" in complained
    assert app.marks == []


def test_an_output_folder_that_is_read_only_is_told(tiny, disk):
    app = tiny("01")
    out = disk("ro") / "out"
    code, said, complained = app.run(out=out)
    assert code == 73
    assert result_of(said) == (0, 1, 0, 73)
    assert complained.startswith("cmb_bidsapp: read-only file system: ")
    assert len(complained.splitlines()) == 1


#: More than the programs take by themselves, and less than the large image does.
ROOM = 800 << 20
SHORT = "out of memory; give more with --mem or run fewer at once"


def make_large(app):
    """Put an image of 1 GB in the place of that of ``sub-big1``; on the disk it takes nothing."""
    (small,) = app.bids.rglob("sub-big1_T2starw.nii.gz")
    image = nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.diag([0.2, 0.2, 0.2, 1.0]))
    image.header.set_data_shape((1024, 1024, 1024))
    image.header["vox_offset"] = image.header.single_vox_offset
    large = small.with_name("sub-big1_T2starw.nii")
    large.write_bytes(image.header.binaryblock + bytes(4))
    os.truncate(large, large.stat().st_size + (1 << 30))
    small.unlink()


def test_a_session_that_is_not_given_the_memory_it_needs_says_so(tiny):
    app = tiny("big1")
    make_large(app)

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM))

    code, said, complained = app.run(limit=limit)
    assert (code, result_of(said), complained) == (75, (0, 1, 0, 75), "")
    assert "800 MB, ulimit -v" in said.splitlines()[0]
    assert status(app.out)["sub-big1"] == ("failed", "75", SHORT)


@pytest.fixture
def control_group():
    """A control group with a limit of memory, as batch systems and containers make one."""
    for root, name in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):
        group = Path("/sys/fs/cgroup", root, f"cmb-bidsapp-test-{os.getpid()}")
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / name).write_text(str(ROOM))
        except OSError:
            group.rmdir()
            continue
        yield group
        group.rmdir()
        return
    pytest.skip("no control group can be made here")


def test_a_session_that_the_kernel_kills_for_want_of_memory_says_so(tiny, control_group):
    app = tiny("big1")
    make_large(app)

    def limit():
        (control_group / "cgroup.procs").write_text(str(os.getpid()))

    code, said, complained = app.run(limit=limit)
    assert (code, result_of(said), complained) == (75, (0, 1, 0, 75), "")
    assert "800 MB, cgroup limit" in said.splitlines()[0]
    assert status(app.out)["sub-big1"][2].startswith("killed by SIGKILL, out of memory; run fewer")


def obey():
    """Take from root the capabilities to pass over permissions (``PR_CAPBSET_DROP``)."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)


def test_an_output_folder_without_permission_is_told(tiny):
    app = tiny("01")
    app.out.mkdir(mode=0o500)
    code, said, complained = app.run(limit=obey)
    assert (code, result_of(said)) == (77, (0, 1, 0, 77))
    assert complained.startswith("cmb_bidsapp: no permission: ")


def test_an_image_without_permission_costs_only_its_own_session(tiny):
    app = tiny("01", "02")
    (image,) = app.bids.rglob("sub-02_T2starw.nii.gz")
    image.chmod(0)
    code, said, complained = app.run("--nprocs", "1", limit=obey)
    assert (code, result_of(said), complained) == (1, (1, 1, 0, 1), "")
    assert status(app.out)["sub-01"][0] == "ok"
    outcome, _, why = status(app.out)["sub-02"]
    assert outcome == "failed"
    assert str(image) in why


def test_one_bad_participant_fails_alone_no_connection_is_asked_for_and_the_dataset_stays(tiny):
    app = tiny("01", "bad1")
    before = tree(app.bids)
    code, said, _ = app.run("--nprocs", "1")
    assert (code, result_of(said)) == (1, (1, 1, 0, 1))
    assert status(app.out)["sub-bad1"] == ("failed", "65", "no good")
    assert (app.out / "sub-01.html").is_file()
    assert tree(app.bids) == before
    assert app.connections == []
