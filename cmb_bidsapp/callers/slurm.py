"""A Slurm script: the participant level as an array of tasks, the group level after it.

The script is all there is to it: Slurm schedules, and the stamps make a task that is submitted
again do only what is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shlex
import sys
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import Console

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.outputs import write_text
from cmb_bidsapp.callers.options import as_arguments, groups_of, options_of, paths_in
from cmb_bidsapp.core.errors import UnavailableError, UsageError
from cmb_bidsapp.core.resources import parse_memory
from cmb_bidsapp.levels.participant import chosen, show_choice
from cmb_bidsapp.options.parser import build_parser
from cmb_bidsapp.options.resolve import choose_device, read_settings

#: A task's share of a node, where nothing else is asked for.
SHARE = ("--nprocs", "4", "--mem", "8G")

#: Options that the script words itself: the choice of participants is made when it is written.
WORDED = ("participant_label", "exclude_participant_label", "nprocs", "mem", "work_dir")

#: Title of the options that the participant level refuses.
GROUP_ONLY = "group level"

#: What the group level does without.
PARTICIPANT_ONLY = ("device",)


def write_script(wanted: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Write the script for a command line of the app, and say how to submit it.

    Parameters
    ----------
    wanted
        Options of the verb.
    arguments
        The command line as it would be without Slurm.

    Raises
    ------
    UsageError
        Either cannot be carried out.
    NoInputError, DataError
        There is nothing to process.
    """
    words = [*SHARE, *arguments]
    given = build_parser().parse_args(words)
    _check(wanted, given)
    with contextlib.suppress(UnavailableError):
        # Where jobs are submitted there is no GPU, as a rule.
        choose_device(given.device)
    with contextlib.redirect_stdout(io.StringIO()):
        settings = read_settings([*words, "--device", "cpu"])
    choice = chosen(settings)
    show_choice(choice, Console(), everything=False)
    participants = list(dict.fromkeys(session.participant for session in choice.sessions))
    write_text(wanted.script, render(wanted, given, participants))
    print(f"{len(participants)} participants; submit with: bash {shlex.quote(str(wanted.script))}")


def render(
    wanted: argparse.Namespace, given: argparse.Namespace, participants: Sequence[str]
) -> str:
    """Text of the script.

    Parameters
    ----------
    wanted
        Options of the verb.
    given
        The command line of the app, parsed.
    participants
        Labels, without ``sub-``, in the order of the tasks.
    """
    each = wanted.participants_per_task
    tasks = [
        ",".join(participants[first : first + each]) for first in range(0, len(participants), each)
    ]
    parser = build_parser()
    group_only = [action.dest for action in groups_of(parser)[GROUP_ONLY]]
    paths = list(paths_in(options_of(parser), given, WORDED))

    def words(*leave_out: str) -> str:
        return shlex.join(as_arguments(options_of(parser), given, (*WORDED, *leave_out)))

    environment = Environment(
        loader=PackageLoader("cmb_bidsapp.callers", "."),
        autoescape=False,  # noqa: S701 (bash, not HTML; what is given is quoted)
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["quote"] = shlex.quote
    program = [sys.executable, "-m", "cmb_bidsapp"]
    if wanted.program:
        program = [str(wanted.program.absolute())]
    return environment.get_template("slurm.sh").render(
        version=__version__,
        participants=len(participants),
        tasks=tasks,
        array=f"0-{len(tasks) - 1}" + (f"%{wanted.at_most}" if wanted.at_most else ""),
        group="group" in given.level,
        cpus=given.nprocs,
        memory_mb=parse_memory(given.mem),
        gpu=given.device.startswith("cuda"),
        time=wanted.time,
        directives=wanted.sbatch,
        bids_dir=str(given.bids_dir.resolve()),
        out_dir=str(given.output_dir.resolve()),
        scratch=str(given.work_dir.absolute()) if given.work_dir else None,
        image=str(wanted.image.absolute()) if wanted.image else None,
        licence=given.parcellation == "freesurfer" and given.fs_license_file is None,
        binds=[f"{path}:{path}:{'rw' if made else 'ro'}" for path, made in paths],
        folders=[str(path) for path, made in paths if made],
        program=shlex.join(program),
        participant_options=words(*group_only),
        group_options=words(*PARTICIPANT_ONLY),
    )


def _check(wanted: argparse.Namespace, given: argparse.Namespace) -> None:
    """Refuse what only the script would run into."""
    problems = []

    def expect(holds: bool, text: str) -> None:
        if not holds:
            problems.append(text)

    expect(
        "participant" in given.level, "the participant level is expected; group alone is one job"
    )
    expect(wanted.participants_per_task > 0, "--participants-per-task: at least 1 is expected")
    expect(wanted.at_most is None or wanted.at_most > 0, "--at-most: at least 1 is expected")
    expect(not wanted.image or wanted.image.is_file(), f"--image {wanted.image}: not a file")
    program = wanted.program
    expect(
        not program or (program.is_file() and os.access(program, os.X_OK)),
        f"--program {program}: not a file that can be executed",
    )
    for line in (wanted.time, *wanted.sbatch):
        expect("\n" not in line, f"{line!r}: one line is expected")
    if wanted.image:
        paths = [path for path, _ in paths_in(options_of(build_parser()), given)]
        for path in (given.bids_dir, given.output_dir, *paths):
            named = str(path.absolute())
            expect(not set(":,") & set(named), f"{named}: apptainer mounts no name with : or ,")
    if problems:
        raise UsageError("\n".join(problems))
