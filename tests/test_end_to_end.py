"""The whole app on a simulated dataset: one good participant and one with a damaged image."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.bids.outputs import sidecar_of
from cmb_bidsapp.bids.stamps import sha256_of
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.cli import main
from cmb_bidsapp.core.defaults import LESION_MODEL
from cmb_bidsapp.models.registry import PACKAGED
from cmb_bidsapp.simulate.anatomy import atlas_head
from cmb_bidsapp.simulate.dataset import SimulatedCohort, simulate_dataset
from cmb_bidsapp.simulate.protocols import PROTOCOLS

SESSION_FILES = {
    "sub-01_T2starw_preproc": "sub-01_desc-preproc_T2starw",
    "brain": "sub-01_space-T2starw_desc-brain_mask",
    "t1w": "sub-01_desc-preproc_T1w",
    "t1w_brain": "sub-01_space-T1w_desc-brain_mask",
    "t1w_on_t2star": "sub-01_space-T2starw_desc-preproc_T1w",
    "parcellation": "sub-01_space-T1w_res-1mm_desc-aparcaseg_dseg",
    "structures": "sub-01_space-T2starw_res-2mm_desc-structures_dseg",
    "proxy": "sub-01_space-T2starw_desc-proxy_dseg",
    "mars": "sub-01_space-T2starw_desc-mars_dseg",
    "classes": "sub-01_space-T2starw_desc-nnunet_dseg",
    "probability": "sub-01_space-T2starw_label-CMB_probseg",
    "raw": "sub-01_space-T2starw_label-CMB_desc-raw_mask",
    "final": "sub-01_space-T2starw_label-CMB_mask",
    "instances": "sub-01_space-T2starw_desc-CMBinstances_dseg",
}
EXPECTED = (
    {f"{name}.nii.gz" for name in SESSION_FILES.values()}
    | {f"{name}.json" for name in SESSION_FILES.values()}
    | {
        f"{SESSION_FILES[name]}.tsv"
        for name in ("parcellation", "structures", "proxy", "mars", "classes")
    }
    | {
        f"sub-01_label-CMB_{table}.{end}"
        for table in ("lesions", "mars", "summary")
        for end in ("tsv", "json")
    }
    | {f"sub-01_desc-anatomy_qc.{end}" for end in ("tsv", "json")}
    | {
        "sub-01_from-T1w_to-T2starw_mode-image_xfm.txt",
        "sub-01_from-T2starw_to-MNI152NLin6Asym_mode-image_xfm.nii.gz",
        "sub-01_from-MNI152NLin6Asym_to-T2starw_mode-image_xfm.nii.gz",
    }
)


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(p.relative_to(folder)): (p.stat().st_size, p.stat().st_mtime_ns)
        for p in folder.rglob("*")
        if p.is_file() and "logs" not in p.parts
    }


#: With several threads ANTs ends a registration a little elsewhere in each run.
ONE_THREAD = ("--omp-nthreads", "1")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bids")
    protocol = PROTOCOLS["gre3t3mm"]
    simulate_dataset(
        SimulatedCohort(
            heads=[atlas_head()], participants=1, protocols=[protocol], microbleeds=(8, 8), seed=3
        ),
        folder,
    )
    broken = folder / "sub-02" / "anat"
    broken.mkdir(parents=True)
    for suffix in ("T1w", "T2starw"):
        source = folder / "sub-01" / "anat" / f"sub-01_{suffix}.nii.gz"
        shutil.copy(source, broken / f"sub-02_{suffix}.nii.gz")
    image = broken / "sub-02_T2starw.nii.gz"
    image.write_bytes(image.read_bytes()[:20_000])
    return folder


def offline_python(folder: Path) -> str:
    """Python in a network of its own with nobody in it, where that may be made."""
    ways = (["unshare", "-n"], ["unshare", "-rn"], [])
    way = next(one for one in ways if not one or works([*one, "true"]))
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nexec {" ".join(way)} "{sys.executable}" "$@"\n')
    script.chmod(0o755)
    return str(script)


def works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def result(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, dict]:
    before = snapshot(dataset)
    out_dir = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", offline_python(tmp_path_factory.mktemp("bin")))
        code = main([str(dataset), str(out_dir), "participant", "group", *ONE_THREAD])
    assert snapshot(dataset) == before, "something was written into BIDS_DIR"
    return out_dir, code, before


def test_a_damaged_participant_fails_alone_and_is_named(result: tuple[Path, int, dict]) -> None:
    out_dir, code, _ = result
    assert code == 1
    status = {row["participant_id"]: row for row in read_table(out_dir / "logs" / "status.tsv")}
    assert status["sub-01"]["status"] == "ok"
    assert status["sub-02"]["status"] == "failed"
    assert status["sub-02"]["exit_code"] == "65"
    assert "sub-02_T2starw.nii.gz" in status["sub-02"]["message"]
    assert "sub-02_T2starw.nii.gz" in (out_dir / "sub-02.html").read_text()


def test_every_expected_file_is_there_and_no_other(result: tuple[Path, int, dict]) -> None:
    found = {path.name for path in (result[0] / "sub-01" / "anat").iterdir()}
    assert EXPECTED - found == set(), "expected but not found"
    assert found - EXPECTED == set(), "found but not expected"


def test_every_file_is_vouched_for_by_a_stamp(result: tuple[Path, int, dict]) -> None:
    stamps = (result[0] / "logs" / "stamps").glob("sub-01_*.json")
    vouched = {name for path in stamps for name in json.loads(path.read_text())["outputs"]}
    made = {path.relative_to(result[0]).as_posix() for path in result[0].rglob("sub-01*")}
    files = {name for name in made if (result[0] / name).is_file() and "logs" not in name}
    assert len(files) > len(EXPECTED)
    assert files - vouched == set()


def test_every_output_leads_to_its_inputs_its_model_and_their_hashes(
    dataset: Path, result: tuple[Path, int, dict]
) -> None:
    roots = {"": result[0], "raw": dataset}
    # What the page shows in its viewer are copies without sidecars.
    images = [*(result[0] / "sub-01" / "anat").glob("*.nii.gz")]
    for image in images:
        if "_xfm" in image.name:
            continue
        sources = json.loads(sidecar_of(image).read_text())["Sources"]
        assert sources
        for source in sources:
            _, root, path = source.split(":", 2)
            assert (roots[root] / path).is_file(), source
    folder = result[0] / "sub-01" / "anat"
    known = {
        path: state["sha256"]
        for stamp in (result[0] / "logs" / "stamps").glob("sub-01_*.json")
        for path, state in json.loads(stamp.read_text())["inputs"].items()
    }
    raw = [*(dataset / "sub-01").rglob("*.nii.gz")]
    assert {str(path): sha256_of(path) for path in raw}.items() <= known.items()
    made = json.loads((folder / f"{SESSION_FILES['probability']}.json").read_text())
    card = json.loads((PACKAGED / LESION_MODEL / "model.json").read_text())
    assert {*made["ModelSHA256"].split("+")} <= {*card["files"].values()}


def test_outputs_keep_the_grid_of_the_t2star(dataset: Path, result: tuple[Path, int, dict]) -> None:
    raw = nib.load(dataset / "sub-01" / "anat" / "sub-01_T2starw.nii.gz")
    for name in SESSION_FILES.values():
        image = nib.load(result[0] / "sub-01" / "anat" / f"{name}.nii.gz")
        if "space-T2starw" in name and "_res-" not in name:
            assert image.shape == raw.shape
            np.testing.assert_allclose(image.affine, raw.affine, atol=1e-4)
        assert int(image.header["sform_code"]) == int(image.header["qform_code"]) == 1


def test_brain_and_regions_agree_with_the_truth(
    dataset: Path, result: tuple[Path, int, dict]
) -> None:
    truth = dataset / "derivatives" / "truth" / "sub-01" / "anat"
    ours = result[0] / "sub-01" / "anat"

    def dice(name: str, value: int) -> float:
        a, b = (
            np.asarray(nib.load(folder / f"{name}.nii.gz").dataobj) == value
            for folder in (truth, ours)
        )
        return float(2 * (a & b).sum() / (a.sum() + b.sum()))

    assert dice(SESSION_FILES["brain"], 1) > 0.90
    for value, least in ((1, 0.80), (2, 0.60), (3, 0.75)):
        assert dice(SESSION_FILES["proxy"], value) > least


def test_masks_and_table_tell_the_same(result: tuple[Path, int, dict]) -> None:
    folder = result[0] / "sub-01" / "anat"
    rows = read_table(folder / "sub-01_label-CMB_lesions.tsv")
    instances = np.asarray(nib.load(folder / f"{SESSION_FILES['instances']}.nii.gz").dataobj)
    final = np.asarray(nib.load(folder / f"{SESSION_FILES['final']}.nii.gz").dataobj)
    raw = np.asarray(nib.load(folder / f"{SESSION_FILES['raw']}.nii.gz").dataobj)
    kept = [int(row["lesion_id"]) for row in rows if row["status"] == "kept"]
    assert sorted(int(row["lesion_id"]) for row in rows) == list(range(1, int(instances.max()) + 1))
    np.testing.assert_array_equal(final > 0, np.isin(instances, kept))
    np.testing.assert_array_equal(raw > 0, instances > 0)


def test_group_tables_count_the_lesions(result: tuple[Path, int, dict]) -> None:
    out_dir = result[0]
    lesions = read_table(out_dir / "group_lesions.tsv")
    (mars,) = read_table(out_dir / "group_mars.tsv")
    counted = [
        row
        for row in lesions
        if row["status"] == "kept" and row["grade"] in ("definite", "possible")
    ]
    assert mars["participant_id"] == "sub-01"
    assert int(mars["total"]) == len(counted)
    assert int(mars["lobar"]) == sum(row["region"] == "lobar" for row in counted)


@pytest.fixture
def without_logs(result: tuple[Path, int, dict], tmp_path: Path) -> Path:
    out_dir = tmp_path / "out"
    shutil.copytree(result[0], out_dir, ignore=shutil.ignore_patterns("logs"))
    return out_dir


def test_the_logs_hold_nothing_that_the_group_level_needs(
    result: tuple[Path, int, dict], without_logs: Path, tmp_path: Path
) -> None:
    out_dir = without_logs
    for table in out_dir.glob("group*"):
        if table.is_file():
            table.unlink()
    # Who failed is in the logs alone: the code is 1 only where a folder without results is left.
    assert main([str(tmp_path / "absent"), str(out_dir), "group"]) in (0, 1)
    (protocol,) = read_table(out_dir / "group_protocols.tsv")
    assert (protocol["pool"], protocol["sequence"]) == ("GRE", "T2starw")
    assert "n/a" not in (protocol["field_strength"], protocol["echo_time"])
    for table in result[0].glob("group_*.tsv"):
        if table.name not in ("group_problems.tsv", "group_flow.tsv"):
            assert (out_dir / table.name).read_text() == table.read_text(), table.name
    # Who was scanned and failed, they alone tell.
    now, before = (
        {row["step"]: row for row in read_table(folder / "group_flow.tsv")}
        for folder in (out_dir, result[0])
    )
    for step in now.keys() - {"scanned", "no-t2star", "failed"}:
        assert now[step] == before[step]


def test_the_logs_hold_nothing_that_a_report_needs_but_the_time_it_took(
    dataset: Path, without_logs: Path
) -> None:
    page = without_logs / "sub-01.html"
    before = page.read_text()
    page.unlink()
    words = [str(dataset), str(without_logs), "participant", "--reports-only"]
    assert main([*words, "--participant-label", "01"]) == 0
    # The settings are those of the run that writes the page.
    settings = re.compile(r"Settings of the run</summary>.*?</pre>", re.DOTALL)
    expected = re.sub(r"<dt>Time</dt><dd>.*?</dd>", "", before)
    assert expected != before
    assert settings.sub("", page.read_text()) == settings.sub("", expected)


def test_pages_need_nothing_from_elsewhere(result: tuple[Path, int, dict]) -> None:
    for name in ("sub-01.html", "group.html"):
        page = (result[0] / name).read_text()
        assert "http://" not in page
        assert "https://" not in page
        assert "<script src" not in page


def errors_of(folder: Path) -> list[dict]:
    """Errors that the BIDS validator finds."""
    validator = Path(sys.executable).with_name("bids-validator-deno")
    if not validator.exists():
        pytest.skip("bids-validator-deno is not installed")
    done = subprocess.run(
        [str(validator), str(folder), "--json"], capture_output=True, text=True, check=False
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    return [issue for issue in issues if issue["severity"] == "error"]


def test_the_bids_validator_finds_no_error(result: tuple[Path, int, dict]) -> None:
    assert errors_of(result[0]) == []


def test_a_rerun_changes_nothing(
    dataset: Path, result: tuple[Path, int, dict], capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(result[0])
    assert main([str(dataset), str(result[0]), "participant", "--participant-label", "01"]) == 0
    assert snapshot(result[0]) == before
    printed = capsys.readouterr().out
    assert "up to date" in printed
    assert printed.splitlines()[-1] == "CMB-BIDSAPP RESULT ok=1 failed=0 skipped=0 exit=0"


def test_a_changed_decision_runs_the_last_phase_only(
    dataset: Path, result: tuple[Path, int, dict], tmp_path: Path
) -> None:
    out_dir = tmp_path / "out"
    shutil.copytree(result[0], out_dir)
    segmented = out_dir / "sub-01" / "anat" / f"{SESSION_FILES['probability']}.nii.gz"
    written = segmented.stat().st_mtime_ns
    options = ["--participant-label", "sub-01", "--no-cfpr", "--threshold", "0.2"]
    assert main([str(dataset), str(out_dir), "participant", *options]) == 0
    assert segmented.stat().st_mtime_ns == written
    rows = read_table(out_dir / "sub-01" / "anat" / "sub-01_label-CMB_lesions.tsv")
    assert all(row["status"] == "kept" for row in rows)


def test_results_come_in_a_standard_space_where_asked_for(
    dataset: Path, result: tuple[Path, int, dict], tmp_path: Path
) -> None:
    out_dir = tmp_path / "out"
    shutil.copytree(result[0], out_dir)
    options = ["--participant-label", "sub-01", "--output-spaces", "MNI152NLin6Asym"]
    assert main([str(dataset), str(out_dir), "participant", *options]) == 0
    folder = out_dir / "sub-01" / "anat"
    mask = nib.load(folder / "sub-01_space-MNI152NLin6Asym_res-2_label-CMB_mask.nii.gz")
    assert mask.shape == (91, 109, 91)
    rows = read_table(folder / "sub-01_label-CMB_lesions.tsv")
    centers = [[float(row[f"mni_{axis}"]) for axis in "xyz"] for row in rows]
    assert len(centers) > 0
    voxels = np.argwhere(mask.get_fdata() > 0) @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    for row, center in zip(rows, centers, strict=True):
        near = np.linalg.norm(voxels - center, axis=1).min() < float(row["diameter"]) + 2
        assert near == (row["status"] == "kept")
    assert errors_of(out_dir) == []


@pytest.fixture(scope="module")
def subjects(result: tuple[Path, int, dict], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parcellation of the first run, as a FreeSurfer subject."""
    folder = tmp_path_factory.mktemp("subjects")
    own = nib.load(result[0] / "sub-01" / "anat" / f"{SESSION_FILES['parcellation']}.nii.gz")
    (folder / "sub-01" / "mri").mkdir(parents=True)
    labels = np.asarray(own.dataobj).astype(np.int32)
    nib.save(nib.MGHImage(labels, own.affine), folder / "sub-01" / "mri" / "aparc+aseg.mgz")
    return folder


def test_a_freesurfer_subject_is_reused(
    dataset: Path, result: tuple[Path, int, dict], subjects: Path, tmp_path: Path
) -> None:
    out_dir = tmp_path / "out"
    shutil.copytree(result[0], out_dir)
    options = ["--participant-label", "01", "--no-tta", "-d", f"freesurfer={subjects}", *ONE_THREAD]
    assert main([str(dataset), str(out_dir), "participant", *options]) == 0
    ours = out_dir / "sub-01" / "anat"
    sidecar = json.loads((ours / f"{SESSION_FILES['parcellation']}.json").read_text())
    assert sidecar["Parcellation"] == "FreeSurfer"
    for name in ("proxy", "mars"):
        file = f"{SESSION_FILES[name]}.nii.gz"
        one, other = (
            np.asarray(nib.load(folder / file).dataobj)
            for folder in (result[0] / "sub-01" / "anat", ours)
        )
        # MGH headers are rounded: a sample on the border of two voxels may go either way.
        assert (one != other)[one > 0].mean() < 1e-3
    before = snapshot(out_dir)
    assert main([str(dataset), str(out_dir), "participant", *options]) == 0
    assert snapshot(out_dir) == before
    # Another head's parcellation is refused, and nothing is lost.
    path = subjects / "sub-01" / "mri" / "aparc+aseg.mgz"
    image = nib.load(path)
    moved = image.affine.copy()
    moved[:3, 3] += (0, 30, 0)
    nib.save(nib.MGHImage(np.asarray(image.dataobj), moved), path)
    assert main([str(dataset), str(out_dir), "participant", *options]) == 65
    assert snapshot(out_dir).keys() == before.keys()


def test_freesurfer_that_is_not_there_is_missed_at_once(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    options = ["--participant-label", "01", "--parcellation", "freesurfer"]
    assert main([str(dataset), str(tmp_path / "out"), "participant", *options]) == 127
    assert "recon-all" in capsys.readouterr().out
    assert not (tmp_path / "out" / "sub-01" / "anat").exists()
