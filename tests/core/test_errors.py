import errno

import pytest

from cmb_bidsapp.core import errors
from cmb_bidsapp.core.errors import AppError, ExitCode, classify

CODES = {
    "OK": 0,
    "SOME_FAILED": 1,
    "USAGE": 2,
    "NOT_BETTER": 3,
    "DATA": 65,
    "NO_INPUT": 66,
    "UNAVAILABLE": 69,
    "INTERNAL": 70,
    "CANNOT_WRITE": 73,
    "TEMPORARY": 75,
    "PERMISSION": 77,
    "CONFIG": 78,
    "LICENSE": 126,
    "COMMAND_MISSING": 127,
    "INTERRUPTED": 130,
}


def test_exit_codes_are_those_that_are_promised():
    assert {code.name: code.value for code in ExitCode} == CODES


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UsageError, 2),
        (errors.DataError, 65),
        (errors.NoInputError, 66),
        (errors.UnavailableError, 69),
        (errors.CannotWriteError, 73),
        (errors.TemporaryError, 75),
        (errors.ModelError, 78),
        (errors.CommandMissingError, 127),
    ],
)
def test_expected_errors_keep_their_message(kind, code):
    assert classify(kind("the cause, and what to do")) == (code, "the cause, and what to do")


def test_every_expected_error_has_a_code_of_its_own():
    kinds = AppError.__subclasses__()
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert not {kind.code for kind in kinds} & {0, 1, 70, 130}


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 75, "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 75, "memory"),
        (RuntimeError("[enforce] DefaultCPUAllocator: can't allocate memory"), 75, "memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), 75, "memory"),
        (RuntimeError("std::bad_alloc"), 75, "memory"),
        (ImportError("libtorch.so: failed to map segment from shared object"), 75, "memory"),
        (
            FileExistsError(errno.EEXIST, "File exists", "/out"),
            73,
            "/out: cannot create this folder",
        ),
        (
            NotADirectoryError(errno.ENOTDIR, "Not a directory", "/out/x"),
            73,
            "/out/x: cannot create this folder",
        ),
        (RuntimeError("no memory of this"), 70, "no memory of this"),
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), 77, "/data/x"),
        (OSError(errno.ENOSPC, "No space left on device", "/out/x"), 75, "/out/x"),
        (OSError(errno.EDQUOT, "Quota exceeded", "/out/x"), 75, "/out/x"),
        (OSError(errno.EROFS, "Read-only file system", "/out/x"), 73, "/out/x"),
        (OSError(errno.EIO, "Input/output error"), 70, "OSError"),
        (ValueError("bad"), 70, "ValueError: bad"),
        (ZeroDivisionError(), 70, "ZeroDivisionError"),
    ],
)
def test_other_errors_are_told_apart(error, code, said):
    found, message = classify(error)
    assert found == code
    assert said in message


def test_what_comes_of_a_lack_of_memory_is_one():
    error = SystemError("error return without exception set")
    assert classify(error)[0] == 70
    error.__context__ = MemoryError()
    assert classify(error)[0] == 75


def test_unexpected_messages_become_one_line():
    assert classify(RuntimeError("a\n  b\r\n\tc"))[1] == "RuntimeError: a b c"
