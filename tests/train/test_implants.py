"""Training sets with implants, from a folder as the app leaves it."""

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.cli import main
from cmb_bidsapp.train.cases import find_cases

# Slices first in the file, and left is right: as some scanners store them.
AFFINE = np.array([[0, 0, -0.8, 40], [0, 0.8, 0, -30], [3.0, 0, 0, 10], [0, 0, 0, 1]])
SHAPE = (14, 80, 90)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    rng = np.random.default_rng(0)
    for participant in ("01", "02"):
        files = SessionFiles(folder, participant, "A" if participant == "02" else None)
        brain = np.zeros(SHAPE, bool)
        brain[1:-1, 5:-5, 5:-5] = True
        image = (brain * rng.normal(400, 12, SHAPE)).astype(np.float32)
        classes = brain.astype(np.uint8)
        classes[:, 40:] *= 2
        classes[6, 20:23, 20:23] = 4
        probability = np.zeros(SHAPE, np.float32)
        probability[6, 20:23, 20:23] = 0.9
        probability[9, 60:63, 60:63] = 0.6
        sidecar = {"MagneticFieldStrength": 3, "EchoTime": 0.02}
        write_image(files.t2star, image, AFFINE, sidecar)
        write_image(files.network_labels, classes, AFFINE)
        write_image(files.probability, probability, AFFINE)
    labeled = SessionFiles(folder / "masks", "01", None)
    mask = np.zeros(SHAPE, np.uint8)
    mask[6, 20:23, 20:23] = 1
    write_image(labeled.mask, mask, AFFINE)
    return folder


def data(path):
    return np.asarray(nib.load(path).dataobj)


def ras(data):
    return np.asarray(nib.as_closest_canonical(nib.Nifti1Image(data, AFFINE)).dataobj)


FALSE = np.zeros(SHAPE, np.uint8)
FALSE[9, 60:63, 60:63] = 1
REAL = np.zeros(SHAPE, np.uint8)
REAL[6, 20:23, 20:23] = 1


def implant(outputs, folder, *options):
    arguments = ["train", "implants", str(outputs), str(folder), "--microbleeds", "600", "700"]
    return main([*arguments, *options])


def test_every_draw_is_a_case_for_the_training(outputs, tmp_path):
    assert implant(outputs, tmp_path, "--draws", "2") == 0
    cases = find_cases(tmp_path)
    names = ["sub-01_ses-draw0", "sub-01_ses-draw1", "sub-02_ses-Adraw0", "sub-02_ses-Adraw1"]
    assert [case.name for case in cases] == names
    assert not np.array_equal(data(cases[0].t2star), data(cases[1].t2star))
    for case in cases:
        assert data(case.lesions).any()
        assert set(np.unique(data(case.proxy))) == {0, 1, 2}
        table = read_table(case.t2star.with_name(f"{case.name}_label-CMB_lesions.tsv"))
        visible = [row for row in table if row["lesion_id"] != "n/a"]
        assert 0 < len(visible) <= len(table)


def test_without_labels_suspected_places_are_ignored(outputs, tmp_path):
    implant(outputs, tmp_path, "--draws", "1", "--participant-label", "01")
    (case,) = find_cases(tmp_path)
    free = data(case.lesions) == 0
    for place in (REAL, FALSE):
        assert (data(case.ignore) > 0)[(ras(place) > 0) & free].all()
    assert not data(case.mimics).any()


def test_with_labels_they_are_lesions_and_the_rest_is_mimics(outputs, tmp_path):
    implant(outputs, tmp_path, "--draws", "1", "--masks", str(outputs / "masks"))
    (case,) = find_cases(tmp_path)
    assert case.name == "sub-01_ses-draw0", "the other one has no mask"
    lesions, mimics = data(case.lesions) > 0, data(case.mimics) > 0
    assert lesions[ras(REAL) > 0].all()
    assert mimics[(ras(FALSE) > 0) & ~lesions].all()
    assert not mimics[ras(REAL) > 0].any()


def test_an_interrupted_run_goes_on(outputs, tmp_path):
    options = ("--draws", "1", "--participant-label", "02")
    implant(outputs, tmp_path, *options)
    (case,) = find_cases(tmp_path)
    before = case.lesions.stat().st_mtime_ns
    implant(outputs, tmp_path, *options)
    assert case.lesions.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--draws", "0"], "--draws 0"),
        (["--microbleeds", "5", "2"], "--microbleeds 5 2"),
        (["--participant-label", "77"], "sub-77"),
    ],
)
def test_what_cannot_be_is_refused(outputs, tmp_path, capsys, options, said):
    assert implant(outputs, tmp_path, *options) == 2
    assert said in capsys.readouterr().err


def test_a_folder_without_sessions_is_no_input(tmp_path):
    assert implant(tmp_path, tmp_path / "out") == 66
