"""Which file of a session holds its lesions, and the numbers of one session."""

import numpy as np
import pytest

from cmb_bidsapp.bids.outputs import sidecar_of, write_json
from cmb_bidsapp.evaluation.results import AFTER, BEFORE
from cmb_bidsapp.evaluation.session import RADII, evaluate_session, find_sessions
from tests.evaluation.folders import COLUMNS, blobs, grown, write_prediction, write_reference


def touched(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def chosen(root, **options):
    found, left_out = find_sessions(root, **options)
    return {label: given.path.name for label, given in found.items()}, left_out


OURS = "sub-01_space-T2starw_label-CMB_mask.nii.gz"


def test_tables_of_a_participant_with_several_sessions_are_no_predictions(tmp_path):
    session = "sub-01_ses-1_space-T2starw_label-CMB_mask.nii.gz"
    tables = [f"sub-01_label-CMB_{what}.tsv" for what in ("changes", "tracks")]
    tables.append("sub-01_rater-AB_ratings.tsv")
    assert chosen(touched(tmp_path, session, *tables)) == ({"sub-01_ses-1": session}, [])


@pytest.mark.parametrize(
    ("names", "file"),
    [
        ([OURS, "sub-01_cmb_pred.nii.gz", "sub-01_desc-preproc_T2starw.nii.gz"], OURS),
        (["sub-01_T2starw.nii.gz", "sub-01_seg.nii.gz"], "sub-01_seg.nii.gz"),
        (["sub-01_seg.nii.gz", "sub-01_microbleeds.nii.gz"], "sub-01_microbleeds.nii.gz"),
        (["sub-01_CMB.nii.gz", "sub-01_CMB_mask.nii.gz"], "sub-01_CMB_mask.nii.gz"),
        (["sub-01_cmb.tsv", "sub-01_cmb.json"], "sub-01_cmb.tsv"),
    ],
)
def test_of_several_files_the_one_whose_name_says_it_is_taken(tmp_path, names, file):
    found, left_out = chosen(touched(tmp_path, *names))
    assert (found, left_out) == ({"sub-01": file}, [])


def test_two_that_may_be_it_are_none_and_it_is_said(tmp_path):
    found, (told,) = chosen(touched(tmp_path, "sub-01_a.nii.gz", "sub-01_b.nii.gz"))
    assert found == {}
    assert "sub-01: expected one file with lesions, found 2" in told
    assert chosen(tmp_path, pattern="*_a.nii.gz")[0] == {"sub-01": "sub-01_a.nii.gz"}


def test_labels_are_in_the_name_or_in_the_folders(tmp_path):
    touched(tmp_path, "sub-01/ses-A/mask.nii.gz", "x/sub-02_ses-B_mask.nii.gz", "mask.nii.gz")
    assert set(chosen(tmp_path)[0]) == {"sub-01_ses-A", "sub-02_ses-B"}


def test_logs_figures_and_sourcedata_are_not_looked_at(tmp_path):
    touched(tmp_path, "logs/sub-01_mask.nii.gz", "sub-01/figures/sub-01_cmb.nii.gz")
    touched(tmp_path, "sourcedata/sub-01_mask.nii.gz")
    assert chosen(tmp_path) == ({}, [])


@pytest.fixture
def pair(tmp_path):
    lesions = blobs((3, 3, 1), (10, 10, 2))
    brain = grown(grown(lesions > 0))
    reference = write_reference(tmp_path / "truth", "01", instances=lesions)
    predicted = write_prediction(
        tmp_path / "found", "01", instances=lesions, rejected=[2], network=brain.astype(np.uint8)
    )
    return predicted, reference


def test_stages_are_before_and_after_cfpr(pair):
    result = evaluate_session(*pair)
    counts = {stage: (one.counts.tp, one.counts.fn) for stage, one in result.stages.items()}
    assert counts == {BEFORE: (2, 0), AFTER: (1, 1)}
    assert result.voxel_mm3 == pytest.approx(5)
    assert next(iter(result.froc.values())).tp == 2


def test_radii_start_from_all_candidates_and_go_by_the_ratio_of_the_run(pair):
    predicted, reference = pair
    found = evaluate_session(predicted, reference).radii
    assert set(found) == set(RADII)
    assert found[0.0].counts.tp == found[1.0].counts.tp == 2
    assert found[5.0].counts.tp < 2
    sidecar = predicted.mask.with_name(predicted.mask.name.replace(".nii.gz", ".json"))
    write_json(sidecar, {"Decisions": {"cfpr_mode": "paper", "cfpr_ratio": 0.0}})
    assert evaluate_session(predicted, reference).radii[5.0].counts.tp == 2


def test_radii_keep_the_other_rules_of_the_run(tmp_path):
    lesions = blobs((3, 3, 1), (10, 10, 2))
    brain = np.ones(lesions.shape, np.uint8)
    predicted = write_prediction(
        tmp_path / "found", "01", instances=lesions, network=brain,
        columns=(*COLUMNS, "phase_sign"),
        cells={1: {"phase_sign": "diamagnetic"}, 2: {"phase_sign": "undecided"}},
    )  # fmt: skip
    reference = write_reference(tmp_path / "truth", "01", instances=lesions)
    assert evaluate_session(predicted, reference).radii[1.0].counts.tp == 2
    write_json(sidecar_of(predicted.mask), {"Decisions": {"phase_rule": "reject"}})
    assert evaluate_session(predicted, reference).radii[1.0].counts.tp == 1
