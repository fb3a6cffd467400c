"""How networks compute: with half of the bits where that is fast, and on a GPU one at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

#: What Linux calls the instructions of x86 and ARM that multiply bfloat16.
BFLOAT16 = {"avx512_bf16", "bf16"}
#: Where all processes of a machine find the lock of a GPU, whatever their own folder is.
LOCKS = Path("/tmp")  # noqa: S108


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
    """Wait until no other process of the machine, of whichever user, holds what is so named."""
    path = folder / f"cmb_bidsapp-{name}.lock"
    try:
        # What is there is opened as it is: in /tmp not even its readers may "create" it.
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
    kind = torch.device(device).type
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=multiplies_bfloat16(kind))


def multiplies_bfloat16(kind: str) -> bool:
    """Whether devices of this kind (``cpu``, ``cuda``) have instructions for it here."""
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return cpu_multiplies_bfloat16()


def cpu_multiplies_bfloat16(about: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor has instructions for bfloat16; no where nothing tells."""
    try:
        lines = about.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    told = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return bool(BFLOAT16 & set(next(told, "").split()))
