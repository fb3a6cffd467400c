"""Networks compute with half of the bits only where that is faster."""

import pytest
import torch

from cmb_bidsapp.models import precision
from cmb_bidsapp.models.precision import cpu_multiplies_bfloat16, fast_arithmetic


@pytest.mark.parametrize(
    ("about", "fast"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_bf16 sha_ni\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx avx2 fma\n", False),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", True),
        ("processor\t: 0\nFeatures\t: fp asimd\nmodel name\t: bf16\n", False),
        ("", False),
    ],
)
def test_a_processor_is_asked_for_its_instructions(tmp_path, about, fast):
    (tmp_path / "cpuinfo").write_text(about)
    assert cpu_multiplies_bfloat16(tmp_path / "cpuinfo") is fast


def test_a_system_that_tells_nothing_has_none(tmp_path):
    assert cpu_multiplies_bfloat16(tmp_path / "none") is False


@pytest.mark.parametrize(("fast", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_half_of_the_bits_are_used_where_they_are_fast(monkeypatch, fast, expected):
    monkeypatch.setattr(precision, "cpu_multiplies_bfloat16", lambda: fast)
    with fast_arithmetic("cpu"):
        assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype is expected
