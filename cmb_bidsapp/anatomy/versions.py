"""Which version of another app made a parcellation, as far as the files around it tell."""

from __future__ import annotations

import logging
from pathlib import Path

from cmb_bidsapp.anatomy.existing import ExistingParcellation
from cmb_bidsapp.bids.text import read_json

LOG = logging.getLogger(__name__)


def with_version(maker: str, found: ExistingParcellation) -> str:
    """Add its version, where the files tell, to the name of who made a parcellation.

    FreeSurfer and FastSurfer leave it with each subject, BIDS derivatives as ``GeneratedBy`` of
    the dataset: ``FastSurfer (2.4.2+1b9423c)``, ``sMRIPrep (fMRIPrep 24.1.1)``.

    Parameters
    ----------
    maker
        Name of the program.
    found
        Its output.
    """
    if found.version_file is not None:
        version = _first_word(found.version_file)
    else:
        version = _generated_by(_dataset_of(found.dseg) / "dataset_description.json")
    return f"{maker} ({version})" if version else maker


def _first_word(path: Path) -> str:
    words = path.read_text(errors="replace").split() if path.is_file() else []
    return words[0] if words else ""


def _dataset_of(image: Path) -> Path:
    """Folder that holds those of the participants, or the image itself."""
    participant = image.name.partition("_")[0]
    folders = (folder.parent for folder in image.parents if folder.name == participant)
    return next(folders, image.parent)


def _generated_by(path: Path) -> str:
    if not path.is_file():
        return ""
    try:
        entries = read_json(path).get("GeneratedBy", [])
        return ", ".join(f"{e['Name']} {e.get('Version', '')}".strip() for e in entries)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        # What made the labels does not change them.
        LOG.warning("%s does not say which software made the dataset: %r", path, error)
        return ""
