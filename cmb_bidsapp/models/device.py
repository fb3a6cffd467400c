"""How networks compute: with half of the bits where that is fast, and on a GPU one at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import torch

#: What Linux calls the instructions of x86 and ARM that multiply bfloat16.
BFLOAT16 = {"avx512_bf16", "bf16"}
#: Where all processes of a machine find the lock of a GPU; in a container that may write nothing
#: else, too.
LOCKS = Path("/dev/shm")  # noqa: S108


@contextmanager
def inference_on(device: torch.device) -> Iterator[None]:
    """A context for computing with a network: in :func:`fast_arithmetic`, on a GPU alone.

    However many sessions run, a GPU needs the memory of one; the others wait for their turn.
    """
    if device.type != "cuda":
        with fast_arithmetic(device):
            yield
        return
    with turn(f"gpu-{torch.cuda.get_device_properties(device).uuid}"), fast_arithmetic(device):
        try:
            yield
        finally:
            # The next process has no use for what this one holds back.
            with torch.cuda.device(device):
                torch.cuda.empty_cache()


@contextmanager
def turn(name: str, folder: Path = LOCKS) -> Iterator[None]:
    """Wait until no other process of the machine, of whichever user, holds what is so named.

    Parameters
    ----------
    name
        What is held; part of a file name.
    folder
        Where the lock files of the machine lie.
    """
    path = folder / f"cmb_bidsapp-{name}.lock"
    try:
        # What is there is opened as it is: here not even its readers may "create" it.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o444)
        os.fchmod(handle, 0o444)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def fast_arithmetic(device: str | torch.device) -> torch.autocast:
    """A context in which a network computes in bfloat16 where that is fast, else in float32.

    A processor without such instructions emulates them, a hundred times slower than float32.
    """
    fast = arithmetic_of(device) == "bfloat16"
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=fast)


def arithmetic_of(device: str | torch.device) -> Literal["bfloat16", "float32"]:
    """What networks compute in on a device of this machine."""
    if torch.device(device).type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = cpu_multiplies_bfloat16()
    return "bfloat16" if fast else "float32"


@cache
def cpu_multiplies_bfloat16(about: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor has instructions for bfloat16; no where nothing tells."""
    try:
        lines = about.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    told = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return bool(BFLOAT16 & set(next(told, "").split()))
