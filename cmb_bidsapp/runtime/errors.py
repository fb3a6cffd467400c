"""Errors a user can act on, each with its exit code (see README, "Exit codes")."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the program; the values follow sysexits.h where it has one."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    DATA = 65
    NO_INPUT = 66
    UNAVAILABLE = 69
    INTERNAL = 70
    CANNOT_WRITE = 73
    TEMPORARY = 75
    PERMISSION = 77
    CONFIG = 78
    LICENCE = 126
    COMMAND_MISSING = 127
    INTERRUPTED = 130


class AppError(Exception):
    """An expected failure: one line that names the cause, the file and what to do."""

    code = ExitCode.INTERNAL


class UsageError(AppError):
    """The command line cannot be carried out; every line of the message is one problem."""

    code = ExitCode.USAGE


class DataError(AppError):
    """An input file is damaged or not what its name says."""

    code = ExitCode.DATA


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


class LicenceError(AppError):
    """A licence that an external program asks for is not there."""

    code = ExitCode.LICENCE


class CommandMissingError(AppError):
    """An external program is not installed."""

    code = ExitCode.COMMAND_MISSING


def classify(error: BaseException) -> tuple[ExitCode, str]:
    """Exit code and one-line message for any exception."""
    if isinstance(error, AppError):
        return error.code, str(error)
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED, "interrupted"
    if isinstance(error, MemoryError):
        return ExitCode.TEMPORARY, "out of memory; give more with --mem or run fewer at once"
    if isinstance(error, PermissionError):
        return ExitCode.PERMISSION, f"no permission: {error.filename or error}"
    if isinstance(error, OSError) and error.errno in (28, 122):
        return ExitCode.TEMPORARY, f"no space left on the disk of {error.filename or 'the output'}"
    if isinstance(error, OSError) and error.errno == 30:
        return ExitCode.CANNOT_WRITE, f"read-only file system: {error.filename or error}"
    text = " ".join(str(error).split())
    return ExitCode.INTERNAL, f"{type(error).__name__}: {text}" if text else type(error).__name__
