"""Files of the derivative dataset itself: its description, README and .bidsignore."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.locks import dataset_lock, tidied
from cmb_bidsapp.bids.outputs import write_json, write_text
from cmb_bidsapp.bids.text import cause_of, read_json, read_text
from cmb_bidsapp.core.errors import DataError

BIDS_VERSION = "1.10.0"

#: What BIDS has no name for (yet), as other apps ignore it.
IGNORED = """\
*.html
logs/
figures
*_xfm.*
*_lesions.*
*_mars.*
*_summary.*
*_implants.*
*_sensitivity.*
*_tracks.*
*_changes.*
*_qc.*
group_*
status.*
"""

#: Keys of the description to whose values ours are added.
_MERGED = MappingProxyType({"GeneratedBy": list, "SourceDatasets": list, "DatasetLinks": dict})


def prepare_dataset(out_dir: Path, bids_dir: Path) -> None:
    """Create or complete the derivative dataset's own files; what others wrote stays.

    Parameters
    ----------
    out_dir
        The output folder.
    bids_dir
        Root of the raw dataset, which becomes a source dataset.

    Raises
    ------
    DataError
        A file that is there cannot be read, or is not what BIDS says.
    """
    own = ("dataset_description.json", ".bidsignore", "README.md")
    with tidied(dataset_lock(out_dir), out_dir, *own):
        path = out_dir / "dataset_description.json"
        content: dict[str, Any] = {}
        if path.exists():
            try:
                content = read_json(path)
            except ValueError as error:
                raise DataError(f"{path}: {error}; correct it or remove it") from error
            for key, kind in _MERGED.items():
                if not isinstance(content.get(key, kind()), kind):
                    raise DataError(
                        f"{path}: {key} does not have the type that BIDS requires; correct it"
                    )
        merged = {
            "Name": "Cerebral microbleeds (cmb_bidsapp)",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            **content,
            "GeneratedBy": _generated_by(content.get("GeneratedBy", [])),
            "SourceDatasets": _with(
                content.get("SourceDatasets", []), {"URL": bids_dir.resolve().as_uri()}
            ),
            "DatasetLinks": {**content.get("DatasetLinks", {}), "raw": bids_dir.resolve().as_uri()},
        }
        if merged != content:
            write_json(path, merged)
        complete_bidsignore(out_dir)
        if not (out_dir / "README.md").exists():
            write_text(out_dir / "README.md", _README)


def complete_bidsignore(out_dir: Path) -> None:
    """Tell validators what BIDS has no name for; lines of others stay."""
    ignore = out_dir / ".bidsignore"
    try:
        present = read_text(ignore).splitlines() if ignore.exists() else []
    except ValueError as error:
        raise DataError(f"{ignore}: {cause_of(error)}, or remove it") from error
    lacking = [line for line in IGNORED.splitlines() if line not in present]
    if lacking:
        write_text(ignore, "\n".join([*present, *lacking]) + "\n")


def _with(entries: list[Any], own: dict[str, Any]) -> list[Any]:
    return entries if own in entries else [*entries, own]


def _generated_by(others: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    own: dict[str, Any] = {"Name": "cmb_bidsapp", "Version": __version__}
    tag = os.environ.get("CMB_BIDSAPP_IMAGE")
    if tag:
        # Apptainer sets the variable too; BIDS calls both singularity.
        kind = "singularity" if "SINGULARITY_CONTAINER" in os.environ else "docker"
        own["Container"] = {"Type": kind, "Tag": tag}
    named = (entry.get("Name") if isinstance(entry, Mapping) else None for entry in others)
    return [own, *(one for one, name in zip(others, named, strict=True) if name != own["Name"])]


_README = """\
# Cerebral microbleeds

Derivatives of cmb_bidsapp: per session the preprocessed images, the regions, the microbleed masks
and one table of all candidates; per participant one report (`sub-*.html`); `group_*` tables.

The results are an imaging summary, not a diagnosis. See `logs/` for settings and versions.
"""
