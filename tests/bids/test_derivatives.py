import json
import threading

import pytest

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.derivatives import SessionFiles, locked, prepare_dataset, raw_uri
from tests.skeletons import tree

#: What Singularity and Apptainer set inside their containers.
VARIABLE = "SINGULARITY_CONTAINER"


@pytest.fixture
def folders(tmp_path):
    bids = tmp_path / "bids"
    bids.mkdir()
    return tmp_path / "out", bids


def description(out_dir):
    return json.loads((out_dir / "dataset_description.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("t2star", "desc-preproc_T2starw.nii.gz"),
        ("t2star_brain", "space-T2starw_desc-brain_mask.nii.gz"),
        ("t1w", "desc-preproc_T1w.nii.gz"),
        ("t1w_brain", "space-T1w_desc-brain_mask.nii.gz"),
        ("t1w_on_t2star", "space-T2starw_desc-preproc_T1w.nii.gz"),
        ("transform", "from-T1w_to-T2starw_mode-image_xfm.txt"),
        ("proxy", "space-T2starw_desc-proxy_dseg.nii.gz"),
        ("network_labels", "space-T2starw_desc-nnunet_dseg.nii.gz"),
        ("probability", "space-T2starw_label-CMB_probseg.nii.gz"),
        ("raw_mask", "space-T2starw_label-CMB_desc-raw_mask.nii.gz"),
        ("mask", "space-T2starw_label-CMB_mask.nii.gz"),
        ("instances", "space-T2starw_desc-CMBinstances_dseg.nii.gz"),
        ("lesions", "label-CMB_lesions.tsv"),
        ("mars_form", "label-CMB_mars.tsv"),
        ("summary", "label-CMB_summary.tsv"),
    ],
)
def test_derivatives_of_a_session(tmp_path, attribute, name):
    plain = getattr(SessionFiles(tmp_path, "01", None), attribute)
    assert plain == tmp_path / "sub-01" / "anat" / f"sub-01_{name}"
    later = getattr(SessionFiles(tmp_path, "01", "B"), attribute)
    assert later == tmp_path / "sub-01" / "ses-B" / "anat" / f"sub-01_ses-B_{name}"


def test_all_derivatives_of_all_sessions_have_names_of_their_own(tmp_path):
    # A label is no path, and what tells of all sessions is the same for each.
    others = {"label", "tracks", "changes"}
    paths = []
    for session in (None, "A", "B"):
        files = SessionFiles(tmp_path, "01", session)
        properties = [k for k, v in vars(SessionFiles).items() if isinstance(v, property)]
        paths += [getattr(files, name) for name in properties if name not in others]
        paths += [files.parcellation(space) for space in ("T1w", "T2starw")]
        paths += [files.stamp("prepare"), files.stamp("finish"), files.figure("a")]
    assert len(set(paths)) == len(paths)


def test_labels_uris_and_other_files(tmp_path):
    files = SessionFiles(tmp_path, "01", "A")
    assert files.label == "sub-01_ses-A"
    assert SessionFiles(tmp_path, "01", None).label == "sub-01"
    assert files.uri(files.mask) == (
        "bids::sub-01/ses-A/anat/sub-01_ses-A_space-T2starw_label-CMB_mask.nii.gz"
    )
    assert files.figure("cmb") == tmp_path / "sub-01/figures/sub-01_ses-A_desc-cmb.webp"
    assert files.stamp("prepare").is_relative_to(tmp_path / "logs")
    assert raw_uri(tmp_path, tmp_path / "sub-01" / "a.nii.gz") == "bids:raw:sub-01/a.nii.gz"


def test_a_new_dataset_describes_itself(folders, monkeypatch):
    monkeypatch.delenv("CMB_BIDSAPP_IMAGE", raising=False)
    out, bids = folders
    prepare_dataset(out, bids)
    found = description(out)
    assert found["DatasetType"] == "derivative"
    assert found["GeneratedBy"] == [{"Name": "cmb_bidsapp", "Version": __version__}]
    assert found["DatasetLinks"] == {"raw": bids.as_uri()}
    assert found["SourceDatasets"] == [{"URL": bids.as_uri()}]
    assert "*.html" in (out / ".bidsignore").read_text().splitlines()
    assert (out / "README.md").read_text().startswith("# ")
    assert list(bids.iterdir()) == []


@pytest.mark.parametrize(("variables", "kind"), [((), "docker"), ((VARIABLE,), "singularity")])
def test_the_container_is_named_where_there_is_one(folders, monkeypatch, variables, kind):
    monkeypatch.delenv(VARIABLE, raising=False)
    for variable in variables:
        monkeypatch.setenv(variable, "/images/cmb.sif")
    monkeypatch.setenv("CMB_BIDSAPP_IMAGE", "lab/cmb:1")
    prepare_dataset(*folders)
    (own,) = description(folders[0])["GeneratedBy"]
    assert own["Container"] == {"Type": kind, "Tag": "lab/cmb:1"}


def test_what_others_wrote_stays(folders):
    out, bids = folders
    out.mkdir()
    others = {
        "Name": "The lab's derivatives",
        "License": "CC0",
        "GeneratedBy": [
            {"Name": "other", "Version": "3"},
            {"Name": "cmb_bidsapp", "Version": "0.0.0"},
        ],
        "DatasetLinks": {"templates": "file:///templates"},
    }
    (out / "dataset_description.json").write_text(json.dumps(others))
    (out / ".bidsignore").write_text("theirs\n")
    (out / "README.md").write_text("theirs")
    prepare_dataset(out, bids)
    found = description(out)
    assert found["Name"] == "The lab's derivatives"
    assert found["License"] == "CC0"
    assert {"Name": "other", "Version": "3"} in found["GeneratedBy"]
    versions = [g["Version"] for g in found["GeneratedBy"] if g["Name"] == "cmb_bidsapp"]
    assert versions == [__version__]
    assert found["DatasetLinks"] == {"templates": "file:///templates", "raw": bids.as_uri()}
    assert (out / "README.md").read_text() == "theirs"
    assert "theirs" in (out / ".bidsignore").read_text().splitlines()


def test_source_datasets_of_others_stay(folders):
    out, bids = folders
    out.mkdir()
    theirs = {"URL": "https://example.org/other", "Version": "2"}
    (out / "dataset_description.json").write_text(json.dumps({"SourceDatasets": [theirs]}))
    prepare_dataset(out, bids)
    assert theirs in description(out)["SourceDatasets"]
    assert {"URL": bids.as_uri()} in description(out)["SourceDatasets"]


def test_preparing_again_rewrites_nothing(folders):
    prepare_dataset(*folders)
    before = tree(folders[0])
    prepare_dataset(*folders)
    assert tree(folders[0]) == before


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    path = tmp_path / "locks" / "a.lock"
    order = []

    def second():
        with locked(path):
            order.append("second")

    with locked(path):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.05)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


def test_a_lock_is_free_again_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path / "a.lock"):
        raise RuntimeError
    with locked(tmp_path / "a.lock"):
        pass
