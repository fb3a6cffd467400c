"""Errors a user can act on, each with its exit code; docs/outputs.md repeats the table of codes."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

#: Numbers of errors that say that a disk, or what may be used of it, is full.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class ExitCode(IntEnum):
    """Exit codes of the program, each with its meaning; sysexits.h where it has one."""

    meaning: str

    def __new__(cls, value: int, meaning: str = "") -> ExitCode:
        """Keep the meaning beside the number; a lookup has none to give."""
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code

    OK = 0, "all done"
    SOME_FAILED = 1, "some sessions or follow-ups failed"
    USAGE = 2, "usage"
    NOT_BETTER = 3, "the adapted model is no better and was not saved"
    DATA = 65, "bad data"
    NO_INPUT = 66, "no input matched"
    UNAVAILABLE = 69, "device or tool unavailable"
    INTERNAL = 70, "internal error"
    CANNOT_WRITE = 73, "cannot write"
    TEMPORARY = 75, "out of memory or disk, or killed (retry may help)"
    PERMISSION = 77, "permission"
    CONFIG = 78, "weights corrupt"
    LICENSE = 126, "FreeSurfer license missing"
    COMMAND_MISSING = 127, "command missing"
    INTERRUPTED = 130, "interrupted"


class AppError(Exception):
    """An expected failure: one line that names the cause, the file and what to do."""

    code = ExitCode.INTERNAL


class UsageError(AppError):
    """The command line cannot be carried out; every line of the message is one problem."""

    code = ExitCode.USAGE


class NotBetterError(AppError):
    """A model that was trained further is no better than before."""

    code = ExitCode.NOT_BETTER


class DataError(AppError):
    """An input file is damaged or not what its name says."""

    code = ExitCode.DATA


class RefusedScanError(DataError):
    """A session's own scan shows nothing that can be counted: what was counted before is void."""


class NoInputError(AppError):
    """Nothing in the dataset matches what was asked for."""

    code = ExitCode.NO_INPUT


class UnavailableError(AppError):
    """A device or tool that was asked for is not there."""

    code = ExitCode.UNAVAILABLE


class CannotWriteError(AppError):
    """An output cannot be written."""

    code = ExitCode.CANNOT_WRITE


class TemporaryError(AppError):
    """Out of memory or disk, or killed: a retry may help."""

    code = ExitCode.TEMPORARY


class ModelError(AppError):
    """Weights or their description are damaged or not ours."""

    code = ExitCode.CONFIG


class LicenseError(AppError):
    """The license that an external program needs is missing."""

    code = ExitCode.LICENSE


class CommandMissingError(AppError):
    """An external program is not installed."""

    code = ExitCode.COMMAND_MISSING


def classify(error: BaseException) -> tuple[ExitCode, str]:
    """Exit code and one-line message for any exception."""
    if isinstance(error, UsageError):
        return error.code, str(error)
    if isinstance(error, AppError):
        # What a library said, and an error quotes, may have several lines.
        return error.code, " ".join(str(error).split())
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED, "interrupted"
    if lacks_memory(error):
        return ExitCode.TEMPORARY, "out of memory; give more with --mem or run fewer at once"
    if isinstance(error, PermissionError):
        return ExitCode.PERMISSION, f"no permission: {error.filename or error}"
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        where = error.filename or "outputs or temporary files"
        return ExitCode.TEMPORARY, f"no space left on the disk of {where}"
    if isinstance(error, FileExistsError | NotADirectoryError):
        return (
            ExitCode.CANNOT_WRITE,
            f"{error.filename or error}: cannot create this folder, a file is in the way",
        )
    if isinstance(error, OSError) and error.errno == 30:
        return ExitCode.CANNOT_WRITE, f"read-only file system: {error.filename or error}"
    text = " ".join(str(error).split())
    return ExitCode.INTERNAL, f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def naming(path: object) -> Iterator[None]:
    """Have an error about a full disk name what was being written; it says no file by itself."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM and error.filename is None:
            error.filename = str(path)
        raise


def lacks_memory(error: BaseException) -> bool:
    """Whether an error, or one it came of, says that memory is used up, in any library's words."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == 12):
        return True
    # torch, ITK and the loader of shared libraries have no class of their own for it, or one that
    # importing them here would cost seconds.
    if isinstance(error, RuntimeError | ImportError | OSError) and re.search(
        r"out of memory|can(no|')t allocate|(un|not )able to allocate|bad_alloc"
        r"|failed to map segment|failed to allocate",
        str(error),
        re.IGNORECASE,
    ):
        return True
    # Where there is no room for an error's own words, Python raises SystemError and the like.
    before = error.__cause__ or error.__context__
    return before is not None and lacks_memory(before)
