"""Parcellations on disk: which there are for a session. Nothing is read here.

FreeSurfer and FastSurfer subjects, sMRIPrep or fMRIPrep derivatives, and SynthSeg's output.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

#: Between the names of session and template in those of longitudinal subjects.
LONG = ".long."

#: Files of a subject's ``mri`` folder by who wrote them, best first. FastSurfer also leaves an
#: ``aparc+aseg.mgz``; its surfaces' result is better than its network's.
SUBJECT_FILES = (
    ("FastSurfer", "aparc.DKTatlas+aseg.mapped.mgz"),
    ("FastSurfer", "aparc.DKTatlas+aseg.deep.withCC.mgz"),
    ("FastSurfer", "aparc.DKTatlas+aseg.deep.mgz"),
    ("FreeSurfer", "aparc+aseg.mgz"),
)
WHITE_FILES = ("wmparc.mgz", "wmparc.DKTatlas.mapped.mgz")
#: Images of other apps, best first: desc entity and the words of the name that are no entities.
DERIVATIVES = MappingProxyType(
    {
        ("aparcaseg", ("dseg",)): "sMRIPrep",
        ("aseg", ("dseg",)): "sMRIPrep",
        ("synthseg", ("dseg",)): "SynthSeg",
        ("", ("t1w", "synthseg")): "SynthSeg",
        ("", ("synthseg",)): "SynthSeg",
    }
)
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


def parcellations_in(
    folder: Path, participant: str, session: str | None
) -> Iterator[ExistingParcellation]:
    """Parcellations of a session, then of its participant, best first.

    Parameters
    ----------
    folder
        FreeSurfer's SUBJECTS_DIR, FastSurfer's output, BIDS derivatives, SynthSeg's output.
    participant, session
        Labels without ``sub-`` and ``ses-``.
    """
    # A session without one of its own takes the participant's.
    for label in dict.fromkeys((session, None)):
        yield from _subjects(folder, participant, label)
        yield from _derivatives(folder, participant, label)


def _is_listed(path: Path) -> bool:
    """Whether there is a file, or the pointer to one that is not fetched (reading tells)."""
    return path.is_file() or path.is_symlink()


def _subjects(
    folder: Path, participant: str, session: str | None
) -> Iterator[ExistingParcellation]:
    """FreeSurfer and FastSurfer subjects."""
    name = f"sub-{participant}" + (f"_ses-{session}" if session else "")
    others = (
        [participant]
        if session is None
        else sorted(path.name for path in folder.glob(f"{name}{LONG}*"))
    )
    for subject in (folder / name for name in (name, *others)):
        # The template of a longitudinal run lies between its sessions, in no scan's space.
        if any(subject.glob("base-tps*")):
            continue
        mri = subject / "mri"
        white = next((mri / file for file in WHITE_FILES if _is_listed(mri / file)), None)
        for kind, file in SUBJECT_FILES:
            if _is_listed(mri / file):
                yield ExistingParcellation(
                    dseg=mri / file, kind=kind, white=white, subject_dir=subject
                )
                break


def _derivatives(
    folder: Path, participant: str, session: str | None
) -> Iterator[ExistingParcellation]:
    """Images of sMRIPrep, fMRIPrep or SynthSeg in the space of the T1w."""
    own = folder / f"sub-{participant}"
    places = [folder, own, own / "anat"]
    if session is not None:
        places += [own / f"ses-{session}", own / f"ses-{session}" / "anat"]
    ranked = []
    for path in (path for place in places for path in place.glob(f"sub-{participant}_*")):
        extension = next((e for e in EXTENSIONS if path.name.endswith(e)), None)
        if extension is None or not _is_listed(path):
            continue
        parts = [part.partition("-") for part in path.name.removesuffix(extension).split("_")]
        entities = {key: value for key, dash, value in parts if dash}
        words = tuple(key.lower() for key, dash, _ in parts if not dash)
        look = entities.get("desc", "").lower(), words
        # Resampled images have a res.
        native = entities.get("space", "T1w") == "T1w" and "res" not in entities
        if look in DERIVATIVES and native and entities.get("ses") == session:
            ranked.append(([*DERIVATIVES].index(look), "space" in entities, path))
    for rank, _, path in sorted(ranked):
        yield ExistingParcellation(dseg=path, kind=[*DERIVATIVES.values()][rank])
