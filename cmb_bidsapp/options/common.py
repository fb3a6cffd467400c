"""Options that several verbs have, written once."""

from __future__ import annotations

import argparse

from cmb_bidsapp.options.base import COUNT, NOT_NEGATIVE, Number

#: Parsers and groups of their options alike.
Options = argparse.ArgumentParser | argparse._ArgumentGroup


def add_participants(options: Options) -> None:
    """Options that choose participants by label."""
    for option, what in (
        ("--participant-label", "participants to use (default: all)"),
        ("--exclude-participant-label", "participants to exclude (default: none)"),
    ):
        options.add_argument(
            option,
            nargs="+",
            default=(),
            metavar="LABEL",
            help=f"{what}, with or without sub-",
        )


def add_seed(
    options: Options, what: str = "seed of the random numbers (default: %(default)s)"
) -> None:
    """Option for the seed of the random numbers.

    Parameters
    ----------
    options
        Parser, or group of options, that gets it.
    what
        Text of the help.
    """
    options.add_argument(
        "--random-seed",
        action=Number,
        type=int,
        within=NOT_NEGATIVE,
        default=0,
        metavar="N",
        help=what,
    )


def add_cores(options: Options, *spellings: str, what: str, default: int | None = None) -> None:
    """Option ``--nprocs``, with other spellings of it.

    Parameters
    ----------
    options
        Parser, or group of options, that gets it.
    what
        Text of the help.
    default
        Number of cores where none is given.
    spellings
        Other names of the option, with their dashes.
    """
    options.add_argument(
        "--nprocs",
        *spellings,
        action=Number,
        type=int,
        within=COUNT,
        default=default,
        metavar="N",
        dest="nprocs",
        help=what,
    )


def add_device(
    options: Options,
    what: str | None = "where the networks run. auto: the GPU if there is one, otherwise the CPU",
) -> None:
    """Option for the device that networks run on.

    Parameters
    ----------
    options
        Parser, or group of options, that gets it.
    what
        Text of the help.
    """
    options.add_argument("--device", default="auto", metavar="{auto,cpu,cuda,cuda:N}", help=what)
