"""What the demo says about its own result."""

from cmb_bidsapp.demo import compare_with_truth
from tests.evaluation.folders import blobs, write_prediction, write_reference


def test_every_simulated_session_gets_a_line(tmp_path):
    truth, out_dir = tmp_path / "truth", tmp_path / "out"
    write_reference(truth, "01", "A", instances=blobs((3, 3, 1), (12, 12, 2)))
    write_reference(truth, "01", "B", instances=blobs((3, 3, 1)))
    found = blobs((3, 3, 1), (3, 12, 0), (12, 3, 0))
    write_prediction(out_dir, "01", "A", instances=found, rejected=[3])
    assert compare_with_truth(truth, out_dir) == [
        "sub-01_ses-A: 1 of 2, and 1 elsewhere",
        "sub-01_ses-B: no result",
    ]
