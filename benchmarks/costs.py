"""What a command costs with all processes that it starts: time, and memory at its largest."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

#: Time between two looks at the memory, s.
EVERY = 0.2


@dataclass(frozen=True)
class Cost:
    """Of a process and its children: seconds, of the processor too, and their largest memory."""

    wall: float
    cpu: float
    peak_mb: float


def timed(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Run a command to its end."""
    began = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        tree, peak = psutil.Process(process.pid), 0
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            try:
                parts = [tree, *tree.children(recursive=True)]
                # What processes share counts once.
                peak = max(peak, sum(part.memory_full_info().pss for part in parts))
            except psutil.Error:
                pass
            time.sleep(EVERY)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    return Cost(time.perf_counter() - began, used.ru_utime + used.ru_stime, peak / 2**20)
