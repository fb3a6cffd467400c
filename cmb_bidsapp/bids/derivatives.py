"""The output tree: where each derivative of a session lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cmb_bidsapp.bids.outputs import bids_name
from cmb_bidsapp.core.labels import STANDARD_SPACE


@dataclass(frozen=True)
class SessionFiles:
    """Paths of one session's derivatives; ``session`` is ``None`` where a dataset has none."""

    out_dir: Path
    participant: str
    session: str | None

    @classmethod
    def together(cls, out_dir: Path, participant: str) -> SessionFiles:
        """Paths of what all sessions of a participant have in common: tracks, changes, report.

        Parameters
        ----------
        out_dir
            The output folder.
        participant
            Label without ``sub-``.
        """
        return SessionFiles(out_dir, participant, None)

    @property
    def label(self) -> str:
        """``sub-01`` or ``sub-01_ses-A``."""
        return f"sub-{self.participant}" + (f"_ses-{self.session}" if self.session else "")

    def anat(self, suffix: str, extension: str = ".nii.gz", **entities: str) -> Path:
        """A file of the session's ``anat`` folder.

        Parameters
        ----------
        suffix, extension
            End of the name, for example ``T2starw`` and ``.nii.gz``.
        entities
            BIDS entities other than ``sub`` and ``ses``, in the order of the name.
        """
        folder = self.out_dir / f"sub-{self.participant}"
        if self.session:
            folder /= f"ses-{self.session}"
        own = {"sub": self.participant, "ses": self.session}
        return folder / "anat" / bids_name({**own, **entities}, suffix, extension)

    def figure(self, name: str, extension: str = ".webp") -> Path:
        """A figure of the session.

        Parameters
        ----------
        name
            Value of the ``desc`` entity.
        extension
            With its dot.
        """
        folder = self.out_dir / f"sub-{self.participant}" / "figures"
        return folder / f"{self.label}_desc-{name}{extension}"

    def track_figure(self, number: int) -> Path:
        """Pictures of a microbleed through the sessions of the participant."""
        return self.figure(f"track{number:03d}")

    def track_figures(self) -> Iterator[Path]:
        """Those that are there, of all microbleeds."""
        pattern = self.figure("track*", "")
        return pattern.parent.glob(pattern.name)

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
    def structures(self) -> Path:
        """Structures that the anatomy network sees in the T2*w, 2 mm."""
        return self.anat("dseg", space="T2starw", res="2mm", desc="structures")

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
    def mimic_table(self) -> Path:
        """One row for each of the mimics of a simulated truth."""
        return self.anat("mimics", ".tsv", label="CMB")

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


def ending(of: Callable[[SessionFiles], Path]) -> str:
    """End of a derivative's name, after the labels of participant and session.

    Parameters
    ----------
    of
        Path of the derivative of a session.

    Examples
    --------
    >>> ending(lambda files: files.mask)
    '_space-T2starw_label-CMB_mask.nii.gz'
    """
    anyone = SessionFiles(Path(), "x", None)
    return of(anyone).name.removeprefix(anyone.label)


def raw_uri(bids_dir: Path, path: Path) -> str:
    """BIDS URI of a raw image.

    Parameters
    ----------
    bids_dir
        Root of the raw dataset.
    path
        A file in it.
    """
    return f"bids:raw:{path.relative_to(bids_dir).as_posix()}"
