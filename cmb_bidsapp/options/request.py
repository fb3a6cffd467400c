"""What a command line of the BIDS-App signature asks for, before any machine is looked at."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmb_bidsapp.core.defaults import CfprMode, KeepWorkdir, PhaseRule, ProxyRules
from cmb_bidsapp.core.request import Request
from cmb_bidsapp.options.base import as_request
from cmb_bidsapp.options.config import read_config
from cmb_bidsapp.options.parser import POSITIONALS, build_parser


@dataclass(frozen=True, kw_only=True)
class AppRequest(Request):
    """Options of the app, by their names; see ``cmb_bidsapp --help``.

    ``filters`` is no option: it holds the filters of a ``--config-file``, where no
    ``--bids-filter-file`` takes their place.
    """

    bids_dir: Path
    output_dir: Path
    level: tuple[str, ...]
    participant_label: tuple[str, ...]
    exclude_participant_label: tuple[str, ...]
    session_label: tuple[str, ...]
    run_id: tuple[str, ...]
    acq_id: tuple[str, ...]
    bids_filter_file: Path | None
    filters: Mapping[str, Mapping[str, Any]]
    bids_database_dir: Path | None
    bids_database_wipe: bool
    skip_bids_validation: bool
    brain_extraction: str
    parcellation: str
    derivatives: tuple[str, ...]
    fs_subjects_dir: Path | None
    fs_license_file: Path | None
    fs_no_reconall: bool
    fs_no_resume: bool
    proxy_rules: ProxyRules
    jhu_atlas: Path | None
    model: str
    folds: tuple[str, ...]
    tta: bool
    operating_point: str | None
    threshold: float | None
    cfpr: bool
    cfpr_mode: CfprMode
    cfpr_radius: float
    cfpr_ratio: float
    phase_rule: PhaseRule
    min_size: float
    baseline_limit: int
    sensitivity: int
    output_spaces: tuple[str, ...]
    reference_derivatives: Path | None
    ratings: Path | None
    nprocs: int | None
    omp_nthreads: int | None
    mem: str | None
    mem_gb: float | None
    low_mem: bool
    device: str
    scheduler_file: Path | None
    scheduler: str | None
    scheduler_without_tls: bool
    work_dir: Path | None
    clean_workdir: bool
    keep_workdir: KeepWorkdir
    config_file: Path | None
    dry_run: bool
    reports_only: bool
    force: bool
    stop_on_first_crash: bool
    step_timeout: float | None
    random_seed: int
    verbose: int
    debug: bool
    notrack: bool
    use_plugin: Path | None


def read_request(arguments: Sequence[str]) -> AppRequest:
    """Parse a command line of the app; what a ``--config-file`` holds stands in for defaults.

    Numbers out of range pass; :func:`cmb_bidsapp.options.resolve.resolve` tells them together with
    everything else.

    Raises
    ------
    UsageError
        The words make no command line, or the configuration file cannot be used.
    """
    words, past = list(arguments), _past_run(arguments)
    if past and not positionals_of(words):
        words = [str(past["bids_dir"]), str(past["output_dir"]), *past["level"], *words]
    parser = build_parser()
    defaults = {action.dest: action.default for action in parser._actions}
    # What has a value already gets no default.
    given = parser.parse_args(words, argparse.Namespace(**dict.fromkeys(defaults)))
    typed = {name: value for name, value in vars(given).items() if value is not None}
    if {"threshold", "operating_point", "model"} & typed.keys():
        past.pop("threshold", None)  # it belongs to the model and operating point of that run
    if "bids_filter_file" in typed:
        past.pop("filters", None)
    if "group" not in typed["level"]:
        past = {k: v for k, v in past.items() if k not in ("reference_derivatives", "ratings")}
    return as_request(AppRequest, {"filters": {}, **defaults, **past, **typed})


def _past_run(arguments: Sequence[str]) -> dict[str, Any]:
    """Options of the run whose configuration file is named; none where there is no such file."""
    look = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    look.add_argument("--config-file", nargs="?", type=Path)
    path = look.parse_known_args(arguments)[0].config_file
    if path is None:
        return {}
    return read_config(path)


def positionals_of(words: Sequence[str]) -> list[str]:
    """Words that belong to no option."""
    parser = build_parser()
    for action in [one for one in parser._actions if one.dest in POSITIONALS]:
        parser._remove_action(action)
    return parser.parse_known_args(words)[1]
