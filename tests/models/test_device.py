"""Networks compute with half of the bits where that is faster, and on a GPU one at a time."""

import subprocess
import sys
import threading

import pytest
import torch

from cmb_bidsapp.models import device
from cmb_bidsapp.models.device import cpu_multiplies_bfloat16, fast_arithmetic, turn


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
    monkeypatch.setattr(device, "cpu_multiplies_bfloat16", lambda: fast)
    with fast_arithmetic("cpu"):
        assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype is expected


def test_processes_take_turns(tmp_path):
    code = (
        "import sys, pathlib; from cmb_bidsapp.models.device import turn\n"
        "with turn('gpu-0', pathlib.Path(sys.argv[1])):\n"
        "    print('inside', flush=True); sys.stdin.read()"
    )
    entered = threading.Event()

    def enter():
        with turn("gpu-0", tmp_path):
            entered.set()

    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"inside\n"
        with turn("gpu-1", tmp_path):
            pass
        waiting = threading.Thread(target=enter)
        waiting.start()
        assert not entered.wait(0.2), "the other process has its turn"
        # Killed: nothing is left that somebody would have to remove.
        other.kill()
        waiting.join(30)
    assert entered.is_set()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cmb_bidsapp-gpu-0.lock",
        "cmb_bidsapp-gpu-1.lock",
    ]
