import json

import pytest

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.dataset import prepare_dataset
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
