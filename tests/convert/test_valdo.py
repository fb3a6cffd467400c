import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.cli import main
from tests.convert.folders import AFFINE, SHAPE, head, participant, rated, save
from tests.skeletons import result_of, tree

RAW = "sub-{0}/anat/sub-{0}_{1}"
RATED = "derivatives/valdo/sub-{0}/anat/sub-{0}_space-T2starw_{1}"


@pytest.fixture
def valdo(tmp_path):
    return tmp_path / "valdo"


@pytest.fixture
def bids_dir(tmp_path):
    return tmp_path / "bids"


@pytest.fixture
def convert(valdo, bids_dir, capsys):
    """Run the verb; its code, what it counted, and what it said."""

    def run():
        code = main(["convert", "valdo", str(valdo), str(bids_dir)])
        said = capsys.readouterr()
        assert result_of(said.out)[3] == code
        return code, result_of(said.out)[:3], said.out + said.err

    return run


def image(bids_dir, pattern, label, what):
    return nib.load(bids_dir / pattern.format(label, f"{what}.nii.gz"))


def sidecar(bids_dir, pattern, label, what):
    return json.loads((bids_dir / pattern.format(label, f"{what}.json")).read_text())


def test_a_participant_becomes_images_and_masks(valdo, bids_dir, convert):
    participant(valdo)
    before = tree(valdo)
    code, counts, said = convert()
    assert (code, counts) == (0, (1, 0, 0))
    assert "sub-101: 2 microbleeds" in said
    assert "note" not in said
    assert tree(valdo) == before
    for pattern, what, expected in (
        (RAW, "T2starw", head(3)),
        (RAW, "T1w", head(1)),
        (RATED, "label-CMB_mask", rated()),
    ):
        written = image(bids_dir, pattern, "101", what)
        np.testing.assert_array_equal(written.get_fdata(), expected)
        np.testing.assert_allclose(written.affine, AFFINE, atol=1e-5)
    instances = image(bids_dir, RATED, "101", "desc-CMBinstances_dseg").get_fdata()
    assert sorted(np.unique(instances)) == [0, 1, 2]
    assert not list(bids_dir.rglob("*T2w*"))
    mask = sidecar(bids_dir, RATED, "101", "label-CMB_mask")
    assert mask["Type"] == "Lesion"
    assert mask["SpatialReference"] == "bids:raw:sub-101/anat/sub-101_T2starw.nii.gz"


def test_integers_stay_integers_and_fractions_fractions(valdo, bids_dir, convert):
    participant(valdo, T1=head(1) / 7)
    assert convert()[0] == 0
    assert image(bids_dir, RAW, "101", "T2starw").get_data_dtype() == np.int16
    assert image(bids_dir, RAW, "101", "T1w").get_data_dtype() == np.float32


def test_cohorts_and_their_field_strengths(valdo, bids_dir, convert):
    for label in ("301", "101", "204"):
        participant(valdo, label)
    assert convert()[:2] == (0, (3, 0, 0))
    rows = read_table(bids_dir / "participants.tsv")
    assert rows == [
        {"participant_id": "sub-101", "cohort": "SABRE"},
        {"participant_id": "sub-204", "cohort": "RSS"},
        {"participant_id": "sub-301", "cohort": "ALFA"},
    ]
    columns = json.loads((bids_dir / "participants.json").read_text())
    assert set(columns) == {"participant_id", "cohort"}
    strengths = [
        sidecar(bids_dir, RAW, label, "T2starw")["MagneticFieldStrength"]
        for label in ("101", "204", "301")
    ]
    assert strengths == [3, 1.5, 3]


def test_a_number_of_no_study_states_no_field_strength(valdo, bids_dir, convert):
    participant(valdo, "9")
    assert "no number of a known study" in convert()[2]
    assert "MagneticFieldStrength" not in sidecar(bids_dir, RAW, "9", "T2starw")
    assert read_table(bids_dir / "participants.tsv")[0]["cohort"] == "n/a"


@pytest.mark.parametrize(
    "name",
    [
        "{sub}_space-T2S_{kind}.nii.gz",
        "{sub}_space-T2S{masked}_{kind}.nii",
        "sub{label}_space-T2S{masked}_{kind}.nii.gz",
        "{sub}_{kind}.nii.gz",
        "deeper/still/{sub}_space-T2S{masked}_{kind}.nii.gz",
    ],
)
def test_other_spellings_and_folders_are_found(valdo, bids_dir, convert, name):
    participant(valdo, name=name)
    assert convert()[:2] == (0, (1, 0, 0))
    assert image(bids_dir, RAW, "101", "T1w").shape == SHAPE


def test_other_tasks_and_files_of_the_system_are_left_alone(valdo, convert):
    participant(valdo)
    save(valdo / "Task1" / "sub-101" / "sub-101_space-T1_desc-masked_T1.nii.gz", head(7))
    save(valdo / "Task3" / "sub-500" / "sub-500_space-T1_desc-Rater1_Lacunes.nii.gz", head(7))
    (valdo / "Task2" / "sub-101" / "._sub-101_space-T2S_CMB.nii.gz").write_bytes(b"mac")
    assert convert()[:2] == (0, (1, 0, 0))


def test_values_that_are_not_finite_become_zero_and_are_counted(valdo, bids_dir, convert):
    t1, mask = head(1), rated()
    t1[0, 0, :3], t1[1, 1, 1] = np.nan, np.inf
    mask[0, 0, 0] = np.nan
    participant(valdo, T1=t1, CMB=mask)
    code, _, said = convert()
    assert code == 0
    assert "T1: 4 voxels were not finite" in said
    assert "CMB: 1 voxels were not finite" in said
    written = image(bids_dir, RAW, "101", "T1w").get_fdata()
    assert list(written[0, 0, :3]) == [0, 0, 0]
    assert written[2, 2, 2] == t1[2, 2, 2]
    assert len(sidecar(bids_dir, RAW, "101", "T2starw")["ConversionNotes"]) == 2


def test_small_differences_of_the_headers_give_way_to_the_t2star(valdo, bids_dir, convert):
    moved = AFFINE.copy()
    moved[:3, 3] += [0.1, 0, -1]
    participant(valdo, T1=(head(1), moved), CMB=(rated(), moved))
    code, _, said = convert()
    assert code == 0
    assert "T1: header differed by 0.25 voxels" in said
    assert "CMB: header differed" in said
    for pattern, what in ((RAW, "T1w"), (RATED, "label-CMB_mask")):
        written = image(bids_dir, pattern, "101", what)
        np.testing.assert_allclose(written.affine, AFFINE, atol=1e-5)
        np.testing.assert_allclose(written.header.get_qform(), AFFINE, atol=1e-4)


def test_two_affines_in_one_header_are_noted(valdo, bids_dir, convert):
    paths = participant(valdo)
    twisted = nib.load(paths["T2S"])
    other = AFFINE.copy()
    other[0, 3] += 0.1
    twisted = nib.Nifti1Image(head(3), AFFINE)
    twisted.set_sform(AFFINE, code=1)
    twisted.set_qform(other, code=1)
    nib.save(twisted, paths["T2S"])
    code, _, said = convert()
    assert code == 0
    assert "sform and qform differ" in said
    written = image(bids_dir, RAW, "101", "T2starw")
    np.testing.assert_allclose(written.header.get_qform(), AFFINE, atol=1e-4)


def test_volumes_with_a_fourth_axis_and_scaled_integers_are_read(valdo, bids_dir, convert):
    paths = participant(valdo, T2S=head(3)[..., None])
    scaled = nib.Nifti1Image(rated(255, np.uint8), AFFINE)
    scaled.header.set_slope_inter(1 / 255, 0)
    nib.save(scaled, paths["CMB"])
    code, _, said = convert()
    assert code == 0
    assert "note" not in said
    assert image(bids_dir, RAW, "101", "T2starw").shape == SHAPE
    np.testing.assert_array_equal(
        image(bids_dir, RATED, "101", "label-CMB_mask").get_fdata(), rated()
    )


@pytest.mark.parametrize(
    ("mask", "said_of_it"),
    [(rated(255, np.uint8), "marks with 255"), (rated() * (1 + (head() > 450)), "lesion numbers")],
)
def test_other_values_of_the_mask_are_noted(valdo, bids_dir, convert, mask, said_of_it):
    participant(valdo, CMB=mask)
    code, _, said = convert()
    assert code == 0
    assert said_of_it in said
    np.testing.assert_array_equal(
        image(bids_dir, RATED, "101", "label-CMB_mask").get_fdata(), rated()
    )


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


def test_unreadable_and_unfetched_files_are_named(valdo, convert):
    damaged = participant(valdo, "101")["T2S"]
    damaged.write_bytes(damaged.read_bytes()[:100])
    unfetched = participant(valdo, "102")["T1"]
    unfetched.unlink()
    unfetched.symlink_to(valdo / "annex" / "object")
    code, counts, said = convert()
    # All failed for one reason, whose code it is.
    assert (code, counts) == (65, (0, 2, 0))
    assert f"{damaged} cannot be read" in said
    assert f"{unfetched} is not fetched" in said


def test_two_files_of_one_kind_are_an_error_that_names_both(valdo, convert):
    paths = participant(valdo)
    second = save(valdo / "copy" / "sub-101_T1.nii", head(1))
    code, _, said = convert()
    assert code == 65
    assert str(paths["T1"]) in said
    assert str(second) in said


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


def test_what_somebody_added_to_the_dataset_stays(valdo, bids_dir, convert):
    participant(valdo, "102")
    convert()
    table = bids_dir / "participants.tsv"
    table.write_text("participant_id\tage\tcohort\nsub-102\t70\tSABRE\n")
    (bids_dir / "README.md").write_text("mine")
    participant(valdo, "101")
    convert()
    assert read_table(table) == [
        {"participant_id": "sub-101", "age": "n/a", "cohort": "SABRE"},
        {"participant_id": "sub-102", "age": "70", "cohort": "SABRE"},
    ]
    assert (bids_dir / "README.md").read_text() == "mine"


def test_a_damaged_table_is_bad_data(valdo, bids_dir, convert):
    participant(valdo)
    convert()
    (bids_dir / "participants.tsv").write_text("who\nme\n")
    code, _, said = convert()
    assert code == 65
    assert "participants.tsv: lacks participant_id" in said


def test_nothing_of_the_challenge_is_no_input(valdo, bids_dir, convert):
    save(valdo / "sub-01" / "anat" / "sub-01_T1w.nii.gz", head())
    code, _, said = convert()
    assert code == 66
    assert "sub-101_space-T2S_CMB.nii.gz" in said
    assert not bids_dir.exists()


def test_a_dataset_of_others_is_not_written_into(valdo, bids, capsys):
    participant(valdo)
    before = tree(bids)
    assert main(["convert", "valdo", str(valdo), str(bids)]) == 2
    assert "holds another dataset" in capsys.readouterr().err
    assert tree(bids) == before


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


def test_the_bids_validator_finds_no_error(valdo, bids_dir, convert):
    validator = Path(sys.executable).with_name("bids-validator-deno")
    if not validator.exists():
        pytest.skip("bids-validator-deno is not installed")
    dirty = head(1)
    dirty[0, 0, 0] = np.nan
    for label in ("101", "204", "77"):
        participant(valdo, label, T1=dirty)
    assert convert()[0] == 0
    for folder in (bids_dir, bids_dir / "derivatives" / "valdo"):
        done = subprocess.run(
            [str(validator), str(folder), "--json"], capture_output=True, text=True, check=False
        )
        issues = json.loads(done.stdout)["issues"]["issues"]
        assert [issue for issue in issues if issue["severity"] == "error"] == []
