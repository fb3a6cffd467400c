"""What is there: the images of a participant, each with what name, header and sidecar tell."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes

from cmb_bidsapp.bids.geometry import volume_shape
from cmb_bidsapp.bids.images import UNREADABLE, load_header
from cmb_bidsapp.bids.kinds import MAGNITUDE, is_signed, kind_of
from cmb_bidsapp.bids.names import is_label, parse_name
from cmb_bidsapp.bids.scans import Rejected, Scan
from cmb_bidsapp.bids.sidecars import Sidecars
from cmb_bidsapp.core.errors import DataError

#: Data types that never hold what is looked for.
OTHER_DATATYPES = re.compile("func|dwi|fmap|perf|eeg|meg|ieeg|pet|micr|nirs|motion|beh|mrs")
#: Names of images; those that are no .nii or .nii.gz are told, and never read.
IMAGES = re.compile(
    r".+\.((nii|img|mnc)(\.(gz|bz2|xz|zst|zip))?|mg[hz]|nrrd|nhdr|mha|dcm)", re.IGNORECASE
)
#: An image that shows less (mm) in any direction is a localizer or was aborted.
LEAST_SHOWN_MM = 20.0
#: Below this (mm) an image shows a part of the head; told where it is used.
PART_SHOWN_MM = 75.0


def participants_in(bids_dir: Path) -> tuple[str, ...]:
    """Labels of the participant folders of a dataset, links that lead nowhere included, sorted."""
    # Tens of thousands are listed without asking the disk for each.
    with os.scandir(bids_dir) as entries:
        found = [
            entry.name.removeprefix("sub-")
            for entry in entries
            if entry.name.startswith("sub-")
            and (entry.is_dir(follow_symlinks=False) or _is_folder(Path(entry.path)))
        ]
    return tuple(sorted(found))


def scans_of(
    bids_dir: Path, participant: str, suffixes: Collection[str], sidecars: Sidecars
) -> tuple[list[Scan], list[Rejected]]:
    """Images of a participant that have one of the suffixes, in capitals or not.

    They lie in ``sub-<label>/[ses-<label>/]<datatype>``; every one of these folders may be a link.

    Parameters
    ----------
    bids_dir
        The raw dataset.
    participant
        Label without ``sub-``.
    suffixes
        BIDS suffixes.
    sidecars
        Gives the metadata of an image.

    Returns
    -------
    scans, failed
        Images; and folders that cannot be read, are links to nothing, or hold images under a label
        that BIDS does not allow.
    """
    folder = bids_dir / f"sub-{participant}"
    scans: list[Scan] = []
    failed: list[Rejected] = []
    alike = {suffix.lower() for suffix in suffixes}
    for place in (folder, *sorted(p for p in folder.glob("ses-*") if _is_folder(p))):
        own = place.relative_to(bids_dir)
        label = None if place == folder else place.name.removeprefix("ses-")
        try:
            images = [
                path
                for path in _images(place)
                if parse_name(path.name).get("suffix", "").lower() in alike
            ]
        except OSError as error:
            failed.append(
                Rejected(own, f"{printable(str(error.filename or place))}: {error.strerror}")
            )
            continue
        bad = [part for part in (participant, label) if part is not None and not is_label(part)]
        if bad and images:
            why = f'"{printable(bad[0])}" is no BIDS label: rename it with letters and digits only'
            failed.append(Rejected(own, why))
            continue
        # Tables and reports are UTF-8 and could not name such a file.
        odd = [path for path in images if printable(path.name) != path.name]
        failed += [Rejected(own, f"{printable(path.name)}: the name is not UTF-8") for path in odd]
        scans += [read_scan(p, participant, label, sidecars) for p in images if p not in odd]
    return scans, failed


def printable(text: str) -> str:
    """Text of a file name that can be printed, whatever its bytes."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _is_folder(path: Path) -> bool:
    # A link to nothing is a folder that is not there now, and is told.
    return path.is_dir() or (path.is_symlink() and not path.exists())


def _images(place: Path) -> Iterator[Path]:
    """Image files of a participant's or session's own folder and of its data types."""
    inside = sorted(place.iterdir())
    datatypes = [
        p
        for p in inside
        if _is_folder(p)
        and not p.name.startswith(("ses-", "."))
        and not OTHER_DATATYPES.fullmatch(p.name)
    ]
    for path in (*inside, *(path for folder in datatypes for path in sorted(folder.iterdir()))):
        # A folder with such a name, or an image that is not fetched, is told by its reader.
        if IMAGES.fullmatch(path.name) and not path.name.startswith("."):
            yield path


def read_scan(path: Path, participant: str, session: str | None, sidecars: Sidecars) -> Scan:
    """What there is to know of an image without reading all of it.

    Parameters
    ----------
    path
        Image of the dataset; one that is not NIfTI by its name becomes a problem of the scan.
    participant, session
        Labels of the folders that hold it; its name must say the same.
    sidecars
        Reader of the metadata of the dataset.
    """
    named = parse_name(path.name)
    entities = {**named, "subject": participant, "datatype": path.parent.name}
    if session is not None:
        entities["session"] = session
    metadata, notes = sidecars.of(path)
    facts: dict[str, Any] = {"voxel_mm3": float("inf")}
    problem = _other_owner(path, named, participant, session)
    kind = kind_of(entities, metadata)
    try:
        if not path.name.endswith((".nii", ".nii.gz")):
            raise DataError(f"{path} is no .nii or .nii.gz by its name; convert or rename it")
        image, unusual = load_header(path)
    except DataError as error:
        problem = problem or str(error)
    except OSError as error:
        problem = problem or f"{path} cannot be read ({error.strerror or error})"
    else:
        sides = voxel_sizes(image.affine)
        facts = {
            "voxel_mm3": float(np.prod(sides)),
            "shown_mm": float((sides * volume_shape(image)).min()),
        }
        notes = (*notes, *unusual)
        if kind is None and _looks_signed(image):
            kind = "no magnitude", "it has positive and negative values, like a phase image"
        elif kind and image.get_data_dtype().kind == "c" and "part" not in named:
            kind = None  # The magnitude can be made of it.
    unfit = f"{kind[0]} ({kind[1]})" if kind and kind[0] != MAGNITUDE else None
    thin = facts.get("shown_mm", LEAST_SHOWN_MM)
    if thin < LEAST_SHOWN_MM:
        unfit = (
            unfit or f"covers only {thin:.0f} mm of the head, like a localizer or an aborted scan"
        )
    return Scan(
        path=path,
        entities=entities,
        metadata=metadata,
        **facts,
        notes=notes,
        problem=problem,
        unfit=unfit,
    )


def _other_owner(
    path: Path, named: Mapping[str, str], participant: str, session: str | None
) -> str | None:
    """Why it is not clear whose an image is, if so."""
    in_folders = [f"sub-{participant}", *([] if session is None else [f"ses-{session}"])]
    in_name = _owners(path.name)
    says = (named.get("subject"), named.get("session"))
    if says != (participant, session) or {*in_name} != {*in_folders}:
        return (
            f"{path}: its name says {' '.join(in_name) or 'nobody'}, its folders say "
            f"{' '.join(in_folders)}; find out whose it is, and rename or move it"
        )
    if not path.is_symlink():
        return None
    # Links to what lies elsewhere may give it another label; within a dataset a label is a person.
    target = Path(os.path.realpath(path))
    root = next(one.parent for one in path.parents if one.name == in_folders[0])
    other = [one for one in _owners(target.name) if one[:4] == "sub-" and one != in_folders[0]]
    if other and Path(os.path.realpath(root)) in target.parents:
        return f"{path} is a link to an image of {other[0]}; find out whose it is"
    return None


def _owners(name: str) -> list[str]:
    """Participants and sessions that a file name names, each once."""
    parts = name.partition(".")[0].split("_")
    return list(dict.fromkeys(part for part in parts if part.startswith(("sub-", "ses-"))))


def _looks_signed(image: Any) -> bool:
    """Whether three slices in the middle hold values as a phase does."""
    kind = image.get_data_dtype().kind
    if kind == "c" or (kind == "u" and getattr(image.dataobj, "inter", 0) >= 0):
        return False
    middle = image.shape[2] // 2
    try:
        values = np.asarray(image.dataobj[:, :, max(0, middle - 1) : middle + 2], np.float32)
    except UNREADABLE:
        return False  # Reading the whole image tells what is wrong with it.
    return is_signed(values)
