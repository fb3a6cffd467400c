"""The command line: a verb and its options in, an exit code out.

Each verb parses its options, and only then imports what it needs: torch, ants, nnU-Net, matplotlib
and pybids stay off the way of ``--help``, ``--version`` and mistyped options.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from cmb_bidsapp.core.home import provide_home
from cmb_bidsapp.core.outcome import carried_out
from cmb_bidsapp.options.parser import build_parser
from cmb_bidsapp.options.verbs import (
    convert_parser,
    demo_parser,
    evaluate_parser,
    simulate_parser,
    slurm_parser,
    train_parser,
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
        "slurm": _slurm,
        "doctor": _doctor,
    }

    def work() -> int:
        if arguments and arguments[0] in verbs:
            provide_home()
            return verbs[arguments[0]](arguments[1:])
        return _bids_app(arguments)

    return carried_out(work, debug="--debug" in arguments)


def _bids_app(arguments: list[str]) -> int:
    given = build_parser().parse_args(arguments)
    from cmb_bidsapp.levels.run import run_app
    from cmb_bidsapp.options.resolve import resolve

    return run_app(resolve(given))


def _demo(arguments: list[str]) -> int:
    given = demo_parser().parse_args(arguments)
    from cmb_bidsapp.demo import run_demo

    return run_demo(given.folder)


def _simulate(arguments: list[str]) -> int:
    given = simulate_parser().parse_args(arguments)
    from cmb_bidsapp.simulate.run import run_simulation

    return run_simulation(given)


def _convert(arguments: list[str]) -> int:
    given = convert_parser().parse_args(arguments)
    from cmb_bidsapp.convert.run import run_conversion

    return run_conversion(given)


def _train(arguments: list[str]) -> int:
    given = train_parser().parse_args(arguments)
    if given.what == "calibrate":
        from cmb_bidsapp.train.calibrate import run_calibration

        return run_calibration(given.bundle, given.evaluation)
    if given.what == "implants":
        from cmb_bidsapp.train.run import run_implanting

        return run_implanting(given)
    if given.what == "second-look":
        from cmb_bidsapp.train.run import run_second_look

        return run_second_look(given)
    from cmb_bidsapp.options.resolve import choose_device
    from cmb_bidsapp.train.run import run_training

    return run_training(given, choose_device(given.device))


def _evaluate(arguments: list[str]) -> int:
    given = evaluate_parser().parse_intermixed_args(arguments)
    from cmb_bidsapp.levels.evaluation import run_evaluation

    return run_evaluation(given)


def _doctor(arguments: list[str]) -> int:
    from cmb_bidsapp.options.doctor import doctor_parser, needs_of

    given = doctor_parser().parse_args(arguments)
    from cmb_bidsapp.levels.doctor import run_doctor
    from cmb_bidsapp.options.resolve import choose_device

    return run_doctor(needs_of(given), choose_device, as_json=given.json)


def _slurm(arguments: list[str]) -> int:
    wanted, command = slurm_parser().parse_known_args(arguments)
    from cmb_bidsapp.callers.slurm import write_script

    write_script(wanted, command)
    return 0
