import gzip
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import sidecar_of, write_json, write_text
from cmb_bidsapp.bids.tables import read_table, write_table
from cmb_bidsapp.callers.brainlife import IMAGES, app_options, make_dataset, run
from cmb_bidsapp.lesions.table import COLUMNS
from cmb_bidsapp.options.parser import build_parser
from tests.callers.standins import SINGULARITY
from tests.skeletons import build_dataset, tree, write_head
from tests.standins import Machine

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "callers" / "brainlife"


@pytest.fixture
def task(tmp_path):
    """The folder of a task as Brainlife starts it, its inputs in those of two other tasks."""
    folder = tmp_path / "a task"
    write_head(tmp_path / "one" / "t1.nii.gz")
    compressed = write_head(tmp_path / "store" / "x.nii.gz")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "t2starw.nii").symlink_to(compressed)
    folder.mkdir()
    config = json.loads((SAMPLES / "config.json.sample").read_text())
    config |= {"t1": "../one/t1.nii.gz", "t2starw": "../two/t2starw.nii"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def configured(task, **changes):
    config = json.loads((task / "config.json").read_text()) | changes
    (task / "config.json").write_text(json.dumps(config))
    return config


def fake_app(code=0, rows=()):
    """An app that lays down what the real one would, and remembers how it was called."""
    calls = []

    def app(words):
        given = build_parser().parse_args(words)
        calls.append(given)
        files = SessionFiles(given.output_dir, "HCD0001305", "V1")
        status = {"participant_id": "sub-HCD0001305", "session_id": "ses-V1", "message": None}
        status["status"] = "failed" if code else "ok"
        status["message"] = "the image is torn" if code else None
        write_table(files.out_dir / "logs" / "status.tsv", list(status), [status])
        if not code:
            write_table(files.lesions, list(COLUMNS), rows)
            write_text(files.mask, "mask")
            write_text(given.output_dir / "sub-HCD0001305.html", "report")
            write_json(sidecar_of(files.t2star), {"Notes": ["no T1w: T2*w alone"]})
        return code

    app.calls = calls
    return app


def messages(task, kind):
    product = json.loads((task / "product.json").read_text())
    return [one["msg"] for one in product["brainlife"] if one["type"] == kind]


def test_images_become_a_dataset_with_their_metadata(task):
    config = configured(task)
    files = make_dataset(config, task, task / "made")
    anat = task / "made" / "sub-HCD0001305" / "ses-V1" / "anat"
    assert {path.name.removeprefix("sub-HCD0001305_ses-V1_") for path in anat.iterdir()} == {
        *("T1w.nii.gz", "T1w.json", "T2starw.nii.gz", "T2starw.json")
    }
    sidecar = json.loads((anat / f"{files.label}_T2starw.json").read_text())
    assert sidecar == {"EchoTime": 0.02, "MagneticFieldStrength": 3}
    assert nib.load(anat / f"{files.label}_T2starw.nii.gz").shape == (24, 24, 24)
    assert (task / "made" / "dataset_description.json").is_file()


def test_an_image_that_is_not_compressed_keeps_its_extension(task):
    image = task.parent / "two" / "t2starw.nii"
    plain = gzip.decompress(image.read_bytes())
    image.unlink()
    image.write_bytes(plain)
    files = make_dataset(configured(task, _inputs=[]), task, task / "made")
    assert files.label == "sub-01"
    assert (task / "made" / "sub-01" / "anat" / "sub-01_T2starw.nii").is_file()


def test_options_are_those_of_the_app(task):
    config = {"threshold": 0.9, "tta": False, "cfpr": True, "force": False, "dry_run": True}
    config |= {"parcellation": "", "mem": None, "output_spaces": ["MNI152NLin6Asym"], "t1": "x"}
    words = app_options(config)
    assert words == [
        "--no-tta",
        *("--threshold", "0.9"),
        *("--output-spaces", "MNI152NLin6Asym"),
        "--dry-run",
    ]


def test_results_come_back_as_datatypes_and_counts(task):
    kept = dict.fromkeys(COLUMNS, "n/a") | {"status": "kept"}
    rows = [
        kept | {"region": "lobar", "grade": "definite"},
        kept | {"region": "lobar", "grade": "possible"},
        kept | {"region": "deep", "grade": "macro"},
        kept | {"region": "deep", "grade": "definite", "status": "rejected"},
    ]
    app = fake_app(rows=rows)
    assert run(task, app) == 0
    assert app.calls[0].level == ["participant"]
    assert app.calls[0].work_dir == task / "work"
    assert (task / "mask" / "mask.nii.gz").read_text() == "mask"
    assert (task / "html" / "index.html").read_text() == "report"
    product = json.loads((task / "product.json").read_text())
    assert product["microbleeds"]["total"] == 2
    assert product["microbleeds"]["definite"]["lobar"] == 1
    assert messages(task, "success") == ["2 microbleeds, definite and possible"]
    assert messages(task, "warning") == ["no T1w: T2*w alone"]
    assert "not a diagnosis" in messages(task, "info")[0]
    (graph,) = (one for one in product["brainlife"] if one["type"] == "plotly")
    assert graph["data"][0]["y"] == [1, 0, 0, 0]
    assert len((task / "product.json").read_bytes()) < 4000, "Brainlife asks for a few kilobytes"


def test_a_dataset_that_lies_there_is_left_alone(task):
    build_dataset(task / "bids", {"sub-09_T2starw": {}})
    before = tree(task / "bids")
    app = fake_app()
    assert run(task, app) == 0
    assert app.calls[0].bids_dir != task / "bids"
    assert tree(task / "bids") == before
    assert [path.name for path in task.glob("bids*")] == ["bids"]


def test_a_failure_is_told_with_its_cause(task):
    assert run(task, fake_app(code=65)) == 65
    assert messages(task, "error") == ["the image is torn", "exit code 65: bad data"]
    assert not (task / "mask").exists()


@pytest.mark.parametrize("changes", [{"t2starw": "../none.nii.gz"}, {"t1": "../none.nii.gz"}])
def test_a_missing_input_is_named(task, changes, capsys):
    configured(task, **changes)
    assert run(task, fake_app()) == 65
    assert "../none.nii.gz" in messages(task, "error")[0]
    assert "../none.nii.gz" in capsys.readouterr().err


@pytest.fixture
def brainlife(tmp_path, monkeypatch):
    """A compute resource: jq, and a stand-in for singularity."""
    if shutil.which("jq") is None:
        pytest.skip("jq is not on the path; Brainlife asks for it")
    machine = Machine(tmp_path)
    machine.install("singularity", SINGULARITY)
    monkeypatch.setenv("PATH", f"{machine.bin}:{os.environ['PATH']}")
    return machine


def test_main_mounts_the_inputs_and_runs_the_app_on_them(task, brainlife, monkeypatch):
    configured(task, dry_run=True)
    monkeypatch.setenv("FREESURFER_LICENSE", "a@b.c\n1")
    monkeypatch.setenv("CMB_BIDSAPP_IMAGE", "ours.sif")
    ended = subprocess.run([ROOT / "main"], cwd=task, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "ses-V1_T2starw.nii.gz" in ended.stdout
    argv, environment = brainlife.runs[0]
    assert argv[:3] == ["exec", "--cleanenv", "--no-home"]
    assert argv[-4:] == ["ours.sif", "python3", "-m", "cmb_bidsapp.callers.brainlife"]
    binds = {word.removeprefix("--bind=") for word in argv if word.startswith("--bind=")}
    folders = [task.parent / name for name in ("one", "two", "store")]
    assert binds == {f"{folder}:{folder}:ro" for folder in folders}
    assert environment["SINGULARITYENV_FREESURFER_LICENSE"] == "a@b.c\n1"
    assert environment["APPTAINERENV_FREESURFER_LICENSE"] == "a@b.c\n1"


def test_main_ends_with_the_exit_code_of_the_app(task, brainlife):
    (task.parent / "store" / "x.nii.gz").write_bytes(b"\x1f\x8b torn")
    ended = subprocess.run([ROOT / "main"], cwd=task, capture_output=True, text=True, check=False)
    assert ended.returncode == 65, ended.stderr
    torn, last = messages(task, "error")
    assert "T2starw.nii.gz" in torn
    assert last == "exit code 65: bad data"
    rows = read_table(task / "output" / "logs" / "status.tsv")
    assert [row["status"] for row in rows] == ["failed"]


def test_the_image_of_main_is_that_of_the_release():
    from cmb_bidsapp.callers import IMAGE

    text = (ROOT / "main").read_text()
    assert re.findall(r":-(docker://[^}]+)}", text) == [f"docker://{IMAGE}"]


def test_the_samples_are_what_the_app_reads_and_writes(task):
    config = json.loads((SAMPLES / "config.json.sample").read_text())
    options = {action.dest for action in build_parser()._actions}
    assert set(config) - set(IMAGES) - {"_inputs"} <= options
    sample = json.loads((SAMPLES / "product.json.sample").read_text())
    run(task, fake_app())
    product = json.loads((task / "product.json").read_text())
    assert set(product) == set(sample)
    assert {one["type"] for one in sample["brainlife"]} <= {
        *("info", "warning", "success", "plotly")
    }
    write_json(task / "config.json", config)
