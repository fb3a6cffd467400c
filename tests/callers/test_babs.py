import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cmb_bidsapp import __version__
from tests.skeletons import build_dataset
from tests.standins import Machine

CONFIG = Path(__file__).parents[2] / "callers" / "babs" / "cmb_bidsapp.yaml"
IMAGE = "containers/.datalad/environments/cmb-bidsapp-0-1-0/image"

#: Runs what it is asked to run: the real app, which has only to choose the scans.
SINGULARITY = f"""
at = sys.argv.index({IMAGE!r})
words = [{sys.executable!r}, "-m", "cmb_bidsapp", *sys.argv[at + 1:]]
os.execv({sys.executable!r}, [*words, "--dry-run"])
"""

#: Adds a folder to an archive, as ``7z a ARCHIVE FOLDER`` does.
SEVEN_ZIP = """
import shutil
shutil.make_archive(sys.argv[2].removesuffix(".zip"), "zip", ".", sys.argv[3])
"""


@pytest.fixture
def config():
    return yaml.safe_load(CONFIG.read_text())


@pytest.fixture
def job(tmp_path, monkeypatch):
    """The clone of a job: images are links into the annex, others' folders are gone."""
    folder = tmp_path / "job-1-1-sub-01" / "ds"
    dataset = folder / "inputs" / "data" / "BIDS"
    names = {"sub-01_ses-A_T2starw": {}, "sub-01_ses-A_T1w": {}, "sub-01_ses-B_T2starw": {}}
    build_dataset(dataset, names)
    for number, path in enumerate([p for p in dataset.rglob("*") if p.is_file()]):
        content = dataset / ".git" / "annex" / "objects" / f"MD5E-{number}" / path.name
        content.parent.mkdir(parents=True)
        path.rename(content)
        content.chmod(0o444)
        path.symlink_to(os.path.relpath(content, path.parent))
    machine = Machine(tmp_path)
    machine.install("singularity", SINGULARITY)
    machine.install("7z", SEVEN_ZIP)
    monkeypatch.setenv("PATH", f"{machine.bin}:/usr/bin:/bin")
    return folder, machine


def run_script(config: dict, level: str) -> str:
    """The script that ``babs init`` makes of the file, by the rules of BABS 0.5."""
    (dataset,) = config["input_datasets"].values()
    ((name, version),) = config["zip_foldernames"].items()
    output = f"outputs/{name}" if config["all_results_in_one_zip"] else "outputs"
    options = []
    for key, value in config["bids_app_args"].items():
        if key == "$SESSION_SELECTION_FLAG":
            options.append(f"{value} $sesid")
        elif key != "$SUBJECT_SELECTION_FLAG":
            value = '"${PWD}/.git/tmp/wkdir"' if value == "$BABS_TMPDIR" else value
            options.append(f"{key} {value}".strip())
    session = "_${sesid}" if level == "session" else ""
    return f"""
set -e -u -x
subid="$1"
{'sesid="$2"' if session else ""}
mkdir -p "${{PWD}}/.git/tmp/wkdir"
mkdir -p "{output}"
singularity run -B "${{PWD}}" {" ".join(config["singularity_args"])} "{IMAGE}" \
  "${{PWD}}/{dataset["path_in_babs"]}" "${{PWD}}/{output}" participant {" ".join(options)} \
  {config["bids_app_args"]["$SUBJECT_SELECTION_FLAG"]} "${{subid}}"
cd outputs
7z a ../"${{subid}}{session}_{name}-{version}.zip" "{name}"
cd ..
rm -rf outputs .git/tmp/wkdir
"""


def script_of_babs(config: dict, level: str) -> str:
    generate = pytest.importorskip("babs.generate_bidsapp_runscript").generate_bidsapp_runscript
    from babs.input_datasets import InputDatasets
    from babs.utils import app_output_settings_from_config

    datasets = InputDatasets(level, config["input_datasets"])
    datasets.update_abs_paths(Path("analysis"))
    zips, output = app_output_settings_from_config(config)
    return generate(
        datasets.as_records(),
        level,
        container_name="cmb-bidsapp-0-1-0",
        relative_container_path=IMAGE,
        bids_app_output_dir=output,
        dict_zip_foldernames=zips,
        bids_app_args=config["bids_app_args"],
        singularity_args=config["singularity_args"],
    )


@pytest.mark.parametrize("script", [run_script, script_of_babs])
@pytest.mark.parametrize(
    ("level", "names", "seen", "not_seen"),
    [
        ("subject", ["sub-01"], {"ses-A", "ses-B"}, set()),
        ("session", ["sub-01", "ses-B"], {"ses-B"}, {"ses-A"}),
    ],
)
def test_a_job_runs_the_app_in_its_clone_and_zips_the_results(
    config, job, script, level, names, seen, not_seen
):
    folder, machine = job
    if level == "session":
        config["bids_app_args"]["$SESSION_SELECTION_FLAG"] = "--session-label"
    text = script(config, level)
    ended = subprocess.run(
        ["bash", "-c", text, "zip.sh", *names],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    chosen = set(re.findall(r"T2\*w .*/sub-01/(ses-\w)/anat/", ended.stdout))
    assert chosen == seen
    assert not chosen & not_seen
    assert list(folder.glob("*.zip")) == [folder / f"{'_'.join(names)}_cmb_bidsapp-0-1-0.zip"]
    assert not (folder / "outputs").exists()
    argv = machine.runs[0].argv
    assert f"{folder}/outputs/cmb_bidsapp" in argv
    assert argv[argv.index("-w") + 1] == f"{folder}/.git/tmp/wkdir"


def test_the_file_names_this_release(config):
    assert list(config["zip_foldernames"].values()) == [__version__.replace(".", "-")]
    assert IMAGE.split("/")[-2] in CONFIG.read_text()


def test_required_files_are_those_of_a_session(config, job):
    folder, _ = job
    (dataset,) = config["input_datasets"].values()
    for pattern in dataset["required_files"]:
        assert list((folder / dataset["path_in_babs"]).glob(f"sub-01/ses-A/{pattern}"))
