"""Settings of a run: one frozen object, filled by the command line, saved as TOML."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cmb_bidsapp.core.defaults import (
    ANATOMY_MODEL,
    BASELINE_LIMIT,
    CFPR_MODE,
    CFPR_RADIUS_MM,
    CFPR_RATIO,
    LESION_MODEL,
    MIN_DIAMETER_MM,
    THRESHOLD,
    CfprMode,
)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Who and which scans."""

    participants: tuple[str, ...] = ()
    """Labels without ``sub-``; empty means everyone."""
    excluded: tuple[str, ...] = ()
    """Labels to leave out."""
    sessions: tuple[str, ...] = ()
    """Session labels without ``ses-``; empty means every session."""
    filters: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Entity filters for ``t1w`` and ``t2starw``, as in a BIDS filter file."""


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """How brain and regions are found."""

    brain_extraction: str = "auto"
    """``auto``, ``synthstrip`` or ``embedded``."""
    parcellation: str = "auto"
    """``auto``, ``freesurfer``, ``synthseg`` or ``atlas``."""
    proxy_rules: Literal["paper", "reference"] = "paper"
    """``paper`` or ``reference``: which white matter is deep."""
    jhu_atlas: Path | None = None
    """White-matter labels for the capsules."""
    derivatives: tuple[Path, ...] = ()
    """Outputs of FreeSurfer, FastSurfer, sMRIPrep or SynthSeg to reuse."""
    subjects_dir: Path | None = None
    """FreeSurfer subjects, reused and written; see :attr:`Settings.subjects_dir`."""
    licence_file: Path | None = None
    """FreeSurfer licence."""
    run_reconall: bool = True
    """Whether FreeSurfer may run where there is nothing to reuse."""
    resume_reconall: bool = True
    """Whether an unfinished subject is gone on with."""
    model: str = ANATOMY_MODEL
    """Packaged model name or bundle folder of the anatomy network."""


@dataclass(frozen=True)
class Lesions:
    """How microbleeds are found and decided on."""

    model: str = LESION_MODEL
    """Packaged model name, bundle folder, or trained model folder of nnU-Net v2."""
    tta: bool = True
    """Average over the mirrored image."""
    folds: tuple[str, ...] = ()
    """Folds of an nnU-Net folder that are averaged: numbers or ``all``; empty means every
    numbered one, or else ``all``."""


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """What becomes of the candidates."""

    threshold: float = THRESHOLD
    """Probability that a microbleed reaches somewhere; it extends to 0.5."""
    cfpr: bool = True
    """Whether candidates outside the brain are rejected."""
    cfpr_mode: CfprMode = CFPR_MODE
    """``paper`` or ``reference``: what counts as the periphery of a candidate."""
    cfpr_radius: float = CFPR_RADIUS_MM
    """Periphery of a candidate, mm."""
    cfpr_ratio: float = CFPR_RATIO
    """Smallest share of brain in the periphery."""
    min_size: float = MIN_DIAMETER_MM
    """Lesions with a smaller in-plane diameter (mm) are reported apart."""


@dataclass(frozen=True)
class Clinical:
    """Cut-offs of the clinical summary."""

    baseline_limit: int = BASELINE_LIMIT
    """More microbleeds than this at baseline usually exclude from anti-amyloid therapy."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What the run may use; none of it changes results."""

    processes: int = 1
    """Sessions that run at the same time."""
    threads: int = 1
    """Threads of each."""
    device: str = "cpu"
    """``cpu``, ``cuda`` or ``cuda:N``."""
    step_timeout: float | None = None
    """Minutes that a step may take; ``None``: as long as it does."""


@dataclass(frozen=True)
class Settings:
    """Everything a run depends on."""

    bids_dir: Path
    out_dir: Path
    levels: tuple[str, ...]
    """``participant``, ``group`` or both, in that order."""
    work_dir: Path | None = None
    selection: Selection = Selection()
    anatomy: Anatomy = Anatomy()
    lesions: Lesions = Lesions()
    decisions: Decisions = Decisions()
    clinical: Clinical = Clinical()
    reference: Path | None = None
    """Derivatives that the group level holds the results against."""
    ratings: Path | None = None
    """Folder of readers' ratings that the group level decides by."""
    output_spaces: tuple[str, ...] = ()
    """Standard spaces that images and masks are written in besides the T2*w's own."""
    resources: Resources = Resources()
    bids_database_dir: Path | None = None
    dry_run: bool = False
    force: bool = False
    stop_on_first_crash: bool = False
    seed: int = 0

    @property
    def subjects_dir(self) -> Path:
        """FreeSurfer subjects that are written."""
        return self.anatomy.subjects_dir or self.out_dir / "sourcedata" / "freesurfer"

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, as for JSON or TOML; settings that are not set are left out."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self), default=str))
        return _without_none(plain)

    def to_toml(self) -> str:
        """Text of a TOML file that holds these settings."""
        tables: dict[str, dict[str, Any]] = {"": {}}
        for key, value in self.to_dict().items():
            if isinstance(value, dict):
                tables[key] = value
            else:
                tables[""][key] = value
        lines: list[str] = []
        for table, content in tables.items():
            lines += ["", f"[{table}]"] if table else []
            lines += [f"{key} = {_toml(value)}" for key, value in content.items()]
        return "\n".join(lines).strip() + "\n"


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, dict) and key != "filters" else value
        for key, value in table.items()
        if value is not None
    }


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_text(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if value is None:
        return '"null"'
    return _toml_text(value) if isinstance(value, str) else json.dumps(value)


def _toml_text(text: str) -> str:
    # JSON leaves DEL as it is, TOML does not allow it.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
