"""What the doctor says of a machine: each thing lacking, its exit code, its line in the docs."""

import json
import re
import tempfile
from collections import namedtuple
from pathlib import Path

import pytest

from cmb_bidsapp.bids.stamps import sha256_of
from cmb_bidsapp.cli import main
from cmb_bidsapp.core import resources
from cmb_bidsapp.core.errors import ModelError
from cmb_bidsapp.levels import doctor
from cmb_bidsapp.levels.doctor import REMEDIES
from cmb_bidsapp.models.registry import PACKAGED
from tests.documents import ROOT
from tests.standins import install

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def healthy(monkeypatch, tmp_path, no_license):
    """A machine that lacks nothing a run needs, and has nothing it does not."""
    monkeypatch.setattr(doctor, "load_bundle", lambda name: doctor.load_card(name))
    monkeypatch.setattr(resources, "cuda_devices", lambda: 0)
    monkeypatch.setattr(resources, "available_cpus", lambda: resources.Limit(8, "cgroup quota"))
    monkeypatch.setattr(
        resources, "available_memory_mb", lambda: resources.Limit(64000, "ulimit -v")
    )
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: Usage(0, 0, 50_000 << 20))
    monkeypatch.setattr(doctor, "synthstrip_command", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def asked(capsys):
    def ask(*options):
        code = main(["doctor", "--json", *map(str, options)])
        told = json.loads(capsys.readouterr().out)
        assert told["exit"] == code
        return code, {one["what"]: one for one in told["findings"]}

    return ask


def test_a_machine_that_lacks_nothing_is_code_0(healthy, asked, tmp_path):
    code, found = asked(tmp_path / "new" / "out", "-w", tmp_path)
    assert code == 0
    assert {one["state"] for one in found.values()} <= {"ok", "absent"}
    assert found["cores"]["told"] == "8 (cgroup quota)"
    assert found["memory"]["told"].startswith("64000 MB (ulimit -v)")
    assert "50000 MB free" in found["output folder"]["told"]
    assert "CC BY-NC-SA 4.0, SHA-256 " in found["model lesions-valdo"]["told"]
    for name in ("parcellation, freesurfer", "brain extraction, synthstrip", "FreeSurfer license"):
        assert found[name]["state"] == "absent"
        assert found[name]["remedy"]


@pytest.mark.parametrize(
    ("options", "what", "key", "code"),
    [
        (["--parcellation", "synthseg"], "parcellation, synthseg", "parcellation-absent", 127),
        (["--brain-extraction", "synthstrip"], "brain extraction, synthstrip", None, 127),
        (["--device", "cuda"], "GPU", "gpu-absent", 69),
        (["--mem", "1G"], "memory", "memory-short", 75),
        (["--model", "none"], "model none", "model-damaged", 78),
    ],
)
def test_what_a_run_would_lack_is_its_exit_code(healthy, asked, options, what, key, code):
    assert asked(*options)[0] == code
    finding = asked(*options)[1][what]
    assert (finding["state"], finding["code"]) == ("lacking", code)
    assert finding["key"] == (key or "synthstrip-absent")


def test_a_package_that_is_not_there_is_lacking(healthy, asked, monkeypatch):
    assert re.match("torch 2.*, antspyx .*, nnunetv2 2", asked()[1]["packages"]["told"])
    monkeypatch.setattr(doctor, "PACKAGES", ("torch", "nobody-has-this"))
    code, found = asked()
    assert (code, found["packages"]["key"]) == (70, "package-absent")
    assert "nobody-has-this is missing" in found["packages"]["told"]


def test_a_viewer_that_is_not_there_does_no_harm(healthy, asked, monkeypatch):
    monkeypatch.setattr(doctor, "viewer_or_why", lambda: (None, "no script"))
    code, found = asked()
    viewer = found["viewer"]
    assert (code, viewer["state"], viewer["key"]) == (0, "absent", "viewer-absent")


def test_a_machine_without_any_place_for_temporary_files_is_told(healthy, asked, monkeypatch):
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", list)
    monkeypatch.setattr(tempfile, "tempdir", None)
    code, found = asked()
    assert (code, found["work folder"]["key"]) == (73, "work-not-writable")
    assert "No usable temporary directory" in found["work folder"]["told"]


def test_several_things_that_are_lacking_are_code_1(healthy, asked):
    code, found = asked("--parcellation", "freesurfer")
    assert code == 1
    assert found["parcellation, freesurfer"]["code"] == 127
    assert found["FreeSurfer license"]["code"] == 126


def test_programs_and_the_license_are_found_and_the_license_is_not_shown(
    healthy, asked, tmp_path, monkeypatch
):
    for name in ("recon-all", "mri_synthseg"):
        install(tmp_path, name, "")
    monkeypatch.setenv("FREESURFER_LICENSE", "secret\\n12345")
    code, found = asked("--parcellation", "freesurfer")
    assert code == 0
    assert found["parcellation, freesurfer"]["told"] == str(tmp_path / "recon-all")
    assert found["FreeSurfer license"]["state"] == "ok"
    assert "secret" not in json.dumps(found)


def test_a_damaged_bundle_is_lacking_where_it_is_used(healthy, asked, monkeypatch):
    def damaged(name):
        if name == "lesions":
            raise ModelError("weights.pt is damaged (SHA-256 differs); install the model again")
        return doctor.load_card(name)

    monkeypatch.setattr(doctor, "load_bundle", damaged)
    code, found = asked()
    assert (code, found["model lesions"]["state"]) == (78, "lacking")
    code, found = asked("--model", "lesions-valdo")
    assert (code, found["model lesions"]["state"]) == (0, "absent")


@pytest.mark.parametrize(("which", "option"), [("output", []), ("work", ["-w"])])
def test_folders_need_room_and_must_be_writable(
    healthy, asked, monkeypatch, tmp_path, which, option
):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: Usage(0, 0, 5 << 20))
    code, found = asked(*option, tmp_path / "made")
    assert code == 75
    assert found[f"{which} folder"]["key"] == f"{which}-full"
    (tmp_path / "file").write_text("")
    code, found = asked(*option, tmp_path / "file" / "below")
    assert found[f"{which} folder"]["key"] == f"{which}-not-writable"
    assert found[f"{which} folder"]["code"] == 73


def test_the_bundles_that_are_shipped_are_verified(asked):
    _, found = asked()
    for name in ("anatomy", "lesions", "lesions-valdo"):
        assert found[f"model {name}"]["state"] == "ok"
        told = re.search("SHA-256 ([0-9a-f]{64}), verified", found[f"model {name}"]["told"])
        assert told.group(1) == sha256_of(PACKAGED / name / "weights.pt")


def test_people_read_one_line_each(healthy, capsys):
    assert main(["doctor", "--mem", "100"]) == 75
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "exit code 75: 1 lacking; see docs/troubleshooting.md"
    (memory,) = [line for line in lines if line.startswith("lacking")]
    assert "100 MB (--mem)" in memory
    assert REMEDIES["memory-short"] in memory


def test_a_number_that_is_none_is_usage(capsys):
    assert main(["doctor", "--mem", "lots"]) == 2
    assert main(["doctor", "--nprocs", "0"]) == 2


def test_every_line_of_the_doctor_has_one_in_the_troubleshooting_page():
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)) == set(REMEDIES)


def test_every_message_of_the_troubleshooting_page_is_one_of_the_program():
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^\| \"(.+?)\" \|", page, re.MULTILINE)
    assert len(quoted) >= 25
    source = " ".join(
        re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8"))
        for path in sorted(Path(ROOT / "cmb_bidsapp").rglob("*.py"))
    )
    for message in quoted:
        for part in message.split("..."):
            assert part.strip() in source, message
