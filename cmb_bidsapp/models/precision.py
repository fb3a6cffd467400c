"""The arithmetic of networks: half of the bits where the device computes with them."""

from __future__ import annotations

from pathlib import Path

import torch

#: What Linux calls the instructions of x86 and ARM that multiply bfloat16.
BFLOAT16 = {"avx512_bf16", "bf16"}


def fast_arithmetic(device: str | torch.device) -> torch.autocast:
    """A context in which a network computes in bfloat16 where that is fast, else in float32.

    A processor without such instructions emulates them, a hundred times slower than float32.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = cpu_multiplies_bfloat16()
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=fast)


def cpu_multiplies_bfloat16(about: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor has instructions for bfloat16; no where nothing tells."""
    try:
        lines = about.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    told = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return bool(BFLOAT16 & set(next(told, "").split()))
