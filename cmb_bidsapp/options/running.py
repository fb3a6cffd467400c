"""Options of how a run goes, none of which changes a result but for the seed."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from cmb_bidsapp.core import defaults
from cmb_bidsapp.options.base import COUNT, Number, Range
from cmb_bidsapp.options.common import add_cores, add_device, add_seed

_NO_INDEX = "the app keeps no database of the dataset"

#: Options of other apps that are taken here as well: by name, their spellings, and why they do
#: nothing.
WITHOUT_EFFECT = MappingProxyType(
    {
        "bids_database_dir": (("--bids-database-dir",), _NO_INDEX),
        "bids_database_wipe": (("--bids-database-wipe",), _NO_INDEX),
        "skip_bids_validation": (
            ("--skip-bids-validation", "--skip_bids_validation", "--skip_bids_validator"),
            "the app does not run the BIDS validator",
        ),
        "notrack": (("--notrack",), "the app does not collect usage data"),
        "use_plugin": (
            ("--use-plugin",),
            "use --nprocs to run sessions in parallel, or the verb slurm on a cluster",
        ),
    }
)

#: Those that take a path.
_WITH_PATH = MappingProxyType({"bids_database_dir": "DIR", "use_plugin": "FILE"})


def add_without_effect(group: argparse._ArgumentGroup, *names: str) -> None:
    """Add options of :data:`WITHOUT_EFFECT`; a run warns that they do nothing.

    Parameters
    ----------
    group
        Group of options that gets them.
    names
        Keys of :data:`WITHOUT_EFFECT`.
    """
    for name in names:
        spellings, why = WITHOUT_EFFECT[name]
        takes: dict[str, Any] = {"action": "store_true"}
        if name in _WITH_PATH:
            takes = {"type": Path, "metavar": _WITH_PATH[name]}
        group.add_argument(
            *spellings, help=f"no effect, accepted for compatibility: {why}", **takes
        )


def add_resources(machine: argparse._ArgumentGroup) -> None:
    """Options of what a run may use, and where."""
    add_cores(
        machine,
        "--n-procs",
        "--n_procs",
        "--nthreads",
        "--n_cpus",
        "--n-cpus",
        "-n-cpus",
        "--ncpus",
        what="total number of CPU cores (default: all available)",
    )
    machine.add_argument(
        "--omp-nthreads",
        action=Number,
        type=int,
        within=COUNT,
        metavar="N",
        help="number of cores per session (default: 1, or up to 4 if there are fewer "
        "participants than cores)",
    )
    machine.add_argument(
        "--mem",
        "--mem_mb",
        "--mem-mb",
        dest="mem",
        metavar="MB",
        help="memory limit: 8000 (MB), 8G or 1.5GB (default: all available)",
    )
    machine.add_argument(
        "--mem-gb",
        action=Number,
        type=float,
        within=Range(low=0, low_included=False, unit="GB"),
        metavar="GB",
        help="memory limit in GB",
    )
    machine.add_argument(
        "--low-mem",
        action="store_true",
        help="process one session at a time, regardless of the available memory",
    )
    add_device(machine)
    machine.add_argument(
        "--scheduler-file",
        type=Path,
        metavar="FILE",
        help="scheduler file of a Dask cluster; sessions run on its workers",
    )
    machine.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="address of the Dask scheduler, such as tls://host:8786",
    )
    machine.add_argument(
        "--scheduler-without-tls",
        action="store_true",
        help="allow a scheduler on another machine without TLS. Anyone who can reach it can "
        "run any code as you",
    )
    machine.add_argument(
        "-w",
        "--work-dir",
        type=Path,
        metavar="DIR",
        help="working directory for temporary files, outside BIDS_DIR (default: temporary "
        "directory of the system)",
    )
    machine.add_argument(
        "--clean-workdir",
        action="store_true",
        help="first remove temporary files that earlier runs left in -w. No other run may be "
        "using that folder",
    )
    machine.add_argument(
        "--keep-workdir",
        choices=get_args(defaults.KeepWorkdir),
        default="never",
        help="which sessions keep their working directory: none, the failed ones, or all "
        "(default: %(default)s)",
    )


def add_control(control: argparse._ArgumentGroup) -> None:
    """Options of how a run is controlled."""
    control.add_argument(
        "--dry-run", action="store_true", help="show what would be processed and why, then exit"
    )
    control.add_argument(
        "--config-file",
        type=Path,
        metavar="FILE",
        help="repeat a run from its OUTPUT_DIR/logs/*/cmb_bidsapp.toml. Options on the "
        "command line take precedence, and resources are those of this machine. "
        "BIDS_DIR, OUTPUT_DIR and level may be omitted",
    )
    control.add_argument(
        "--reports-only",
        action="store_true",
        help="only rewrite the participant reports from existing results; process no session",
    )
    control.add_argument("--force", action="store_true", help="rerun sessions that are up to date")
    control.add_argument(
        "--stop-on-first-crash", action="store_true", help="stop the run at the first failure"
    )
    control.add_argument(
        "--step-timeout",
        action=Number,
        type=float,
        within=Range(low=0, low_included=False, unit="minutes"),
        metavar="MINUTES",
        help="stop a session if one of its steps takes longer than this (default: no limit)",
    )
    add_seed(
        control,
        "random seed for the registrations and the confidence intervals (default: %(default)s)",
    )
    control.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="-v: log which images were chosen for every session and why, and what libraries "
        "say; -vv: also log the output of external programs and all details",
    )
    control.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    add_without_effect(control, "notrack", "use_plugin")
