"""Settings of a run: one frozen object, filled by the command line, saved as TOML."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import tomli_w

from cmb_bidsapp.core.decisions import Decisions
from cmb_bidsapp.core.defaults import (
    ANATOMY_MODEL,
    BASELINE_LIMIT,
    LESION_MODEL,
    KeepWorkdir,
    ProxyRules,
)
from cmb_bidsapp.core.outcome import plural
from cmb_bidsapp.core.resources import share

#: Stands for an absent entity in the filters of a TOML file.
NULL = "null"


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
    """Name of a backend, a key of :data:`cmb_bidsapp.anatomy.backends.BACKENDS`."""
    proxy_rules: ProxyRules = "paper"
    """``paper`` or ``reference``: which white matter is deep."""
    jhu_atlas: Path | None = None
    """White-matter labels for the capsules."""
    derivatives: tuple[Path, ...] = ()
    """Outputs of FreeSurfer, FastSurfer, sMRIPrep or SynthSeg to reuse."""
    subjects_dir: Path | None = None
    """FreeSurfer subjects, reused and written; see :attr:`Settings.subjects_dir`."""
    license_file: Path | None = None
    """FreeSurfer license."""
    run_reconall: bool = True
    """Whether FreeSurfer may run where there is nothing to reuse."""
    resume_reconall: bool = True
    """Whether an unfinished recon-all is resumed."""
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


@dataclass(frozen=True)
class Clinical:
    """Cut-offs of the clinical summary."""

    baseline_limit: int = BASELINE_LIMIT
    """More microbleeds than this at baseline usually rule out anti-amyloid therapy."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What the run may use; none of it changes results."""

    cores: int = 1
    """Cores that the sessions share."""
    processes: int = 1
    """Sessions that run at the same time, at most."""
    threads: int | None = None
    """Threads of each; ``None``: cores are shared out once it is known how many sessions run."""
    device: str = "cpu"
    """``cpu``, ``cuda`` or ``cuda:N``."""
    memory_mb: int = 0
    """Memory that the sessions share, MB."""
    step_timeout: float | None = None
    """Minutes that a step may take; ``None``: as long as it does."""
    reason: str = ""
    """Where the numbers of cores and of memory come from, for a person."""
    scheduler: str | None = None
    """Address of a dask scheduler, or its file: sessions run on its workers, not here."""
    without_tls: bool = False
    """Whether the scheduler may be another machine's and its connections not encrypted."""

    def __str__(self) -> str:
        """Return one line for a person."""
        each = "" if self.threads is None else f", threads each: {self.threads}"
        if self.scheduler is not None:
            return f"sessions run on the workers of {self.scheduler}{each}"
        return (
            f"up to {plural(self.processes, 'session')} at a time on "
            f"{plural(self.cores, 'core')}, device {self.device}{each} ({self.reason})"
        )

    def shared_by(self, participants: int) -> Resources:
        """Resources of a stage: how many of its sessions run at a time, and threads of each.

        Parameters
        ----------
        participants
            Whose sessions run; those of one participant run one after the other.
        """
        processes, threads = share(self.cores, self.processes, self.threads, participants)
        return replace(self, processes=processes, threads=threads)


@dataclass(frozen=True, kw_only=True)
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
    decisions: Decisions = field(default_factory=Decisions)
    clinical: Clinical = Clinical()
    reference: Path | None = None
    """Derivatives that the group level holds the results against."""
    ratings: Path | None = None
    """Folder of readers' ratings that the group level decides by."""
    sensitivity: int = 0
    """Draws of simulated microbleeds that measure what is found in each session; 0 is none."""
    output_spaces: tuple[str, ...] = ()
    """Standard spaces that images and masks are written in besides the T2*w's own."""
    resources: Resources = Resources()
    dry_run: bool = False
    reports_only: bool = False
    """Write the reports of what is there, and run no session."""
    force: bool = False
    stop_on_first_crash: bool = False
    clean_workdir: bool = False
    """Whether scratch that earlier runs left in ``work_dir`` is removed first."""
    keep_workdir: KeepWorkdir = "never"
    """Whose scratch stays: nobody's, that of failed sessions, or everybody's."""
    seed: int = 0
    verbosity: int = 0
    """1: what is chosen of every session, and why; 2: what libraries and programs print, too."""
    without_effect: tuple[str, ...] = ()
    """Options that were given and have no effect, each a sentence for a person."""

    @property
    def subjects_dir(self) -> Path:
        """FreeSurfer subjects that are written."""
        return self.anatomy.subjects_dir or self.out_dir / "sourcedata" / "freesurfer"

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, as for JSON or TOML; settings that are not set are left out."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self), default=str))
        return _without_none(plain)

    def to_toml(self) -> str:
        """Text of a TOML file that holds these settings; :meth:`from_toml` reads it."""
        plain = self.to_dict()
        # TOML has no null, which in a filter stands for an entity that is absent.
        plain["selection"]["filters"] = _nulls(plain["selection"]["filters"], None, NULL)
        return tomli_w.dumps(plain)

    @classmethod
    def from_toml(cls, text: str) -> Settings:
        """Settings of a text that :meth:`to_toml` made.

        Raises
        ------
        ValueError
            It is not valid TOML, has a key that is no setting, or a value of another type; the
            message names it.
        """
        made: Settings = _from_plain("", cls, tomllib.loads(text))
        filters = _nulls(made.selection.filters, NULL, None)
        return replace(made, selection=replace(made.selection, filters=filters))


def _nulls(value: Any, old: object, new: object) -> Any:
    """Put ``new`` in the place of ``old``, as deep as a filter goes."""
    if isinstance(value, dict):
        return {key: _nulls(one, old, new) for key, one in value.items()}
    if isinstance(value, list):
        return [_nulls(one, old, new) for one in value]
    return new if value == old else value


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, dict) and key != "filters" else value
        for key, value in table.items()
        if value is not None
    }


def _from_plain(name: str, kind: Any, value: Any) -> Any:
    """Make a value of an annotated type; ``name`` is for messages."""
    origin, parts = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise ValueError(f"{name.removesuffix('.')} is not a table")
        hints = get_type_hints(kind)
        if unknown := sorted(value.keys() - hints.keys()):
            raise ValueError(f"no setting {name}{', '.join(unknown)}")
        lacking = {
            one.name
            for one in dataclasses.fields(kind)
            if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
        } - value.keys()
        if lacking:
            raise ValueError(f"{', '.join(sorted(lacking))} is missing")
        made = {key: _from_plain(f"{name}{key}.", hints[key], one) for key, one in value.items()}
        return kind(**made)  # type: ignore[operator] # a dataclass, as asked above
    if origin is UnionType:  # of a type and None, which is written by leaving the key out
        return _from_plain(name, next(part for part in parts if part is not type(None)), value)
    if origin is tuple and isinstance(value, list):
        return tuple(_from_plain(name, parts[0], one) for one in value)
    if origin is Literal and value in parts:
        return value
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and type(value) is int:
        return float(value)
    if (origin or kind) is type(value):
        return value
    raise ValueError(f"{name.removesuffix('.')} = {value!r} is no value of that setting")
