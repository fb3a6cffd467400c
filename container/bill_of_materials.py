"""Write what an image is made of, beside this file: sbom.cdx.json (CycloneDX) and licenses.tsv.

Run with the Python of the image, when everything is in it. Arguments: NAME=IMAGE for each program
that was taken from another image.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions, version
from pathlib import Path
from typing import NamedTuple

#: Forms of the addresses by which scanners know a package.
PURL = {"python": "pkg:pypi/{}@{}", "debian": "pkg:deb/debian/{}@{}"}

#: CycloneDX's word for a kind of part.
TYPES = {"model": "machine-learning-model", "program": "application"}


class Part(NamedTuple):
    """A part of the image, and the file or folder that has its license."""

    kind: str
    name: str
    version: str
    license: str
    text: str


def python_packages() -> Iterator[Part]:
    """Packages of the environment this runs in."""
    for package in distributions():
        files = package.files or []
        texts = [f for f in files if f.name.upper().startswith(("LICEN", "COPYING"))]
        # Old installers list files that are not there.
        there = filter(Path.exists, (Path(str(package.locate_file(f))) for f in texts))
        text = next(there, package._path)  # type: ignore[attr-defined]
        yield Part(
            "python", package.metadata["Name"], package.version, license_of(package), str(text)
        )


def license_of(package: Distribution) -> str:
    """License of a Python package, as short as it states it."""
    stated = package.metadata
    # get: what is missing is None with Python's own reader, an error with the importlib_metadata
    # package, which takes its place once anything imports it.
    if expression := stated.get("License-Expression"):
        return str(expression)
    marks = [c for c in stated.get_all("Classifier", []) if c.startswith("License ::")]
    if marks:
        return "; ".join(mark.rpartition(" :: ")[2] for mark in marks)
    # Some have the whole text here; its first line names it.
    return (stated.get("License") or "not stated").strip().splitlines()[0]


def debian_packages() -> Iterator[Part]:
    """Packages of the operating system."""
    form = "--showformat=${source:Package}\\t${Package}\\t${Version}\\n"
    query = ["dpkg-query", "--show", form]
    listed = subprocess.run(query, check=True, capture_output=True, text=True).stdout
    rows = [line.split("\t") for line in listed.splitlines()]
    texts = {source: path for source, name, _ in rows if (path := _copyright(name)).exists()}
    for source, name, installed in rows:
        own = _copyright(name)
        # Some only link to another package of their source, and slim systems drop the link.
        text = own if own.exists() else texts[source]
        yield Part("debian", name, installed, "see text", str(text))


def _copyright(package: str) -> Path:
    return Path("/usr/share/doc", package, "copyright")


def models(package: Path) -> Iterator[Part]:
    """Weights that are packaged with the app."""
    for card in sorted(package.glob("models/*/model.json")):
        stated = json.loads(card.read_text(encoding="utf-8"))
        yield Part("model", stated["name"], stated["version"], stated["license"], str(card))


def bill(parts: list[Part]) -> dict[str, object]:
    """CycloneDX 1.6 document."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "name": "cmb_bidsapp",
                "version": version("cmb-bidsapp"),
            }
        },
        "components": [
            {
                "type": TYPES.get(part.kind, "library"),
                "name": part.name,
                "version": part.version,
                "licenses": [{"license": {"name": part.license}}],
                **({"purl": PURL[part.kind].format(*part[1:3])} if part.kind in PURL else {}),
            }
            for part in parts
        ],
    }


def main() -> None:
    """Write both files."""
    import cmb_bidsapp

    parts = [*python_packages(), *debian_packages(), *models(Path(cmb_bidsapp.__file__).parent)]
    for name, _, image in (argument.partition("=") for argument in sys.argv[1:]):
        parts.append(Part("program", name, image, "LicenseRef-FreeSurfer", "/opt/freesurfer/docs"))
    parts.sort()
    folder = Path(__file__).parent
    text = json.dumps(bill(parts), indent=1) + "\n"
    (folder / "sbom.cdx.json").write_text(text, encoding="utf-8")
    with (folder / "licenses.tsv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, delimiter="\t", lineterminator="\n")
        table.writerows([Part._fields, *parts])
    print(f"{len(parts)} parts")


if __name__ == "__main__":
    main()
