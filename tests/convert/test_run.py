"""The verb convert."""

import numpy as np
import pytest

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.cli import main
from tests.convert.folders import AFFINE, RATED, SHAPE, head, participant, rated, save
from tests.skeletons import tree


def far_off():
    moved = AFFINE.copy()
    moved[0, 3] += 3
    return moved


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ({"without": ("T1",)}, "no file *_T1.nii.gz"),
        ({"without": ("CMB",)}, "no file *_CMB.nii.gz"),
        ({"without": ("T2S", "T1", "CMB")}, "no file *_T2S.nii.gz"),
        ({"T1": (head(1), far_off())}, "desc-masked_T1.nii.gz does not lie on"),
        ({"CMB": (rated(), AFFINE @ np.diag([-1, 1, 1, 1]))}, "CMB.nii.gz does not lie on"),
        ({"CMB": rated()[:-1]}, "has shape (23, 28, 6)"),
        ({"T2S": np.full(SHAPE, np.nan, np.float32)}, "T2S.nii.gz is empty"),
        ({"CMB": np.ones(SHAPE, np.float32)}, "is no mask of microbleeds"),
    ],
)
def test_one_bad_participant_does_not_stop_the_others(valdo, bids_dir, convert, broken, named):
    participant(valdo, "101", **broken)
    participant(valdo, "102")
    code, counts, said = convert()
    assert (code, counts) == (1, (1, 1, 0))
    (line,) = [line for line in said.splitlines() if line.startswith("sub-101: failed")]
    assert named in line
    assert not (bids_dir / "sub-101").exists()
    assert [row["participant_id"] for row in read_table(bids_dir / "participants.tsv")] == [
        "sub-102"
    ]


def test_a_second_run_does_what_the_first_left(valdo, bids_dir, convert):
    participant(valdo, "101", without=("T1",))
    participant(valdo, "102")
    assert convert()[0] == 1
    participant(valdo, "101")
    removed = bids_dir / RATED.format("102", "label-CMB_mask.json")
    assert convert()[:2] == (0, (2, 0, 0))
    before = tree(bids_dir)
    code, counts, said = convert()
    assert (code, counts) == (0, (2, 0, 0))
    assert said.count("already converted") == 2
    assert tree(bids_dir) == before
    removed.unlink()
    assert "sub-102: 2 microbleeds" in convert()[2]
    assert removed.exists()


def test_nothing_of_the_challenge_is_no_input(valdo, bids_dir, convert):
    save(valdo / "sub-01" / "anat" / "sub-01_T1w.nii.gz", head())
    code, _, said = convert()
    assert code == 66
    assert "sub-101_space-T2S_CMB.nii.gz" in said
    assert not bids_dir.exists()


@pytest.mark.parametrize("out", [".", "Task2", "bids"])
def test_the_source_is_not_written_into(valdo, capsys, out):
    participant(valdo)
    before = tree(valdo)
    assert main(["convert", "valdo", str(valdo), str(valdo / out)]) == 2
    assert "VALDO_DIR" in capsys.readouterr().err
    assert tree(valdo) == before


def test_the_source_may_lie_in_the_dataset(bids_dir):
    participant(bids_dir / "sourcedata")
    assert main(["convert", "valdo", str(bids_dir / "sourcedata"), str(bids_dir)]) == 0


def test_a_folder_that_is_not_there_is_a_wrong_command_line(tmp_path, capsys):
    assert main(["convert", "valdo", str(tmp_path / "absent"), str(tmp_path / "out")]) == 2
    assert "not a folder" in capsys.readouterr().err
    assert main(["convert"]) == 2
    assert main(["convert", "valdo", "--help"]) == 0
    assert "usage: cmb_bidsapp convert valdo" in capsys.readouterr().out


def test_the_app_finds_the_scans(valdo, bids_dir, convert, tmp_path, capsys):
    # As large as a head, or it would be taken for a localizer.
    images = {"T1": head(1), "T2": head(2), "T2S": head(3), "CMB": rated()}
    participant(valdo, **{kind: np.tile(data, (8, 8, 4)) for kind, data in images.items()})
    convert()
    assert main([str(bids_dir), str(tmp_path / "out"), "participant", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "sub-101_T2starw.nii.gz" in shown
    assert "sub-101_T1w.nii.gz" in shown
