"""The verb, on a small finished session and a model of a few weights."""

import shutil

import numpy as np
import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.cli import main
from cmb_bidsapp.core.decisions import Decisions
from cmb_bidsapp.models.registry import load_lesion_model
from tests.models.toys import toy_bundle
from tests.sensitivity.scans import AFFINE, SHAPE, plain_scan
from tests.skeletons import result_of, tree

DECISIONS = {
    "threshold": 0.5, "cfpr": True, "cfpr_mode": "paper", "cfpr_radius": 2.0, "cfpr_ratio": 0.5,
    "min_size": 2.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return toy_bundle(tmp_path_factory.mktemp("toy") / "bundle")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, bundle):
    folder = tmp_path_factory.mktemp("out")
    files, scan = SessionFiles(folder, "01", "A"), plain_scan()
    model = load_lesion_model(str(bundle))
    made = {"Model": model.name, "ModelSHA256": model.sha256, "Mirrored": False}
    nothing = np.zeros(SHAPE, np.uint8)
    acquired = {"MagneticFieldStrength": 3, "EchoTime": 0.02}
    write_image(files.t2star, scan.t2star, AFFINE, acquired)
    write_image(files.structures, scan.regions, AFFINE, {})
    write_image(files.proxy, scan.regions, AFFINE, {})
    write_image(files.probability, nothing.astype(np.float32), AFFINE, made)
    write_image(files.raw_mask, nothing, AFFINE, {})
    write_image(files.mask, nothing, AFFINE, {"Decisions": DECISIONS})
    return folder


@pytest.fixture
def out(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


def measure(out, *options):
    return main(["sensitivity", str(out), "--draws", "1", "--nprocs", "1", *map(str, options)])


def test_decisions_of_a_run_are_all_that_is_needed():
    # Microbleeds are drawn into the magnitude: the rule of the phase has nothing to say of them.
    assert set(vars(Decisions())) - {"phase_rule"} == set(DECISIONS)


def test_a_session_is_measured_nothing_else_changes_and_a_rerun_does_nothing(out, bundle, capsys):
    before = tree(out)
    assert measure(out, "--model", bundle) == 0
    said = capsys.readouterr().out
    assert result_of(said) == (1, 0, 0, 0)
    files = SessionFiles(out, "01", "A")
    rows = read_table(files.implants)
    assert len(rows) >= 10
    assert {"true", "false"} >= {row["found"] for row in rows}
    shares = read_table(files.sensitivity)
    below = sum(float(row["apparent_diameter"]) < 10 for row in rows)
    assert shares[0]["implants"] == str(below)
    assert (out / "group_sensitivity.tsv").exists()
    assert "sub-01_ses-A: " in said
    assert "*_implants.*" in (out / ".bidsignore").read_text().splitlines()
    after = tree(out)
    assert {name: after[name] for name in before if "." in name} == {
        name: time for name, time in before.items() if "." in name
    }
    assert measure(out, "--model", bundle) == 0
    assert "up to date: 1 sensitivity measurement" in capsys.readouterr().out
    again = tree(out)
    for path in (files.implants, files.sensitivity):
        name = str(path.relative_to(out))
        assert again[name] == after[name]


def test_a_model_that_did_not_make_the_results_is_refused(out, bundle, capsys):
    assert measure(out, "--model", "lesions") == 65
    assert "made by" in capsys.readouterr().out
    assert not SessionFiles(out, "01", "A").sensitivity.exists()


def test_a_model_that_is_not_packaged_has_to_be_named(out, capsys):
    assert measure(out) == 65
    assert "--model" in capsys.readouterr().err


def test_a_folder_without_finished_sessions_is_no_input(tmp_path, capsys):
    assert measure(tmp_path) == 66
    assert "participant level" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--draws", "0"], "--draws 0"),
        (["--nprocs", "0"], "--nprocs 0"),
        (["--random-seed", "-1"], "--random-seed -1"),
        (["--participant-label", "77"], "sub-77"),
    ],
)
def test_what_cannot_be_is_refused(out, capsys, options, said):
    assert measure(out, *options) == 2
    assert said in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_refused(tmp_path, capsys):
    assert measure(tmp_path / "none") == 2
    assert "not a folder" in capsys.readouterr().err
