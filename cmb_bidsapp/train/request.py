"""What the ``train`` verb is asked for, by what is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cmb_bidsapp.core.request import Request

#: Losses of the lesion network, the default first, and what they are; the trainer of each is in
#: :mod:`cmb_bidsapp.train.trainer`.
LOSSES = MappingProxyType({"topk": "Dice + TopK10, as in the paper", "ce": "Dice + cross-entropy"})


@dataclass(frozen=True, kw_only=True)
class BundleRequest(Request):
    """A bundle to make, and what its card says."""

    output_dir: Path
    work_dir: Path
    name: str
    version: str
    license: str
    training_data: str
    start_from: str | None
    device: str
    random_seed: int

    @property
    def card(self) -> dict[str, str]:
        """Texts of the card."""
        return {
            "name": self.name,
            "version": self.version,
            "license": self.license,
            "training_data": self.training_data,
        }


@dataclass(frozen=True, kw_only=True)
class AnatomyRequest(BundleRequest):
    """Train the anatomy network."""

    label_maps: tuple[Path, ...]
    steps: int


@dataclass(frozen=True, kw_only=True)
class CasesRequest(Request):
    """Processed scans to learn from, and which participants."""

    derivatives: Path
    masks: Path | None
    participant_label: tuple[str, ...]
    exclude_participant_label: tuple[str, ...]
    random_seed: int


@dataclass(frozen=True, kw_only=True)
class FoldsRequest(CasesRequest):
    """A part of the participants that is left out, for cross-validation."""

    fold: int | None
    folds: int


@dataclass(frozen=True, kw_only=True)
class LesionsRequest(FoldsRequest, BundleRequest):
    """Train the lesion network."""

    epochs: int
    loss: str
    proxy: bool
    mimics: bool
    patch_size: tuple[int, int, int] | None


@dataclass(frozen=True, kw_only=True)
class SecondLookRequest(FoldsRequest):
    """Train the network that judges candidates."""

    bundle: Path
    also: tuple[Path, ...]
    add: bool
    mimics_only: bool
    steps: int


@dataclass(frozen=True, kw_only=True)
class ImplantsRequest(CasesRequest):
    """Draw microbleeds into processed scans."""

    output_dir: Path
    draws: int
    microbleeds: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class CalibrationRequest(Request):
    """Choose thresholds of a lesion model, and calibrate it."""

    bundle: Path
    evaluation: Path


@dataclass(frozen=True, kw_only=True)
class AdaptRequest(Request):
    """Train the judges of a lesion model further on a site's own scans."""

    derivatives: Path
    output_dir: Path
    work_dir: Path | None
    model: str
    name: str | None
    ratings: Path | None
    steps: int
    device: str
    random_seed: int
    participant_label: tuple[str, ...]
    exclude_participant_label: tuple[str, ...]

    @property
    def work(self) -> Path:
        """Folder of what is made on the way; beside the bundle unless it is named."""
        return self.work_dir or self.output_dir.with_name(f"{self.output_dir.name}-work")

    def problems(self) -> list[str]:
        """Name a folder that is not there."""
        there = self.derivatives.is_dir()
        return [] if there else [f"OUTPUT_DIR {self.derivatives}: not a folder"]
