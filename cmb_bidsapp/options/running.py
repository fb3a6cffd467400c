"""Options of how a run goes, none of which changes a result but for the seed."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from cmb_bidsapp.core import defaults
from cmb_bidsapp.options.base import COUNT, Number, Range
from cmb_bidsapp.options.common import add_cores, add_device, add_seed

_NO_INDEX = "no index of the dataset is kept"

#: Options of other apps that are taken here as well: by name, their spellings, and why they do
#: nothing.
WITHOUT_EFFECT = MappingProxyType(
    {
        "bids_database_dir": (("--bids-database-dir",), _NO_INDEX),
        "bids_database_wipe": (("--bids-database-wipe",), _NO_INDEX),
        "skip_bids_validation": (
            ("--skip-bids-validation", "--skip_bids_validation", "--skip_bids_validator"),
            "the dataset is not validated here",
        ),
        "notrack": (("--notrack",), "nothing is tracked"),
        "use_plugin": (
            ("--use-plugin",),
            "sessions run side by side (--nprocs), on a cluster by the verb slurm",
        ),
    }
)

#: Those that take a path.
_WITH_PATH = MappingProxyType({"bids_database_dir": "DIR", "use_plugin": "FILE"})


def add_without_effect(group: argparse._ArgumentGroup, *names: str) -> None:
    """Add options of :data:`WITHOUT_EFFECT`; a run tells that they do nothing.

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
        group.add_argument(*spellings, help=f"accepted without effect: {why}", **takes)


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
        what="cores in all (default: what is available)",
    )
    machine.add_argument(
        "--omp-nthreads",
        action=Number,
        type=int,
        within=COUNT,
        metavar="N",
        help="cores of one session (default: at most 4)",
    )
    machine.add_argument(
        "--mem",
        "--mem_mb",
        "--mem-mb",
        dest="mem",
        metavar="MB",
        help="memory: 8000 (MB), 8G, 1.5GB (default: what is available)",
    )
    machine.add_argument(
        "--mem-gb",
        action=Number,
        type=float,
        within=Range(low=0, low_included=False, unit="GB"),
        metavar="GB",
        help="the same in GB",
    )
    machine.add_argument(
        "--low-mem",
        action="store_true",
        help="one session at a time, however much memory there seems to be",
    )
    add_device(machine)
    machine.add_argument(
        "--scheduler-file",
        type=Path,
        metavar="FILE",
        help="run sessions on the workers of the dask cluster that FILE belongs to",
    )
    machine.add_argument(
        "--scheduler", metavar="ADDRESS", help="the same by address, such as tls://host:8786"
    )
    machine.add_argument(
        "--scheduler-without-tls",
        action="store_true",
        help="use a scheduler on another machine without TLS: whoever reaches it runs what they "
        "like as you",
    )
    machine.add_argument(
        "-w",
        "--work-dir",
        type=Path,
        metavar="DIR",
        help="scratch; never inside BIDS_DIR (default: that of the system)",
    )
    machine.add_argument(
        "--clean-workdir",
        action="store_true",
        help="first remove scratch that earlier runs left in -w; no other run may use that folder",
    )
    machine.add_argument(
        "--keep-workdir",
        choices=get_args(defaults.KeepWorkdir),
        default="never",
        help="whose scratch stays: nobody's, that of failed sessions, everybody's "
        "(default: %(default)s)",
    )


def add_control(control: argparse._ArgumentGroup) -> None:
    """Options of how a run is controlled."""
    control.add_argument(
        "--dry-run", action="store_true", help="show what would be processed, and why"
    )
    control.add_argument(
        "--config-file",
        type=Path,
        metavar="FILE",
        help="repeat a run from its OUTPUT_DIR/logs/*/cmb_bidsapp.toml; options typed besides win, "
        "resources are this machine's. BIDS_DIR, OUTPUT_DIR and level may be left out",
    )
    control.add_argument(
        "--reports-only",
        action="store_true",
        help="write the participants' reports of results that are there; no session runs",
    )
    control.add_argument("--force", action="store_true", help="run what is up to date again")
    control.add_argument(
        "--stop-on-first-crash", action="store_true", help="stop everything at the first failure"
    )
    control.add_argument(
        "--step-timeout",
        action=Number,
        type=float,
        within=Range(low=0, low_included=False, unit="minutes"),
        metavar="MINUTES",
        help="stop a session one of whose steps takes longer (default: no limit)",
    )
    add_seed(control, "of the registrations and the intervals (default: %(default)s)")
    control.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="-v: what is chosen of every session, and why; -vv: what libraries and programs print",
    )
    control.add_argument("--debug", action="store_true", help="show tracebacks")
    add_without_effect(control, "notrack", "use_plugin")
