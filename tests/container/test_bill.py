"""The bill of materials of an image."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "container" / "bill_of_materials.py"


@pytest.fixture
def script(tmp_path):
    """The script, as it lies in an image: it writes beside itself."""
    path = Path(shutil.copy(SCRIPT, tmp_path))
    spec = importlib.util.spec_from_file_location("bill_of_materials", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_python_package_has_a_license_and_the_file_it_is_in(script):
    parts = list(script.python_packages())
    assert {"numpy", "torch", "nibabel"} <= {part.name for part in parts}
    assert [part.name for part in parts if not Path(part.text).exists()] == []
    assert [part.name for part in parts if not part.license or "\n" in part.license] == []


def test_models_are_listed_with_what_their_cards_say(script, tmp_path):
    card = tmp_path / "models" / "lesions" / "model.json"
    card.parent.mkdir(parents=True)
    card.write_text(json.dumps({"name": "lesions", "version": "4", "license": "Apache-2.0"}))
    assert list(script.models(tmp_path)) == [("model", "lesions", "4", "Apache-2.0", str(card))]


def test_scanners_get_addresses_and_people_a_table(script, tmp_path, monkeypatch):
    monkeypatch.setattr(
        script,
        "debian_packages",
        lambda: iter([script.Part("debian", "tcsh", "6.24", "see text", "/x")]),
    )
    monkeypatch.setattr("sys.argv", ["x", "FreeSurfer=freesurfer/freesurfer@sha256:0"])
    script.main()
    document = json.loads((tmp_path / "sbom.cdx.json").read_text())
    assert document["bomFormat"] == "CycloneDX"
    addresses = {part.get("purl") for part in document["components"]}
    assert "pkg:deb/debian/tcsh@6.24" in addresses
    assert any(str(address).startswith("pkg:pypi/numpy@") for address in addresses)
    rows = [line.split("\t") for line in (tmp_path / "licenses.tsv").read_text().splitlines()]
    assert rows[0] == ["kind", "name", "version", "license", "text"]
    assert len(rows) == len(document["components"]) + 1
    (program,) = [row for row in rows if row[0] == "program"]
    assert program[1:4] == ["FreeSurfer", "freesurfer/freesurfer@sha256:0", "LicenseRef-FreeSurfer"]
