"""Which numbers the networks compute with."""

from __future__ import annotations

import torch


def autocast(device: torch.device | str) -> torch.autocast:
    """Compute in bfloat16 where the processor does so, and in float32 elsewhere.

    A CPU without AVX-512 emulates bfloat16: convolutions then take some 35 times as long as in
    float32.
    """
    kind = torch.device(device).type
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=kind != "cpu" or cpu_has_bfloat16())


def cpu_has_bfloat16() -> bool:
    """Whether the kernels for this CPU compute in bfloat16."""
    capability: str = torch.backends.cpu.get_cpu_capability()
    return capability.startswith("AVX512")
