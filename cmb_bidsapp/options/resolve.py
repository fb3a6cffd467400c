"""From what is asked for, and what a machine has, to frozen settings."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from cmb_bidsapp.anatomy.backends import BACKENDS
from cmb_bidsapp.anatomy.templates import Space
from cmb_bidsapp.bids.filters import plain_labels, read_filters
from cmb_bidsapp.core import resources
from cmb_bidsapp.core.decisions import Decisions
from cmb_bidsapp.core.defaults import THRESHOLD
from cmb_bidsapp.core.errors import UnavailableError, UsageError
from cmb_bidsapp.core.resources import Machine, choose_device
from cmb_bidsapp.models.registry import packaged_models, threshold_of
from cmb_bidsapp.options.base import out_of_range
from cmb_bidsapp.options.parser import LEVELS, build_parser
from cmb_bidsapp.options.request import AppRequest, read_request
from cmb_bidsapp.options.running import WITHOUT_EFFECT
from cmb_bidsapp.settings import (
    Anatomy,
    Clinical,
    Lesions,
    Resources,
    Selection,
    Settings,
)
from cmb_bidsapp.tools.freesurfer import COMMAND as RECON_ALL

T = TypeVar("T")

#: Keys of a filter file that hold for T2*w images.
T2STAR_KEYS = ("t2starw", "swi")


def read_settings(arguments: Sequence[str]) -> Settings:
    """Parse a command line and check it against this machine, see :func:`resolve`."""
    return resolve(read_request(arguments), resources.this_machine())


class _Problems(list[str]):
    """What is wrong with a request, a line each."""

    def kept(self, make: Callable[[], T], otherwise: T) -> T:
        """What can be made of the request; ``otherwise`` where it cannot, which is a problem."""
        try:
            return make()
        except (UsageError, ValueError, OSError) as error:
            self.append(str(error))
            return otherwise


def resolve(request: AppRequest, machine: Machine) -> Settings:
    """Check what is asked for against a machine; all problems are reported at once.

    Parameters
    ----------
    request
        What the command line asks for.
    machine
        Cores, memory and devices of the machine.

    Raises
    ------
    UsageError
        One line per problem, each with what was expected.
    UnavailableError
        Nothing else is wrong, but the device is not there.
    """
    problems = _Problems([*_paths(request), *_contradictions(request)])
    problems += out_of_range(build_parser(), request)
    selection = _selection(request, problems)
    nothing: tuple[Path, ...] = ()
    derivatives = problems.kept(lambda: _folders(request.derivatives), nothing)
    nowhere: tuple[str, ...] = ()
    spaces = problems.kept(lambda: _spaces(request.output_spaces), nowhere)
    memory = problems.kept(lambda: _memory_mb(request), None)
    device, absent = "cpu", None
    try:
        device = _device(request, machine)
    except UsageError as error:
        problems.append(str(error))
    except UnavailableError as error:
        absent = error
    if problems:
        raise UsageError("\n".join([*problems, *([str(absent)] if absent else [])]))
    if absent is not None:
        raise absent
    return Settings(
        bids_dir=request.bids_dir.resolve(),
        out_dir=request.output_dir.resolve(),
        levels=tuple(level for level in LEVELS if level in request.level),
        work_dir=_absolute(request.work_dir),
        selection=selection,
        anatomy=_anatomy(request, derivatives),
        lesions=Lesions(_model(request.model), request.tta, request.folds),
        decisions=_decisions(request),
        clinical=Clinical(request.baseline_limit),
        reference=_absolute(request.reference_derivatives),
        ratings=_absolute(request.ratings),
        sensitivity=request.sensitivity,
        output_spaces=spaces,
        resources=_share(request, machine, memory, device),
        dry_run=request.dry_run,
        reports_only=request.reports_only,
        force=request.force,
        stop_on_first_crash=request.stop_on_first_crash,
        clean_workdir=request.clean_workdir,
        keep_workdir=request.keep_workdir,
        seed=request.random_seed,
        verbosity=request.verbose,
        without_effect=tuple(_without_effect(request)),
    )


def _without_effect(request: AppRequest) -> Iterator[str]:
    """Options that were given and change nothing, each with its reason."""
    for name, (spellings, why) in WITHOUT_EFFECT.items():
        if getattr(request, name):
            yield f"{spellings[0]} has no effect: {why}"
    if _scheduler(request) is not None:
        for option, given in (
            ("--nprocs", request.nprocs),
            ("--mem", request.mem),
            ("--mem-gb", request.mem_gb),
            ("--low-mem", request.low_mem),
        ):
            if given:
                yield f"{option} has no effect: the resources of the workers limit the sessions"


def _paths(request: AppRequest) -> Iterator[str]:
    """Name folders and files that are not there, or lie where nothing is written."""
    bids_dir, out_dir = request.bids_dir.resolve(), request.output_dir.resolve()
    if "participant" in request.level and not bids_dir.is_dir():
        yield f"BIDS_DIR {bids_dir}: not a folder"
    if out_dir == bids_dir:
        yield "OUTPUT_DIR is the same as BIDS_DIR; use BIDS_DIR/derivatives/NAME"
    elif bids_dir in out_dir.parents and "derivatives" not in out_dir.relative_to(bids_dir).parts:
        yield f"OUTPUT_DIR {out_dir} is inside BIDS_DIR; use BIDS_DIR/derivatives/NAME"
    for option, path in (
        ("-w", request.work_dir),
        ("--bids-database-dir", request.bids_database_dir),
    ):
        if path is not None and bids_dir in [path.resolve(), *path.resolve().parents]:
            yield f"{option} {path} is inside BIDS_DIR; choose a folder outside"
    for option, folder in (
        ("--reference-derivatives", request.reference_derivatives),
        ("--ratings", request.ratings),
    ):
        if folder is not None and not folder.is_dir():
            yield f"{option} {folder}: not a folder"
        if folder is not None and "group" not in request.level:
            yield f"{option} requires the group level"
    for option, file in (
        ("--jhu-atlas", request.jhu_atlas),
        ("--fs-license-file", request.fs_license_file),
        ("--scheduler-file", request.scheduler_file),
    ):
        if file is not None and not file.is_file():
            yield f"{option} {file}: not a file"


def _contradictions(request: AppRequest) -> Iterator[str]:
    """Name options that exclude each other, and those that need another."""
    for holds, text in (
        (
            request.threshold is not None and request.operating_point is not None,
            "--threshold and --operating-point cannot be combined; give only one",
        ),
        (
            request.mem is not None and request.mem_gb is not None,
            "--mem and --mem-gb cannot be combined; give only one",
        ),
        (
            request.scheduler is not None and request.scheduler_file is not None,
            "--scheduler and --scheduler-file cannot be combined; give only one",
        ),
        (
            request.scheduler_without_tls
            and request.scheduler is None
            and request.scheduler_file is None,
            "--scheduler-without-tls requires --scheduler or --scheduler-file",
        ),
        (
            request.fs_no_reconall
            and BACKENDS[request.parcellation].program not in (None, RECON_ALL),
            f"--fs-no-reconall has no effect with --parcellation {request.parcellation}; remove it",
        ),
        (
            request.clean_workdir and request.work_dir is None,
            "--clean-workdir requires -w",
        ),
        (
            request.reports_only and "participant" not in request.level,
            "--reports-only requires the participant level",
        ),
        (
            request.reports_only and request.force,
            "--reports-only and --force cannot be combined; give only one",
        ),
    ):
        if holds:
            yield text
    for fold in request.folds:
        if not (fold == "all" or (fold.isascii() and fold.isdigit())):
            yield f"--folds {fold}: expected a number or all"


def _selection(request: AppRequest, problems: _Problems) -> Selection:
    """Who is processed; labels that cannot be read are added to the problems."""

    def labels(option: str, values: Sequence[str], prefix: str) -> tuple[str, ...]:
        nobody: tuple[str, ...] = ()
        return problems.kept(lambda: _labels(option, values, prefix), nobody)

    return Selection(
        participants=labels("--participant-label", request.participant_label, "sub-"),
        excluded=labels("--exclude-participant-label", request.exclude_participant_label, "sub-"),
        sessions=labels("--session-label", request.session_label, "ses-"),
        filters=problems.kept(lambda: _filters(request), {}),
    )


def _anatomy(request: AppRequest, derivatives: tuple[Path, ...]) -> Anatomy:
    """How regions are found, and in which folders of other apps they may be."""
    return Anatomy(
        brain_extraction=request.brain_extraction,
        parcellation=request.parcellation,
        proxy_rules=request.proxy_rules,
        jhu_atlas=_absolute(request.jhu_atlas),
        derivatives=derivatives,
        subjects_dir=_absolute(request.fs_subjects_dir),
        license_file=_absolute(request.fs_license_file),
        run_reconall=not request.fs_no_reconall,
        resume_reconall=not request.fs_no_resume,
    )


def _decisions(request: AppRequest) -> Decisions:
    """What counts as a microbleed; a threshold that is not given is the model's."""
    threshold = request.threshold
    if threshold is None:
        # Only the participant level uses a model.
        known = "participant" in request.level
        threshold = threshold_of(request.model, request.operating_point) if known else THRESHOLD
    return Decisions(
        threshold=threshold,
        cfpr=request.cfpr,
        cfpr_mode=request.cfpr_mode,
        cfpr_radius=request.cfpr_radius,
        cfpr_ratio=request.cfpr_ratio,
        phase_rule=request.phase_rule,
        min_size=request.min_size,
    )


def _device(request: AppRequest, machine: Machine) -> str:
    """Device of this machine; that of a cluster's workers is taken at its word."""
    if request.scheduler is None and request.scheduler_file is None:
        return choose_device(request.device, machine.gpus)
    return choose_device("cpu" if request.device == "auto" else request.device, lambda: sys.maxsize)


def _scheduler(request: AppRequest) -> str | None:
    """Where the cluster is, if one is asked for."""
    if request.scheduler_file is not None:
        return str(request.scheduler_file.resolve())
    return request.scheduler


def _share(request: AppRequest, machine: Machine, memory: int | None, device: str) -> Resources:
    """How the cores and the memory that there are go to sessions."""
    cpus = request.nprocs or machine.cpus.value
    megabytes = memory or machine.memory.value
    scheduler = _scheduler(request)
    processes = resources.most_sessions(cpus, megabytes, request.omp_nthreads)
    of_cpus = "--nprocs" if request.nprocs else machine.cpus.reason
    of_memory = "as asked" if memory else machine.memory.reason
    reason = f"cores: {of_cpus}; memory: {megabytes} MB, {of_memory}"
    if request.low_mem:
        processes, reason = 1, f"{reason}; --low-mem"
    return Resources(
        cores=cpus,
        processes=processes,
        # Nobody knows here how many cores the workers of a cluster have.
        threads=request.omp_nthreads or (1 if scheduler else None),
        device=device,
        memory_mb=megabytes,
        step_timeout=request.step_timeout,
        reason=reason,
        scheduler=scheduler,
        without_tls=request.scheduler_without_tls,
    )


def _memory_mb(request: AppRequest) -> int | None:
    """Memory that is asked for, MB."""
    if request.mem_gb is not None:
        return int(request.mem_gb * 1024)
    if request.mem is None:
        return None
    memory = resources.parse_memory(request.mem)
    if memory == 0:
        raise UsageError(f"--mem {request.mem}: expected more than 0")
    return memory


def _filters(request: AppRequest) -> dict[str, dict[str, Any]]:
    """Filters of the file, and those that ``--run-id`` and ``--acq-id`` stand for."""
    given: Mapping[str, Mapping[str, Any]] = request.filters
    if request.bids_filter_file:
        given = read_filters(request.bids_filter_file)
    filters = {key: dict(rule) for key, rule in given.items()}
    for option, values, prefix, entity in (
        ("--run-id", request.run_id, "run-", "run"),
        ("--acq-id", request.acq_id, "acq-", "acquisition"),
    ):
        labels = _labels(option, values, prefix)
        # Without one for swi, the filter of t2starw holds for both.
        for key in T2STAR_KEYS if labels and "swi" in filters else T2STAR_KEYS[: bool(labels)]:
            if request.bids_filter_file and entity in filters.get(key, {}):
                raise UsageError(
                    f"{option}: --bids-filter-file already filters {key} by {entity}; remove "
                    "one of them"
                )
            filters.setdefault(key, {})[entity] = list(labels)
    return filters


def _spaces(given: Sequence[str]) -> tuple[str, ...]:
    """Standard spaces, each once, with their resolution."""
    if not given:
        return ()
    return tuple(dict.fromkeys(str(Space.parse(text)) for text in given))


def _labels(option: str, values: Sequence[str], prefix: str) -> tuple[str, ...]:
    """Labels of an option; a file or variable that is empty must not mean everybody."""
    found = plain_labels(_expand(option, values), prefix)
    if values and not found:
        raise UsageError(f"{option}: expected at least one label")
    return found


def _expand(option: str, values: Sequence[str]) -> list[str]:
    """Replace ``@FILE`` by the words of the file."""
    words: list[str] = []
    for value in values:
        if value.startswith("@"):
            try:
                words += Path(value[1:]).read_text(encoding="utf-8-sig").split()
            except (OSError, ValueError) as error:
                cause = f"cannot read the labels ({error}); expected a text file"
                raise UsageError(f"{option} {value}: {cause}") from error
        else:
            words.append(value)
    return words


def _folders(values: Sequence[str]) -> tuple[Path, ...]:
    """Folders of ``NAME=PATH`` or plain ``PATH``; the name is for people."""
    folders = []
    for value in values:
        path = Path(value)
        if not path.exists() and "=" in value:
            path = Path(value.partition("=")[2])
        if not path.is_dir():
            raise UsageError(
                f"-d {value}: no such folder; expected NAME=PATH of an existing folder"
            )
        folders.append(path.resolve())
    return tuple(folders)


def _absolute(path: Path | None) -> Path | None:
    # The TOML of a run is read in whichever folder its repetition is started.
    return None if path is None else path.absolute()


def _model(name: str) -> str:
    """A packaged name as it is, a folder as an absolute path."""
    if name in packaged_models() or not Path(name).exists():
        return name
    return str(Path(name).absolute())
