"""Numbers that networks compute with: bfloat16 only where the processor has it."""

import pytest
import torch

from cmb_bidsapp.models.precision import autocast


@pytest.mark.parametrize(
    ("capability", "computed"),
    [
        ("DEFAULT", torch.float32),
        ("AVX2", torch.float32),
        ("AVX512", torch.bfloat16),
        ("AVX512_BF16", torch.bfloat16),
    ],
)
def test_a_cpu_that_would_emulate_bfloat16_computes_in_float32(capability, computed, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    values = torch.ones(2, 2)
    with autocast("cpu"):
        assert (values @ values).dtype == computed


def test_a_gpu_computes_in_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    # Without CUDA torch itself would switch it off.
    monkeypatch.setattr(torch, "autocast", lambda *which, **how: (which, how))
    asked = {"dtype": torch.bfloat16, "enabled": True}
    assert autocast("cuda:1") == (("cuda",), asked)
