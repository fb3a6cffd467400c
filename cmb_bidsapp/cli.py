"""The command line: a verb and its options in, an exit code out.

Each verb reads its request, and only then imports what it needs: torch, ants, nnU-Net, matplotlib
and pybids stay off the way of ``--help``, ``--version`` and mistyped options.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from difflib import get_close_matches
from pathlib import Path

from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.core.home import provide_home
from cmb_bidsapp.core.logs import show_logs
from cmb_bidsapp.core.outcome import carried_out
from cmb_bidsapp.core.resources import this_machine
from cmb_bidsapp.options.adapt import read_adaptation
from cmb_bidsapp.options.doctor import read_doctor
from cmb_bidsapp.options.parser import LEVELS
from cmb_bidsapp.options.request import read_request
from cmb_bidsapp.options.sensitivity import read_sensitivity
from cmb_bidsapp.options.train import read_training
from cmb_bidsapp.options.verbs import (
    read_conversion,
    read_demo,
    read_evaluation,
    read_simulation,
    read_slurm,
)
from cmb_bidsapp.train.request import (
    AnatomyRequest,
    CalibrationRequest,
    ImplantsRequest,
    LesionsRequest,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verbs: dict[str, Callable[[list[str]], int]] = {
        "demo": _demo,
        "simulate": _simulate,
        "convert": _convert,
        "train": _train,
        "evaluate": _evaluate,
        "sensitivity": _sensitivity,
        "adapt": _adapt,
        "slurm": _slurm,
        "doctor": _doctor,
    }

    def work() -> int:
        if arguments and arguments[0] in verbs:
            provide_home()
            return verbs[arguments[0]](arguments[1:])
        if sorted(arguments) == ["--long", "--version"]:
            return _long_version()
        _refuse_mistyped(arguments, verbs)
        return _bids_app(arguments)

    return carried_out(work, debug="--debug" in arguments)


def _refuse_mistyped(arguments: Sequence[str], verbs: Collection[str]) -> None:
    """Name the nearest verb where the first word is neither one nor a dataset."""
    first = arguments[0] if arguments else ""
    if set(LEVELS) & set(arguments) or Path(first).exists():
        return
    if near := get_close_matches(first, verbs, n=1):
        raise UsageError(
            f"{first}: not a verb, and no such folder; did you mean cmb_bidsapp "
            f"{near[0]}?\nusage: see cmb_bidsapp --help"
        )


def _long_version() -> int:
    from cmb_bidsapp.options.version import long_version

    print(long_version())
    return 0


def _bids_app(arguments: list[str]) -> int:
    request = read_request(arguments)
    show_logs(request.verbose)
    from cmb_bidsapp.levels.run import run_app
    from cmb_bidsapp.options.resolve import resolve

    return run_app(resolve(request, this_machine()))


def _demo(arguments: list[str]) -> int:
    folder = read_demo(arguments)
    from cmb_bidsapp.demo import run_demo

    return run_demo(folder)


def _simulate(arguments: list[str]) -> int:
    request = read_simulation(arguments)
    from cmb_bidsapp.simulate.run import run_simulation

    return run_simulation(request)


def _convert(arguments: list[str]) -> int:
    request = read_conversion(arguments)
    from cmb_bidsapp.convert.run import run_conversion

    return run_conversion(request)


def _train(arguments: list[str]) -> int:
    request = read_training(arguments)
    if isinstance(request, CalibrationRequest):
        from cmb_bidsapp.train.calibrate import run_calibration

        return run_calibration(request.bundle, request.evaluation)
    from cmb_bidsapp.train import run

    if isinstance(request, AnatomyRequest):
        return run.run_anatomy_training(request)
    if isinstance(request, LesionsRequest):
        return run.run_lesion_training(request)
    if isinstance(request, ImplantsRequest):
        return run.run_implanting(request)
    return run.run_second_look(request)


def _evaluate(arguments: list[str]) -> int:
    request = read_evaluation(arguments)
    from cmb_bidsapp.levels.evaluation import run_evaluation

    return run_evaluation(request)


def _sensitivity(arguments: list[str]) -> int:
    request = read_sensitivity(arguments)
    from cmb_bidsapp.levels.sensitivity import run_sensitivity

    return run_sensitivity(request, this_machine())


def _adapt(arguments: list[str]) -> int:
    request = read_adaptation(arguments)
    from cmb_bidsapp.train.adapt import run_adaptation

    return run_adaptation(request)


def _doctor(arguments: list[str]) -> int:
    request = read_doctor(arguments)
    from cmb_bidsapp.levels.doctor import run_doctor

    return run_doctor(request, this_machine())


def _slurm(arguments: list[str]) -> int:
    request, command = read_slurm(arguments)
    wanted = read_request(command)
    from cmb_bidsapp.callers.slurm import write_script

    write_script(request, wanted)
    return 0
