"""A Slurm script: the participant level as an array of tasks, the group level after it.

The script is all there is to it: Slurm schedules, and the stamps make a task that is submitted
again do only what is missing.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import Console

from cmb_bidsapp import __version__
from cmb_bidsapp.anatomy.backends import BACKENDS
from cmb_bidsapp.bids.outputs import write_text
from cmb_bidsapp.callers.options import as_arguments, groups_of, options_of, paths_in
from cmb_bidsapp.core.errors import UnavailableError, UsageError
from cmb_bidsapp.core.resources import choose_device, cuda_devices, parse_memory, this_machine
from cmb_bidsapp.levels.participant import chosen, show_choice
from cmb_bidsapp.options.parser import build_parser
from cmb_bidsapp.options.request import AppRequest
from cmb_bidsapp.options.resolve import resolve
from cmb_bidsapp.options.verbs import SlurmRequest

#: A task's share of a node, where nothing else is asked for: cores, and memory.
CORES, MEMORY = 4, "8G"

#: Options that the script words itself: the choice of participants is made when it is written.
WORDED = (
    "participant_label",
    "exclude_participant_label",
    "nprocs",
    "mem",
    "mem_gb",
    "work_dir",
)

#: Title of the options that the participant level refuses.
GROUP_ONLY = "group level"

#: What the group level does without.
PARTICIPANT_ONLY = ("device",)


def write_script(request: SlurmRequest, wanted: AppRequest) -> None:
    """Write the script for a command line of the app, and say how to submit it.

    Parameters
    ----------
    request
        Options of the verb.
    wanted
        The command line as it would be without Slurm.

    Raises
    ------
    UsageError
        Either cannot be carried out.
    NoInputError, DataError
        There is nothing to process.
    """
    memory = f"{wanted.mem_gb:g}G" if wanted.mem_gb else wanted.mem or MEMORY
    wanted = replace(wanted, nprocs=wanted.nprocs or CORES, mem=memory, mem_gb=None)
    _check(request, wanted)
    with contextlib.suppress(UnavailableError):
        # Where jobs are submitted there is no GPU, as a rule.
        choose_device(wanted.device, cuda_devices)
    settings = resolve(replace(wanted, device="cpu"), this_machine())
    choice = chosen(settings)
    show_choice(choice, Console(), everything=wanted.verbose > 0)
    participants = list(dict.fromkeys(session.participant for session in choice.sessions))
    write_text(request.script, render(request, wanted, participants))
    print(f"{len(participants)} participants; submit with: bash {shlex.quote(str(request.script))}")


def render(request: SlurmRequest, wanted: AppRequest, participants: Sequence[str]) -> str:
    """Text of the script.

    Parameters
    ----------
    request
        Options of the verb.
    wanted
        The command line of the app, with ``nprocs`` and ``mem`` of each task.
    participants
        Labels, without ``sub-``, in the order of the tasks.
    """
    each = request.participants_per_task
    tasks = [
        ",".join(participants[first : first + each]) for first in range(0, len(participants), each)
    ]
    parser = build_parser()
    group_only = [action.dest for action in groups_of(parser)[GROUP_ONLY]]
    paths = list(paths_in(options_of(parser), wanted, WORDED))

    def words(*leave_out: str) -> str:
        return shlex.join(as_arguments(options_of(parser), wanted, (*WORDED, *leave_out)))

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
    if request.program:
        program = [str(request.program.absolute())]
    return environment.get_template("slurm.sh").render(
        version=__version__,
        participants=len(participants),
        tasks=tasks,
        array=f"0-{len(tasks) - 1}"
        + (f"%{request.max_concurrent}" if request.max_concurrent else ""),
        group="group" in wanted.level,
        cpus=wanted.nprocs or CORES,
        memory_mb=parse_memory(wanted.mem or MEMORY),
        gpu=wanted.device.startswith("cuda"),
        time=request.time,
        directives=request.sbatch,
        bids_dir=str(wanted.bids_dir.resolve()),
        out_dir=str(wanted.output_dir.resolve()),
        scratch=str(wanted.work_dir.absolute()) if wanted.work_dir else None,
        image=str(request.image.absolute()) if request.image else None,
        license=BACKENDS[wanted.parcellation].licensed and wanted.fs_license_file is None,
        binds=[f"{path}:{path}:{'rw' if made else 'ro'}" for path, made in paths],
        folders=[str(path) for path, made in paths if made],
        program=shlex.join(program),
        participant_options=words(*group_only),
        group_options=words(*PARTICIPANT_ONLY),
    )


def _check(request: SlurmRequest, wanted: AppRequest) -> None:
    """Refuse what only the script would run into."""
    problems = []
    if "participant" not in wanted.level:
        problems.append(
            "the participant level is missing; run the group level alone as an ordinary job"
        )
    if wanted.keep_workdir != "never" or wanted.clean_workdir:
        problems.append(
            "--keep-workdir and --clean-workdir: not supported with slurm; each task deletes its "
            "scratch"
        )
    if request.image:
        paths = [path for path, _ in paths_in(options_of(build_parser()), wanted)]
        for path in (wanted.bids_dir, wanted.output_dir, *paths):
            named = str(path.absolute())
            if set(":,") & set(named):
                problems.append(f"{named}: Apptainer cannot mount paths that contain : or ,")
    if problems:
        raise UsageError("\n".join(problems))
