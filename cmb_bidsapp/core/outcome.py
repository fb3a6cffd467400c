"""How work ends: counts of sessions, one exit code out of many, the line that scripts read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cmb_bidsapp.core.errors import AppError, ExitCode, UsageError, classify

#: How the status reads of a session that has begun: who is killed leaves no other word.
UNFINISHED = "started but not finished: killed, or still running"


def plural(number: int, noun: str) -> str:
    """A number of something, in words.

    Parameters
    ----------
    number
        How many.
    noun
        Of what, in the singular.

    >>> plural(1, "participant"), plural(1200, "scan")
    ('1 participant', '1,200 scans')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Counts of sessions, and the exit code."""

    ok: int = 0
    failed: int = 0
    skipped: int = 0
    code: int = ExitCode.OK
    broken_off: bool = False
    """Whether the run ended before its time, so that no other level may follow."""

    def __str__(self) -> str:
        """Return the last line on standard output, for scripts."""
        return (
            f"CMB-BIDSAPP RESULT ok={self.ok} failed={self.failed} skipped={self.skipped} "
            f"exit={int(self.code)}"
        )


def common_code(codes: Iterable[int]) -> int:
    """One exit code for several sessions: theirs where all agree, else that of some that failed.

    >>> [int(common_code(codes)) for codes in ([], [0, 0], [65, 65], [65, 0], [65, 75])]
    [0, 0, 65, 1, 1]
    """
    distinct = set(codes)
    if not distinct:
        return ExitCode.OK
    return distinct.pop() if len(distinct) == 1 else ExitCode.SOME_FAILED


def carried_out(work: Callable[[], int], *, debug: bool = False) -> int:
    """Do the work of a command line; an error becomes words on standard error, and its exit code.

    Parameters
    ----------
    work
        Returns an exit code.
    debug
        Whether unexpected errors are raised instead.
    """
    try:
        return work()
    except SystemExit as leave:
        return int(leave.code or 0)
    except BaseException as error:
        code, message = classify(error)
        if debug and not isinstance(error, AppError | KeyboardInterrupt):
            raise
        for line in message.splitlines():
            print(f"cmb_bidsapp: {line}", file=sys.stderr)
        if not isinstance(error, UsageError):
            print(Summary(code=code), flush=True)
        return int(code)
