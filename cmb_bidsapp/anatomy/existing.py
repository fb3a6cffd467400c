"""Parcellations on disk: what one is, and images of other apps by their names. None is read here.

Which names are whose is told by the backends, see :mod:`cmb_bidsapp.anatomy.backends`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

#: How the name of an image looks: its desc entity, and its words that are no entities.
Look = tuple[str, tuple[str, ...]]

EXTENSIONS = (".nii.gz", ".nii", ".mgz")


@dataclass(frozen=True, kw_only=True)
class ExistingParcellation:
    """A parcellation on disk.

    Attributes
    ----------
    dseg
        Image of ``aseg`` or ``aparc+aseg`` ids.
    kind
        Who made it, such as ``FreeSurfer`` or ``sMRIPrep``, by its place; its ids may overrule that
        (:attr:`~cmb_bidsapp.anatomy.parcellation.Parcellation.source`).
    white
        Image of ``wmparc`` ids.
    subject_dir
        The FreeSurfer subject it belongs to.
    """

    dseg: Path
    kind: str
    white: Path | None = None
    subject_dir: Path | None = None


def is_listed(path: Path) -> bool:
    """Whether there is a file, or the pointer to one that is not fetched (reading tells)."""
    return path.is_file() or path.is_symlink()


def images_in(
    folder: Path, participant: str, session: str | None, kinds: Mapping[Look, str]
) -> Iterator[ExistingParcellation]:
    """Images of a session in the space of the T1w, best first.

    Parameters
    ----------
    folder
        BIDS derivatives, or a folder of images with such names.
    participant, session
        Labels without ``sub-`` and ``ses-``; ``None``: names without a session.
    kinds
        Who writes names of which look, best first.
    """
    own = folder / f"sub-{participant}"
    places = [folder, own, own / "anat"]
    if session is not None:
        places += [own / f"ses-{session}", own / f"ses-{session}" / "anat"]
    looks, ranked = list(kinds), []
    for path in (path for place in places for path in place.glob(f"sub-{participant}_*")):
        extension = next((e for e in EXTENSIONS if path.name.endswith(e)), None)
        if extension is None or not is_listed(path):
            continue
        parts = [part.partition("-") for part in path.name.removesuffix(extension).split("_")]
        entities = {key: value for key, dash, value in parts if dash}
        words = tuple(key.lower() for key, dash, _ in parts if not dash)
        look = entities.get("desc", "").lower(), words
        # Resampled images have a res.
        native = entities.get("space", "T1w") == "T1w" and "res" not in entities
        if look in kinds and native and entities.get("ses") == session:
            ranked.append((looks.index(look), "space" in entities, path))
    for rank, _, path in sorted(ranked):
        yield ExistingParcellation(dseg=path, kind=kinds[looks[rank]])
