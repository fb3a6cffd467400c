import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from cmb_bidsapp.cli import main
from tests.callers.standins import Cluster
from tests.skeletons import build_dataset, tree

ODD = 'it\'s $HOME `x` "y"'


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    made = Cluster(tmp_path / "cluster")
    monkeypatch.setenv("PATH", made.path)
    monkeypatch.chdir(tmp_path)
    for variable in ("SLURM_TMPDIR", "TMPDIR"):
        monkeypatch.delenv(variable, raising=False)
    return made


@pytest.fixture
def dataset(tmp_path):
    labels = ("01", "02", "03", "bad", "05")
    images = {f"sub-{label}_T2starw": {} for label in labels}
    return build_dataset(tmp_path / ODD, images | {"sub-06_T1w": {}})


def written(dataset, *words, levels=("participant", "group")) -> str:
    """The script for a command line."""
    assert main(["slurm", str(dataset), "out", *levels, *words]) == 0
    return Path("cmb_bidsapp.sbatch").read_text()


def submitted() -> str:
    ended = subprocess.run(
        ["bash", "cmb_bidsapp.sbatch"], check=True, capture_output=True, text=True
    )
    return ended.stdout


def option(argv, name):
    return argv[argv.index(name) + 1]


def test_every_participant_is_a_task_and_the_group_level_follows(cluster, dataset, tmp_path):
    written(dataset, "--program", str(cluster.program), "--no-tta")
    said = submitted()
    array, group = (run.argv for run in cluster.slurm.runs)
    assert "--array=0-4" in array
    assert "--dependency=afterany:100" in group
    assert "job 100: 5 tasks" in said
    assert "job 101: the group level" in said
    *tasks, last = (run.argv for run in cluster.app.runs)
    labels = [option(task, "--participant-label") for task in tasks]
    assert labels == ["01", "02", "03", "05", "bad"]
    for argv in (*tasks, last):
        assert argv[:2] == [str(dataset), str(tmp_path / "out")]
        assert "--no-tta" in argv
    assert {task[2] for task in tasks} == {"participant"}
    assert last[2] == "group"
    assert "--participant-label" not in last


def test_messages_of_each_task_are_kept_where_the_results_are(cluster, dataset):
    written(dataset, "--program", str(cluster.program))
    submitted()
    logs = {path.name for path in Path("out/logs/slurm").iterdir()}
    assert logs == {f"cmb_bidsapp-100_{task}.log" for task in range(5)} | {"cmb_bidsapp-101.log"}


@pytest.mark.parametrize(
    ("words", "tasks"),
    [
        (["--participants-per-task", "2"], ["01,02", "03,05", "bad"]),
        (["--participant-label", "sub-03", "01,02"], ["03", "01", "02"]),
        (["--exclude-participant-label", "03", "bad"], ["01", "02", "05"]),
        (["--participants-per-task", "9"], ["01,02,03,05,bad"]),
    ],
)
def test_tasks_are_those_the_participant_level_would_process(cluster, dataset, words, tasks):
    written(dataset, "--program", str(cluster.program), *words)
    submitted()
    asked = [run.argv for run in cluster.app.runs if run.argv[2] == "participant"]
    assert [option(argv, "--participant-label") for argv in asked] == tasks
    assert not any("--exclude-participant-label" in argv for argv in asked)


def test_filters_and_sessions_hold_for_the_choice_and_for_the_tasks(cluster, tmp_path):
    images = {"sub-01_ses-A_T2starw": {}, "sub-02_ses-B_T2starw": {}}
    dataset = build_dataset(tmp_path / "bids", images)
    written(dataset, "--program", str(cluster.program), "--session-label", "B")
    submitted()
    (task, _) = (run.argv for run in cluster.app.runs)
    assert (option(task, "--participant-label"), option(task, "--session-label")) == ("02", "B")


def test_a_task_that_fails_fails_alone_and_leaves_no_scratch(cluster, dataset, tmp_path):
    written(dataset, "--program", str(cluster.program), "-w", f"{ODD} scratch")
    submitted()
    assert len(cluster.app.runs) == 6
    used = {option(run.argv, "--work-dir") for run in cluster.app.runs}
    assert len(used) == 6
    assert {Path(work).parent for work in used} == {tmp_path / f"{ODD} scratch"}
    assert list((tmp_path / f"{ODD} scratch").iterdir()) == []
    script = ["bash", "cmb_bidsapp.sbatch", "participant"]
    codes = [
        subprocess.run(script, env={**os.environ, "SLURM_ARRAY_TASK_ID": task}).returncode
        for task in ("3", "4")
    ]
    assert codes == [0, 1], "Slurm is told that a task failed"


@pytest.mark.parametrize("variable", ["SLURM_TMPDIR", "TMPDIR"])
def test_scratch_is_that_of_the_node_unless_said_otherwise(
    cluster, dataset, tmp_path, monkeypatch, variable
):
    written(dataset, "--program", str(cluster.program))
    monkeypatch.setenv(variable, str(tmp_path / "node"))
    submitted()
    used = {Path(option(run.argv, "--work-dir")).parent for run in cluster.app.runs}
    assert used == {tmp_path / "node"}


def test_a_task_gets_the_share_that_is_asked_of_slurm(cluster, dataset):
    script = written(
        dataset,
        *("--program", str(cluster.program), "--nprocs", "2", "--mem", "3G"),
        *("--time", "1-00:00:00", "--max-concurrent", "3"),
        *("--sbatch=--partition=long", "--sbatch=--account=me"),
    )
    directives = re.findall(r"^#SBATCH (.*)", script, re.MULTILINE)
    expected = {"--cpus-per-task=2", "--mem=3072M", "--time=1-00:00:00"}
    assert expected | {"--partition=long", "--account=me"} <= set(directives)
    submitted()
    assert "--array=0-4%3" in cluster.slurm.runs[0].argv
    argv = cluster.app.runs[0].argv
    assert (option(argv, "--nprocs"), option(argv, "--mem")) == ("2", "3072")


def test_options_of_one_level_stay_with_it(cluster, dataset, tmp_path):
    words = ("--reference-derivatives", str(tmp_path), "--device", "cuda", "--threshold", "0.9")
    written(dataset, "--program", str(cluster.program), *words)
    submitted()
    *tasks, group = (run.argv for run in cluster.app.runs)
    assert all("--reference-derivatives" not in task for task in tasks)
    assert all(option(task, "--device") == "cuda" for task in tasks)
    assert option(group, "--reference-derivatives") == str(tmp_path)
    assert "--device" not in group
    array, last = (run.argv for run in cluster.slurm.runs)
    assert "--gres=gpu:1" in array
    assert "--gres=gpu:1" not in last


def test_without_the_group_level_nothing_follows(cluster, dataset):
    written(dataset, "--program", str(cluster.program), levels=["participant"])
    submitted()
    assert len(cluster.slurm.runs) == 1


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "app of ours.sif"
    path.touch()
    return path


def test_the_container_sees_what_it_needs_and_no_more(cluster, dataset, image, tmp_path):
    reused = tmp_path / "free's"
    reused.mkdir()
    words = ("--image", str(image), "-d", f"fs={reused}", "--bids-database-dir", "index")
    written(dataset, *words, "--device", "cuda")
    submitted()
    argv = cluster.apptainer.runs[0].argv
    assert argv[0] == "run"
    assert {"--cleanenv", "--containall", "--no-home", "--nv"} <= set(argv)
    binds = [argv[i + 1] for i, word in enumerate(argv) if word == "--bind"]
    work = option(cluster.app.runs[0].argv, "--work-dir")
    assert binds == [
        f"{dataset}:{dataset}:ro",
        f"{tmp_path}/out:{tmp_path}/out",
        f"{work}:{work}",
        f"{tmp_path}/index:{tmp_path}/index:rw",
        f"{reused}:{reused}:ro",
    ]
    assert (tmp_path / "index").is_dir(), "what is mounted is there"
    assert len(cluster.apptainer.runs) == len(cluster.app.runs) == 6


@pytest.mark.parametrize(("parcellation", "handed"), [("freesurfer", "a\nb"), ("atlas", None)])
def test_the_license_is_handed_over_and_in_no_script(
    cluster, dataset, image, monkeypatch, parcellation, handed
):
    monkeypatch.setenv("FREESURFER_LICENSE", "a\nb")
    script = written(dataset, "--image", str(image), "--parcellation", parcellation)
    assert "a\nb" not in script
    submitted()
    environment = cluster.apptainer.runs[0].environment
    assert environment.get("APPTAINERENV_FREESURFER_LICENSE") == handed
    assert environment.get("SINGULARITYENV_FREESURFER_LICENSE") == handed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--image", "none.sif"], "--image none.sif: not a file"),
        (["--program", "none"], "--program none: not a file"),
        (["--image", "a", "--program", "b"], "not allowed with"),
        (["--participants-per-task", "0"], "--participants-per-task"),
        (["--max-concurrent", "0"], "--max-concurrent"),
        (["--sbatch=--a\nrm -rf"], "expected a single line"),
        (["--threshold", "3"], "--threshold 3.0"),
        (["--device", "gpu"], "--device gpu"),
        (["--mem", "much"], "much"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_before_it_is_submitted(
    cluster, dataset, capsys, words, said
):
    assert main(["slurm", str(dataset), "out", "participant", *words]) == 2
    assert said in capsys.readouterr().err
    assert not Path("cmb_bidsapp.sbatch").exists()


def test_names_that_apptainer_cannot_mount_are_refused(cluster, image, tmp_path, capsys):
    dataset = build_dataset(tmp_path / "a:b", {"sub-01_T2starw": {}})
    words = ["slurm", str(dataset), "out", "participant"]
    assert main([*words, "--image", str(image)]) == 2
    assert "a:b" in capsys.readouterr().err
    assert main(words) == 0


def test_the_group_level_alone_needs_no_array(cluster, dataset, capsys):
    assert main(["slurm", str(dataset), "out", "group"]) == 2
    assert "the participant level is missing" in capsys.readouterr().err


def test_a_dataset_with_nothing_to_process_makes_no_script(cluster, tmp_path):
    dataset = build_dataset(tmp_path / "bids", {"sub-01_T1w": {}})
    assert main(["slurm", str(dataset), "out", "participant"]) == 66
    assert not Path("cmb_bidsapp.sbatch").exists()


def test_writing_the_script_touches_nothing_else(cluster, dataset, tmp_path):
    before = tree(tmp_path)
    assert main(["slurm", str(dataset), "out", "participant", "--script", "run.sbatch"]) == 0
    after = tree(tmp_path)
    assert set(after) - set(before) == {"run.sbatch"}
    assert {path: after[path] for path in before} == before


def test_the_script_says_what_it_does(cluster, dataset):
    script = written(dataset, "--participants-per-task", "2")
    assert "5 participants in 3 tasks, then the group level" in script
    assert subprocess.run(["bash", "-n", "cmb_bidsapp.sbatch"]).returncode == 0
    wrong = subprocess.run(["bash", "cmb_bidsapp.sbatch", "all"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "unknown argument" in wrong.stderr


@pytest.mark.skipif(
    shutil.which("sbatch") is None
    or subprocess.run(["sinfo"], capture_output=True, check=False).returncode != 0,
    reason="no Slurm that runs: sbatch and sinfo (SLURM_CONF)",
)
def test_slurm_itself_runs_the_tasks_and_then_the_group_level(tmp_path, monkeypatch):
    path = os.environ["PATH"]
    cluster = Cluster(tmp_path / "cluster")
    monkeypatch.chdir(tmp_path)
    labels = ("01", "02", "bad")
    dataset = build_dataset(tmp_path / "bids", {f"sub-{label}_T2starw": {} for label in labels})
    words = ("--program", str(cluster.program), "--nprocs", "1", "--mem", "100", "--time", "5")
    written(dataset, *words)
    monkeypatch.setenv("PATH", path)
    jobs = re.findall(r"^job (\d+)", submitted(), re.MULTILINE)
    for _ in range(120):
        command = ["squeue", "--noheader", "--jobs", ",".join(jobs)]
        if not subprocess.run(command, capture_output=True, text=True, check=False).stdout:
            break
        time.sleep(1)
    *tasks, group = (run.argv for run in cluster.app.runs)
    assert sorted(option(task, "--participant-label") for task in tasks) == list(labels)
    assert group[2] == "group", "after all tasks, one of which failed"
