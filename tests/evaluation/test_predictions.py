"""Predictions of any tool: which file holds a session's lesions, and how it is read."""

import json

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.core.errors import DataError, UsageError
from cmb_bidsapp.evaluation.matching import lesions_of
from cmb_bidsapp.evaluation.methods import Method, parse_methods
from cmb_bidsapp.evaluation.predictions import PredictionFiles, read_prediction
from cmb_bidsapp.evaluation.presets import PRESETS, Rules
from cmb_bidsapp.evaluation.results import AFTER, BEFORE, GIVEN
from cmb_bidsapp.evaluation.session import find_sessions
from cmb_bidsapp.lesions.instances import find_instances
from cmb_bidsapp.preprocess.resampling import Grid
from tests.evaluation.folders import AFFINE, SHAPE, blobs, write_prediction

GRID = Grid(SHAPE, AFFINE)
TWO = blobs((3, 3, 1), (10, 10, 2))


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(root, *pattern):
    sessions, left_out = find_sessions(root, *pattern)
    return {k: str(one.path.relative_to(root)) for k, one in sessions.items()}, left_out


@pytest.mark.parametrize(
    ("names", "label", "chosen"),
    [
        (["sub-01.nii.gz"], "sub-01", 0),
        (["sub-01_ses-A_pred.nii"], "sub-01_ses-A", 0),
        (["sub-01/ses-A/anat/lesions.nii.gz"], "sub-01_ses-A", 0),
        (["sub-101_space-T2S_CMB.nii.gz", "sub-101_space-T2S_T1.nii.gz"], "sub-101", 0),
        (["sub-01_microbleeds.nii.gz", "sub-01_brain_mask.nii.gz"], "sub-01", 0),
        (["sub-01_boxes.nii.gz", "sub-01_boxes.json"], "sub-01", 0),
        (["sub-01_points.tsv", "sub-01_points.json"], "sub-01", 0),
        (["sub-01_boxes.json", "plans.json", "dataset.json"], "sub-01", 0),
        (["sub-01_label-CMB_mask.nii.gz", "sub-01_label-CMB_probseg.nii.gz"], "sub-01", 0),
        (["sub-01_CMB_mask.nii.gz", "sub-01_CMB.nii.gz", "sub-01_CMB.tsv"], "sub-01", 0),
        (["sub-01_CMB.tsv", "sub-01_T2starw.nii.gz", "logs/sub-01.json"], "sub-01", 0),
    ],
)
def test_the_file_with_the_lesions_is_found(tmp_path, names, label, chosen):
    touch(tmp_path, *names)
    assert found(tmp_path) == ({label: names[chosen]}, [])


def test_the_app_s_own_name_comes_first(tmp_path):
    folder = "sub-01/anat/sub-01_space-T2starw_"
    own = f"{folder}label-CMB_mask.nii.gz"
    touch(tmp_path, own, f"{folder}label-CMB_desc-raw_mask.nii.gz", "sub-01_label-CMB_lesions.tsv")
    touch(tmp_path, "sub-01/anat/sub-01_space-MNI152NLin6Asym_res-2_label-CMB_mask.nii.gz")
    assert found(tmp_path) == ({"sub-01": own}, [])


def test_several_files_are_named_and_a_pattern_chooses(tmp_path):
    touch(tmp_path, "fold0/sub-01_pred.nii.gz", "fold1/sub-01_pred.nii.gz")
    sessions, (told,) = found(tmp_path)
    assert sessions == {}
    assert "found 2 (sub-01_pred.nii.gz, sub-01_pred.nii.gz)" in told
    assert found(tmp_path, "fold1/*") == ({"sub-01": "fold1/sub-01_pred.nii.gz"}, [])


def test_a_pattern_may_name_probabilities(tmp_path):
    touch(tmp_path, "sub-01_CMB_mask.nii.gz", "sub-01_CMB_probseg.nii.gz")
    assert found(tmp_path, "*_probseg.nii.gz") == ({"sub-01": "sub-01_CMB_probseg.nii.gz"}, [])


def test_preprocessed_images_alone_are_no_prediction(tmp_path):
    touch(tmp_path, "sub-01_desc-preproc_T2starw.nii.gz", "sub-02_T1w.nii.gz")
    assert found(tmp_path) == ({}, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("out", Method("out", "out")),
        ("runs/best/", Method("best", "runs/best")),
        ("A=runs/best", Method("A", "runs/best")),
        ("A=out/*/x_?.nii.gz", Method("A", "out", "*/x_?.nii.gz")),
        ("A=/abs/[ab]*.json", Method("A", "/abs", "[ab]*.json")),
    ],
)
def test_methods_are_parsed(text, expected):
    method = Method.parse(text)
    found = method.name, str(method.folder), method.pattern
    assert found == (expected.name, expected.folder, expected.pattern)


def test_a_folder_with_an_equals_sign_is_a_folder(tmp_path, monkeypatch):
    (tmp_path / "lr=0.1").mkdir()
    monkeypatch.chdir(tmp_path)
    assert Method.parse("lr=0.1").name == "lr=0.1"


def test_two_methods_of_one_name_are_refused():
    with pytest.raises(UsageError, match="two methods are called out"):
        parse_methods(["a/out", "b/out"])


def given_image(folder, values, name="sub-01_pred.nii.gz", affine=AFFINE):
    folder.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(values, affine), folder / name)
    return PredictionFiles(out_dir=folder, participant="01", session=None, path=folder / name)


def sizes(prediction, stage=GIVEN):
    return [len(lesion.voxels) for lesion in prediction.stages[stage]]


def read(given, **rules):
    return read_prediction(given, GRID, Rules(**rules))


@pytest.mark.parametrize("value", [1, 255])
def test_pieces_of_a_mask_are_lesions(tmp_path, value):
    mask = np.where(TWO > 0, value, 0).astype(np.uint8)
    assert sizes(read(given_image(tmp_path, mask))) == [9, 9]


def test_corners_join_or_do_not(tmp_path):
    touching = (blobs((3, 3, 1), (6, 6, 1)) > 0).astype(np.uint8)
    given = given_image(tmp_path, touching)
    assert sizes(read(given, connectivity=26)) == [18]
    assert sizes(read(given, connectivity=6)) == [9, 9]


def test_numbers_are_lesions_and_take_their_scores_from_beside(tmp_path):
    touching = blobs((3, 3, 1), (6, 6, 1), (12, 12, 3)).astype(np.uint8)
    given = given_image(tmp_path, touching)
    assert sizes(read(given)) == [9, 9, 9]
    scores = {str(n): {"score": n / 4} for n in (1, 2, 3)}
    (tmp_path / "sub-01_pred.json").write_text(json.dumps(scores), encoding="utf-8")
    scored = read(given, min_score=0.4)
    assert [lesion.number for lesion in scored.stages[GIVEN]] == [2, 3]
    assert [len(scored.scored(t)) for t in (0.1, 0.5, 0.7)] == [3, 2, 1]


def test_the_valdo_preset_takes_pieces_whatever_the_numbers(tmp_path):
    touching = blobs((3, 3, 1), (6, 6, 1)).astype(np.uint8)
    assert sizes(read(given_image(tmp_path, touching), preset=PRESETS["valdo"])) == [18]


def test_probabilities_are_cut_at_a_half_and_swept(tmp_path):
    values = np.choose(TWO, [0.0, 0.8, 0.4]).astype(np.float32)
    prediction = read(given_image(tmp_path, values))
    assert sizes(prediction) == [9]
    assert [len(prediction.scored(t)) for t in (0.3, 0.5, 0.8, 0.9)] == [2, 1, 1, 0]


def regions():
    labels = np.ones(SHAPE, np.uint8)
    labels[8:] = 2
    labels[TWO > 0] = 4
    return labels


def test_the_dataset_json_of_nnunet_names_the_class(tmp_path):
    given = given_image(tmp_path, regions())
    classes = {"labels": {"background": 0, "lobar": 1, "deep": 2, "CMB": 4}}
    (tmp_path / "dataset.json").write_text(json.dumps(classes), encoding="utf-8")
    assert sizes(read(given)) == [9, 9]


def test_the_label_table_of_a_dseg_names_the_class(tmp_path):
    given = given_image(tmp_path, regions(), "sub-01_dseg.nii.gz")
    text = "index\tname\n1\tlobar\n4\tcerebral microbleed\n"
    (tmp_path / "sub-01_dseg.tsv").write_text(text, encoding="utf-8")
    assert sizes(read(given)) == [9, 9]


def test_classes_that_nothing_names_are_refused_not_counted(tmp_path):
    thick = np.diag([8.0, 8.0, 8.0, 1.0])
    given = given_image(tmp_path, regions(), affine=thick)
    with pytest.raises(DataError, match="the values are classes"):
        read_prediction(given, Grid(SHAPE, thick), Rules())


def test_values_that_are_neither_labels_nor_probabilities_are_refused(tmp_path):
    values = np.where(TWO > 0, 37.5, 0).astype(np.float32)
    with pytest.raises(DataError, match="fractions above 1"):
        read(given_image(tmp_path, values))


def test_axes_in_another_order_are_turned(tmp_path):
    image = nib.Nifti1Image(TWO.astype(np.uint8), AFFINE)
    turned = image.as_reoriented(nib.orientations.axcodes2ornt("PSL"))
    assert turned.shape != image.shape
    given = given_image(tmp_path, np.asarray(turned.dataobj), affine=turned.affine)
    plain = given_image(tmp_path / "plain", TWO.astype(np.uint8))
    centers = [[one.center for one in read(g).stages[GIVEN]] for g in (given, plain)]
    np.testing.assert_allclose(*centers)


def test_another_grid_is_refused(tmp_path):
    moved = AFFINE.copy()
    moved[0, 3] += 0.5
    with pytest.raises(DataError, match="does not lie on the grid"):
        read(given_image(tmp_path, TWO.astype(np.uint8), affine=moved))


def test_the_app_s_output_has_both_stages(tmp_path):
    files = write_prediction(tmp_path, "01", instances=TWO, rejected=[2])
    for preset in PRESETS.values():
        prediction = read(
            PredictionFiles(out_dir=tmp_path, participant="01", session=None, path=files.mask),
            preset=preset,
        )
        assert sizes(prediction, BEFORE) == [9, 9]
        assert sizes(prediction, AFTER) == [9]
        (kept,) = prediction.stages[AFTER]
        assert (kept.told["status"], kept.place.region) == ("kept", "lobar")


def test_the_app_s_mask_alone_is_a_mask(tmp_path):
    files = write_prediction(tmp_path, "01", instances=TWO)
    files.instances.unlink()
    files.lesions.unlink()
    assert sizes(
        read(PredictionFiles(out_dir=tmp_path, participant="01", session=None, path=files.mask))
    ) == [9, 9]


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.85, 0.95])
def test_the_app_s_output_is_swept_as_the_app_finds_lesions(tmp_path, threshold):
    """One microbleed in two slices, a cluster of two that touch, and one below most thresholds."""
    shape, affine = (24, 24, 6), np.diag([0.8, 0.8, 4.0, 1.0])
    places = [(4, 4, 2), (4, 4, 3), (11, 12, 2), (16, 12, 2), (20, 4, 4)]
    instances = blobs(*places, shape=shape)
    files = write_prediction(tmp_path, "01", instances=instances, affine=affine)
    probability = np.choose(instances, [0, 0.8, 0.75, 0.75, 0.74, 0.4]).astype(np.float32)
    t2star = np.where(instances > 0, 30, 100).astype(np.float32)
    for number, place in enumerate(places):
        probability[place] += 0.1 if number < 4 else 0
        t2star[place] = 20
    probability[13:15, 12, 2] = 0.6
    write_image(files.probability, probability, affine)
    write_image(files.t2star, t2star, affine)
    grid = Grid(shape, affine)
    swept = read_prediction(
        PredictionFiles(out_dir=tmp_path, participant="01", session=None, path=files.mask),
        grid,
        Rules(),
    )
    found = lesions_of(find_instances(probability, t2star, affine, threshold), affine)
    assert [one.center for one in swept.scored(threshold)] == [one.center for one in found]
    assert len(found) == {0.3: 4, 0.5: 3, 0.85: 2, 0.95: 0}[threshold]
