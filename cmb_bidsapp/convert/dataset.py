"""The converted dataset: raw images, the raters' masks as derivatives, and participants."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.dataset import BIDS_VERSION
from cmb_bidsapp.bids.derivatives import SessionFiles, raw_uri
from cmb_bidsapp.bids.outputs import bids_name, sidecar_of, write_image, write_json, write_text
from cmb_bidsapp.bids.tables import read_table, write_table
from cmb_bidsapp.convert.valdo import COHORTS, ValdoParticipant, cohort_of
from cmb_bidsapp.core.errors import DataError, UsageError

GENERATOR = "cmb_bidsapp convert valdo"
SOURCE = "https://valdo.grand-challenge.org"
PARTICIPANT_COLUMNS: dict[str, dict[str, Any]] = {
    "participant_id": {"Description": "Participant label, as in the challenge"},
    "cohort": {
        "Description": "Study that the participant comes from",
        "Levels": {cohort.name: cohort.description for cohort in COHORTS.values()},
    },
}


@dataclass(frozen=True)
class Outputs:
    """Where the files of the dataset are written."""

    bids_dir: Path

    @property
    def masks_dir(self) -> Path:
        """The derivatives with the raters' masks."""
        return self.bids_dir / "derivatives" / "valdo"

    def raw(self, label: str, suffix: str) -> Path:
        """An image of the raw dataset.

        Parameters
        ----------
        label
            Of the participant, without ``sub-``.
        suffix
            BIDS suffix.
        """
        name = bids_name({"sub": label}, suffix, ".nii.gz")
        return self.bids_dir / f"sub-{label}" / "anat" / name

    def rated(self, label: str) -> SessionFiles:
        """The masks, named as the app names its own."""
        return SessionFiles(self.masks_dir, label, None)

    def are_complete(self, label: str) -> bool:
        """Whether every image of a participant is there with its sidecar."""
        rated = self.rated(label)
        images = (self.raw(label, "T2starw"), self.raw(label, "T1w"), rated.mask, rated.instances)
        return all(path.exists() and sidecar_of(path).exists() for path in images)


def write_participant(participant: ValdoParticipant, outputs: Outputs) -> None:
    """Write images and masks with their sidecars, each complete or not at all.

    Parameters
    ----------
    participant
        Images and instances on one grid.
    outputs
        Where they go.
    """
    cohort = cohort_of(participant.label)
    scanner = dict(cohort.metadata) if cohort else {}
    notes = {"ConversionNotes": list(participant.notes)} if participant.notes else {}
    affine, rated = participant.affine, outputs.rated(participant.label)
    write_image(outputs.raw(participant.label, "T1w"), _compact(participant.t1w), affine, scanner)
    t2star = outputs.raw(participant.label, "T2starw")
    write_image(t2star, _compact(participant.t2star), affine, {**scanner, **notes})
    reference = {"SpatialReference": raw_uri(outputs.bids_dir, t2star)}
    write_image(rated.instances, participant.instances, affine, reference)
    mask = (participant.instances > 0).astype(np.uint8)
    write_image(rated.mask, mask, affine, {**reference, "Type": "Lesion", "Manual": True})


def _compact(values: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """The same values as 16-bit integers where they are such."""
    bounds = np.iinfo(np.int16)
    fits = values.min() >= bounds.min and values.max() <= bounds.max
    return values.astype(np.int16) if fits and (values == np.round(values)).all() else values


def describe_datasets(outputs: Outputs) -> None:
    """Describe the raw dataset and the masks; descriptions that are there stay.

    Raises
    ------
    UsageError
        The folder is a dataset already, and not one of this conversion.
    """
    description = outputs.bids_dir / "dataset_description.json"
    if description.exists() and not _is_own(description):
        raise UsageError(
            f"BIDS_DIR {outputs.bids_dir} contains another dataset; choose another folder"
        )
    common = {
        "BIDSVersion": BIDS_VERSION,
        "GeneratedBy": [{"Name": GENERATOR, "Version": __version__}],
        "SourceDatasets": [{"URL": SOURCE}],
        "ReferencesAndLinks": ["https://doi.org/10.1016/j.media.2023.103029"],
    }
    raw = {"Name": "VALDO 2021 Task 2: microbleeds", "DatasetType": "raw"}
    rated = {
        "Name": "VALDO 2021 Task 2: rated masks",
        "DatasetType": "derivative",
        "DatasetLinks": {"raw": "../.."},
    }
    for folder, own, content in (
        (outputs.bids_dir, raw, "T2*w and T1w images, the T1w on the grid of the T2*w."),
        (outputs.masks_dir, rated, "Masks of microbleeds, as rated."),
    ):
        if not (folder / "dataset_description.json").exists():
            write_text(folder / "README.md", _readme(content))
            write_json(folder / "dataset_description.json", {**own, **common})


def _is_own(description: Path) -> bool:
    try:
        content = json.loads(description.read_text(encoding="utf-8"))
        return any(entry["Name"] == GENERATOR for entry in content["GeneratedBy"])
    except (ValueError, LookupError, TypeError):
        return False


def _readme(content: str) -> str:
    return (
        f"# VALDO 2021, Task 2\n\n{content}\n\nConverted from the data of the challenge ({SOURCE}) "
        f"by `{GENERATOR}`, version {__version__}. The terms of the challenge also apply to "
        "these files. Cite its article (see dataset_description.json).\n"
    )


def list_participants(outputs: Outputs, labels: Sequence[str]) -> None:
    """Add participants to ``participants.tsv``; rows and columns that are there stay.

    Parameters
    ----------
    outputs
        Where the dataset lies.
    labels
        Of the participants, without ``sub-``.

    Raises
    ------
    DataError
        The table that is there cannot be read.
    """
    path = outputs.bids_dir / "participants.tsv"
    try:
        rows = read_table(path, ("participant_id",)) if path.exists() else []
    except ValueError as error:
        raise DataError(f"{path}: {error}; correct or remove it") from error
    columns = list(rows[0]) if rows else list(PARTICIPANT_COLUMNS)
    known = {row["participant_id"] for row in rows}
    for label in labels:
        if f"sub-{label}" not in known:
            cohort = cohort_of(label)
            rows.append(
                {"participant_id": f"sub-{label}", "cohort": cohort.name if cohort else "n/a"}
            )
    if len(rows) > len(known):
        rows.sort(key=lambda row: row["participant_id"])
        write_table(path, columns, rows)
    if rows and not sidecar_of(path).exists():
        write_json(sidecar_of(path), PARTICIPANT_COLUMNS)
