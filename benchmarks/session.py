"""What each step of a session costs, and what of it the kernels cost by themselves.

Usage: python benchmarks/session.py BIDS_DIR [--json FILE] [options of the app]

Every call of ANTs (N4, registration, transforms) and of a network is made twice, one right after
the other: first bare, on clocks of its own, then as part of its step. Both share the machine's
moods, so their ratio holds where the seconds do not. Run it with OMP_NUM_THREADS=1 and
ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1 for one core; ``--device cuda`` is the app's own option.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import ants
import torch

from cmb_bidsapp.bids.dataset import prepare_dataset
from cmb_bidsapp.bids.inputs import Session
from cmb_bidsapp.engine.child import Job, run
from cmb_bidsapp.levels.participant import chosen
from cmb_bidsapp.options.resolve import read_settings

#: Functions of ants that take time.
ANTS = ("n4_bias_field_correction", "registration", "apply_transforms")


@dataclass
class Cost:
    """Wall and CPU seconds of one or several calls."""

    wall: float = 0.0
    cpu: float = 0.0
    calls: int = 0

    def add(self, since: tuple[float, float]) -> None:
        """Count a call that began then."""
        wall, cpu = now()
        self.wall, self.cpu, self.calls = (
            self.wall + wall - since[0],
            self.cpu + cpu - since[1],
            self.calls + 1,
        )


@dataclass
class Step:
    """One step of a session; ``bare`` are the kernels it calls, called by themselves."""

    name: str
    wall: float = 0.0
    cpu: float = 0.0
    peak_mb: float = 0.0
    bare: dict[str, Cost] = field(default_factory=dict)
    within: dict[str, Cost] = field(default_factory=dict)

    @property
    def bare_cpu(self) -> float:
        """CPU seconds of its kernels."""
        return sum(cost.cpu for cost in self.bare.values())


class Clock:
    """Times the steps of a session as it tells them, and the kernels in between."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._since = now()
        self._inside = False

    def begin(self, name: str) -> None:
        """The step before has ended, this one begins."""
        self.end()
        self.steps.append(Step(name))
        reset_peak()
        self._since = now()

    def end(self) -> None:
        """Add what has passed to the last step."""
        if self.steps:
            wall, cpu = now()
            step = self.steps[-1]
            step.wall += wall - self._since[0]
            step.cpu += cpu - self._since[1]
            step.peak_mb = peak_mb()

    def kernel(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, called bare first; calls within its own call are part of it."""

        @functools.wraps(function)
        def twice(*arguments: Any, **options: Any) -> Any:
            if self._inside or not self.steps:
                return function(*arguments, **options)
            self._inside = True
            try:
                since, step = now(), self.steps[-1]
                function(*arguments, **options)
                step.bare.setdefault(name, Cost()).add(since)
                after = now()
                # The step's clock stood still meanwhile.
                self._since = tuple(
                    a + b - c for a, b, c in zip(self._since, after, since, strict=True)
                )  # type: ignore[assignment]
                result = function(*arguments, **options)
                step.within.setdefault(name, Cost()).add(after)
                return result
            finally:
                self._inside = False

        return twice


def now() -> tuple[float, float]:
    """Wall and CPU seconds, those of finished child processes included."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), time.process_time() + children.ru_utime + children.ru_stime


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_mb() -> float:
    """Largest resident memory since the last reset, MB."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) / 1024


def watch(clock: Clock) -> None:
    """Put the clock between the app and its kernels."""
    for name in ANTS:
        setattr(ants, name, clock.kernel(f"ants.{name}", getattr(ants, name)))
    torch.nn.Module.__call__ = clock.kernel("network forward", torch.nn.Module.__call__)


def measured(session: Session, clock: Clock, arguments: list[str], bids_dir: str) -> list[Step]:
    """Run a session in this process, into a folder that goes afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings([bids_dir, f"{folder}/out", "participant", *arguments])
        prepare_dataset(settings.out_dir, settings.bids_dir)
        clock.steps = []
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            clock.begin("start")
            run(
                Job(session, settings),
                lambda event: clock.begin(event["text"]) if event["event"] == "step" else None,
            )
            clock.end()
    return clock.steps


def table(label: str, steps: list[Step]) -> str:
    """Rows of steps for a person, and the sums."""
    lines = [f"{label:34s} {'wall s':>8s} {'CPU s':>8s} {'peak MB':>8s} {'bare CPU s':>10s}"]
    lines += [
        f"{step.name:34s} {step.wall:8.1f} {step.cpu:8.1f} {step.peak_mb:8.0f} "
        + (f"{step.bare_cpu:10.1f}" if step.bare else f"{'-':>10s}")
        for step in steps
    ]
    wall, cpu = sum(step.wall for step in steps), sum(step.cpu for step in steps)
    bare = sum(step.bare_cpu for step in steps)
    within = sum(cost.cpu for step in steps for cost in step.within.values())
    peak = max(step.peak_mb for step in steps)
    lines.append(f"{'all':34s} {wall:8.1f} {cpu:8.1f} {peak:8.0f} {bare:10.1f}")
    lines.append(
        f"kernels within the app: {within:.1f} s CPU, {within / bare:.3f} of those bare; "
        f"all else: {cpu - within:.1f} s, {(cpu - within) / bare:.3f} of the bare kernels"
    )
    return "\n".join(lines)


def main() -> None:
    """Print a table per session; write everything to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("bids_dir")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked, arguments = parser.parse_known_args()
    settings = read_settings([asked.bids_dir, "/none", "participant", *arguments])
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", settings.resources.threads)))
    clock = Clock()
    watch(clock)
    everything = []
    for session in chosen(settings).sessions:
        steps = measured(session, clock, arguments, asked.bids_dir)
        print(table(session.label, steps), flush=True)
        everything.append({"session": session.label, "steps": [asdict(step) for step in steps]})
    if asked.json is not None:
        asked.json.write_text(json.dumps(everything, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
