"""Runs programs that are not ours, in a group of processes that never outlives us."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NoReturn

from cmb_bidsapp.core.errors import CommandMissingError, DataError, TemporaryError
from cmb_bidsapp.core.signals import signals_interrupt

#: Time between asking a program to stop and killing it, s.
GRACE = 5.0

#: How much of an output an error quotes: lines, and characters at most.
QUOTED_LINES, QUOTED_CHARACTERS = 10, 1500

#: What a signal most likely means.
CAUSES = {
    signal.SIGKILL: "most likely out of memory; give more memory or run fewer sessions at once",
    signal.SIGTERM: "stopped by the scheduler, most likely at its time limit; give more time",
    signal.SIGSEGV: "a crash of the program",
    signal.SIGABRT: "a crash of the program",
}

#: What shells and GNU time say of a killed child whose parent ends with a status of its own.
KILLED = re.compile(r"\bKilled\b|\bterminated by signal 9\b")

#: Waits for our end of its pipe to close, as any death of ours closes it; then kills the group.
#: A SIGKILL leaves us no other way, short of code between fork and exec.
WATCH = 'read -r group && { read -r _; kill -s KILL -- "-$group"; }'


def require(command: str, instead: str, path: str | None = None) -> None:
    """Make sure that a program is installed.

    Parameters
    ----------
    command
        Name or path of the program.
    instead
        What the user may choose where it is not, for example ``--brain-extraction embedded``.
    path
        Folders to look in, as in ``PATH``, which is the default.

    Raises
    ------
    CommandMissingError
        It is not installed.
    """
    if shutil.which(command, path=path) is None:
        raise CommandMissingError(
            f"{command} is not installed; use the app's `full` image, which has FreeSurfer and "
            f"SynthStrip, or choose {instead}"
        )


def run(
    argv: Sequence[str],
    *,
    instead: str,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
    own_log: Path | None = None,
) -> None:
    """Run a program to its end.

    It runs in a session of its own. However we leave, by an exception, Ctrl-C, SIGTERM or even
    SIGKILL, the program and all that it started are stopped. In the main thread a SIGTERM
    arrives as ``KeyboardInterrupt`` while the program runs, so that callers can clear up.

    Parameters
    ----------
    argv
        Program and arguments; no shell reads them.
    instead
        What the user may choose where the program is not installed.
    environment
        Variables beside or in place of ours.
    log
        Text file that standard output and error are added to; without it they are kept only
        to be quoted.
    own_log
        Text file that the program itself writes to; where it grew, errors quote what was added
        instead of the output.

    Raises
    ------
    CommandMissingError
        It, or the interpreter of a script, is not installed.
    TemporaryError
        It, or what it ran (status 128 + n, or its last lines say so), was killed by a signal.
    DataError
        It failed; the message has its status and its last lines.
    """
    variables = {**os.environ, **(environment or {})}
    require(argv[0], instead, variables.get("PATH"))
    grew_from = own_log.stat().st_size if own_log is not None and own_log.exists() else 0
    with _output(log) as output, signals_interrupt():
        start = output.seek(0, os.SEEK_END)
        status = _run_group(argv, variables, output)
        if status == 0:
            return
        printed, logged = _last_lines(output, start), ""
    if own_log is not None and own_log.exists():
        with own_log.open("rb") as stream:
            logged = _last_lines(stream, grew_from)
    # A shell may tell of a killed child in the output alone.
    killed = KILLED.search(f"{printed} {logged}") is not None
    _fail(Path(argv[0]).name, status, logged or printed, step_killed=killed)


def _run_group(argv: Sequence[str], variables: Mapping[str, str], output: IO[bytes]) -> int:
    """Status of a program, as ``subprocess`` has it; nobody of its group is left."""
    with _watcher() as watcher:
        try:
            # A file, not a pipe: whoever inherits a pipe and stays could keep us waiting.
            child = subprocess.Popen(
                list(argv),
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except FileNotFoundError as error:  # a csh script on a machine without csh
            raise CommandMissingError(
                f"{argv[0]} exists, but the interpreter in its first line does not"
            ) from error
        try:
            watcher.write(b"%d\n" % child.pid)
            return child.wait()
        finally:
            _stop(child)


@contextlib.contextmanager
def _output(log: Path | None) -> Iterator[IO[bytes]]:
    if log is None:
        with tempfile.TemporaryFile() as stream:
            yield stream
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a+b") as stream:
        yield stream


@contextlib.contextmanager
def _watcher() -> Iterator[IO[bytes]]:
    """Start the process that outlives us; it is to be told the group."""
    with subprocess.Popen(
        ["/bin/sh", "-c", WATCH],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as shell:
        assert shell.stdin is not None
        try:
            yield shell.stdin
        finally:
            shell.kill()


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Stop all processes of a group: those that do not heed SIGTERM in time are killed."""
    gone = (ProcessLookupError, PermissionError)  # macOS denies signals to the unburied dead
    try:
        os.killpg(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline:
            child.poll()
            os.killpg(child.pid, 0)
            time.sleep(0.05)
    except gone:
        pass
    finally:
        with contextlib.suppress(*gone):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _last_lines(stream: IO[bytes], start: int) -> str:
    """Last lines of a text file after byte ``start``, in one line."""
    end = stream.seek(0, os.SEEK_END)
    stream.seek(max(start, end - 4 * QUOTED_CHARACTERS))
    lines = [" ".join(line.split()) for line in stream.read().decode(errors="replace").splitlines()]
    return " | ".join([line for line in lines if line][-QUOTED_LINES:])[-QUOTED_CHARACTERS:]


def _fail(name: str, status: int, said: str, *, step_killed: bool) -> NoReturn:
    said = f": {said}" if said else ""
    try:
        # Shells pass on the death of what they ran as 128 + signal.
        killer = signal.Signals(-status if status < 0 else status - 128)
    except ValueError:
        if not step_killed:
            raise DataError(f"{name} failed with status {status}{said}") from None
        name, killer = f"a step of {name}", signal.SIGKILL
    cause = f", {CAUSES[killer]}" if killer in CAUSES else ""
    raise TemporaryError(f"{name} was killed by signal {killer:d} ({killer.name}{cause}){said}")
