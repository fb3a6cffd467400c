"""The output tree: where each derivative of a session lies, and the dataset around it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from filelock import FileLock, Timeout

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.outputs import PARTIAL, bids_name, write_json, write_text
from cmb_bidsapp.bids.text import cause_of, read_json, read_text
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.core.labels import STANDARD_SPACE

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


@dataclass(frozen=True)
class SessionFiles:
    """Paths of one session's derivatives; ``session`` is ``None`` where a dataset has none."""

    out_dir: Path
    participant: str
    session: str | None

    @classmethod
    def together(cls, out_dir: Path, participant: str) -> SessionFiles:
        """Paths of what all sessions of a participant have in common: tracks, changes, report."""
        return SessionFiles(out_dir, participant, None)

    @property
    def label(self) -> str:
        """``sub-01`` or ``sub-01_ses-A``."""
        return f"sub-{self.participant}" + (f"_ses-{self.session}" if self.session else "")

    def anat(self, suffix: str, extension: str = ".nii.gz", **entities: str) -> Path:
        """A file of the session's ``anat`` folder."""
        folder = self.out_dir / f"sub-{self.participant}"
        if self.session:
            folder /= f"ses-{self.session}"
        own = {"sub": self.participant, "ses": self.session}
        return folder / "anat" / bids_name({**own, **entities}, suffix, extension)

    def figure(self, name: str, extension: str = ".webp") -> Path:
        """A figure of the session."""
        folder = self.out_dir / f"sub-{self.participant}" / "figures"
        return folder / f"{self.label}_desc-{name}{extension}"

    def stamp(self, phase: str) -> Path:
        """The stamp of a phase."""
        return self.out_dir / "logs" / "stamps" / f"{self.label}_{phase}.json"

    @property
    def seconds(self) -> Path:
        """How long each step of each phase took."""
        return self.out_dir / "logs" / "seconds" / f"{self.label}.json"

    @property
    def t2star(self) -> Path:
        """Preprocessed T2*w, native grid."""
        return self.anat("T2starw", desc="preproc")

    @property
    def phase(self) -> Path:
        """High-pass filtered phase of the T2*w (rad), native grid."""
        return self.anat("T2starw", part="phase", desc="highpass")

    @property
    def swi(self) -> Path:
        """T2*w times its phase mask, as susceptibility-weighted imaging has it."""
        return self.anat("T2starw", desc="swi")

    @property
    def t2star_brain(self) -> Path:
        """Brain mask of the T2*w."""
        return self.anat("mask", space="T2starw", desc="brain")

    @property
    def t1w(self) -> Path:
        """Preprocessed T1w, native grid."""
        return self.anat("T1w", desc="preproc")

    @property
    def t1w_brain(self) -> Path:
        """Brain mask of the T1w."""
        return self.anat("mask", space="T1w", desc="brain")

    @property
    def t1w_on_t2star(self) -> Path:
        """Preprocessed T1w on the T2*w grid."""
        return self.anat("T1w", space="T2starw", desc="preproc")

    @property
    def transform(self) -> Path:
        """Rigid transform, ITK text."""
        return self.anat("xfm", ".txt", **{"from": "T1w", "to": "T2starw", "mode": "image"})

    @property
    def to_standard(self) -> Path:
        """Field from T2*w points to MNI152: resamples images of that space on the T2*w grid."""
        return self._way(STANDARD_SPACE, "T2starw")

    @property
    def from_standard(self) -> Path:
        """Field from points of MNI152 to the T2*w: resamples images of the T2*w in that space."""
        return self._way("T2starw", STANDARD_SPACE)

    def _way(self, moved: str, onto: str) -> Path:
        return self.anat("xfm", **{"from": moved, "to": onto, "mode": "image"})

    def in_space(self, space: str, resolution: int) -> dict[Path, Path]:
        """Native image -> the same in a standard space.

        Parameters
        ----------
        space
            Identifier of TemplateFlow, such as ``MNI152NLin2009cAsym``.
        resolution
            Its ``res`` index; in our own space the voxel size in mm.
        """
        where = {"space": space, "res": str(resolution)}
        return {
            self.t2star: self.anat("T2starw", desc="preproc", **where),
            self.t1w: self.anat("T1w", desc="preproc", **where),
            self.probability: self.anat("probseg", label="CMB", **where),
            self.mask: self.anat("mask", label="CMB", **where),
        }

    def parcellation(self, space: str) -> Path:
        """FreeSurfer-numbered dseg around the brain, about 1 mm."""
        return self.anat("dseg", space=space, res="1mm", desc="aparcaseg")

    @property
    def quality(self) -> Path:
        """Numbers of the anatomy with their limits."""
        return self.anat("qc", ".tsv", desc="anatomy")

    @property
    def proxy(self) -> Path:
        """Anatomical proxy labels on the T2*w grid."""
        return self.anat("dseg", space="T2starw", desc="proxy")

    @property
    def mars(self) -> Path:
        """MARS regions with their side on the T2*w grid."""
        return self.anat("dseg", space="T2starw", desc="mars")

    @property
    def network_labels(self) -> Path:
        """Classes as the lesion network predicts them."""
        return self.anat("dseg", space="T2starw", desc="nnunet")

    @property
    def probability(self) -> Path:
        """CMB probability."""
        return self.anat("probseg", space="T2starw", label="CMB")

    @property
    def ignored(self) -> Path:
        """What may be a microbleed or none, of a reference."""
        return self.anat("mask", space="T2starw", label="CMB", desc="ignore")

    @property
    def mimics(self) -> Path:
        """Veins and calcifications that a reference knows."""
        return self.anat("dseg", space="T2starw", desc="mimics")

    @property
    def raw_mask(self) -> Path:
        """CMB mask before CFPR."""
        return self.anat("mask", space="T2starw", label="CMB", desc="raw")

    @property
    def mask(self) -> Path:
        """Final CMB mask."""
        return self.anat("mask", space="T2starw", label="CMB")

    @property
    def instances(self) -> Path:
        """Candidates by number, kept and rejected."""
        return self.anat("dseg", space="T2starw", desc="CMBinstances")

    @property
    def lesions(self) -> Path:
        """Lesion table."""
        return self.anat("lesions", ".tsv", label="CMB")

    @property
    def mars_form(self) -> Path:
        """The MARS form, filled."""
        return self.anat("mars", ".tsv", label="CMB")

    @property
    def summary(self) -> Path:
        """Clinical words and cut-offs, one row."""
        return self.anat("summary", ".tsv", label="CMB")

    @property
    def implants(self) -> Path:
        """Simulated microbleeds that the sensitivity was measured with."""
        return self.anat("implants", ".tsv", label="CMB")

    @property
    def sensitivity(self) -> Path:
        """Share of simulated microbleeds that was found."""
        return self.anat("sensitivity", ".tsv", label="CMB")

    @property
    def tracks(self) -> Path:
        """Microbleeds through the sessions of the participant."""
        return self._of_participant("tracks")

    @property
    def changes(self) -> Path:
        """What changed in each session of the participant after the first."""
        return self._of_participant("changes")

    def _of_participant(self, suffix: str) -> Path:
        name = bids_name({"sub": self.participant, "label": "CMB"}, suffix, ".tsv")
        return self.out_dir / f"sub-{self.participant}" / name

    def to_session(self, other: str) -> Path:
        """Rigid transform that resamples the T2*w on that of another session, ITK text."""
        way = {"from": f"ses{self.session}", "to": f"ses{other}", "mode": "image"}
        return self.anat("xfm", ".txt", **way)

    def uri(self, path: Path) -> str:
        """BIDS URI of one of our outputs."""
        return f"bids::{path.relative_to(self.out_dir).as_posix()}"


def raw_uri(bids_dir: Path, path: Path) -> str:
    """BIDS URI of a raw image."""
    return f"bids:raw:{path.relative_to(bids_dir).as_posix()}"


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock; another run on the same outputs waits for it.

    Parameters
    ----------
    path
        The lock file; it stays.
    wait
        Whether to wait for the other run, else to give up.

    Raises
    ------
    BlockingIOError
        Another run holds it, and this one is not to ``wait``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        held = lock.acquire(blocking=wait)
    except Timeout as error:
        raise BlockingIOError(f"{path} is held by another run") from error
    with held:
        yield


@contextmanager
def tidied(lock: Path, folder: Path, *names: str) -> Iterator[None]:
    """Hold a lock, and remove first what killed writes have left of files written under it.

    Parameters
    ----------
    folder, names
        Where the files lie, and patterns of their names; folders may stand before a name.
    """
    with locked(lock):
        for name in names:
            inside, _, last = name.rpartition("/")
            for left in folder.glob(f"{inside}/{PARTIAL}*-{last}".lstrip("/")):
                left.unlink(missing_ok=True)
        yield


def dataset_lock(out_dir: Path) -> Path:
    """Lock that a run holds while it writes what belongs to no participant."""
    return out_dir / "logs" / "locks" / "dataset.lock"


def participant_lock(out_dir: Path, participant: str) -> Path:
    """Lock that a run holds while it writes a participant's derivatives."""
    return out_dir / "logs" / "locks" / f"sub-{participant}.lock"


def remove_partial(out_dir: Path, participant: str) -> None:
    """Remove what writes that were killed have left of a participant, unless a run is at work."""
    own = f"{PARTIAL}*-sub-{participant}[._]*"
    with suppress(BlockingIOError), locked(participant_lock(out_dir, participant), wait=False):
        for folder in (out_dir, out_dir / "logs" / "stamps", out_dir / "logs" / "seconds"):
            for path in folder.glob(own):
                path.unlink(missing_ok=True)
        for path in (out_dir / f"sub-{participant}").rglob(f"{PARTIAL}*"):
            path.unlink(missing_ok=True)


#: Keys of the description to whose values ours are added.
_MERGED = MappingProxyType({"GeneratedBy": list, "SourceDatasets": list, "DatasetLinks": dict})


def prepare_dataset(out_dir: Path, bids_dir: Path) -> None:
    """Create or complete the derivative dataset's own files; what others wrote stays."""
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
