"""kill -9 of the real program with its real networks, and what the reruns make of it.

Usage: python benchmarks/kills.py BIDS_DIR FOLDER [--kills N] [--seed N] [options of the app]

One run is left alone. Another is killed N times, each time during a step chosen by chance (later
ones later) and at a random moment of it, the program or its session, and then left to finish. Both
use one thread and the same paths. Printed are each kill, what was finished and was begun again all
the same (nothing should be), and the files that differ in the end; of text, dates and times do not
count. The exit code is 1 where anything differs or was repeated.

FOLDER gets ``whole`` and ``killed``; ``whole`` is taken as it is where it is there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

#: What is run.
PROGRAM = "cmb_bidsapp"
#: One session at a time on one thread: what more threads change is not what is asked here. Memory
#: that happens to be free is in the settings of a report, unless it is given.
ALONE = ("--nprocs", "1", "--omp-nthreads", "1", "--mem-gb", "8")
#: Dates and times of day, and how long a session took, as reports and sidecars have them.
TIMES = re.compile(
    rb"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?([+-]\d\d:?\d\d|Z)?)?"
    rb"|(?<=<dt>Time</dt><dd>).*?(?=</dd>)"
)


def run(
    command: Sequence[str], kill_at: tuple[str, float] | None = None, whom: str = ""
) -> tuple[int, list[tuple[str, float]]]:
    """Run the app, and kill it so many seconds after a step has begun.

    Returns
    -------
    code, steps
        Exit code, and the steps that began with the seconds since the start.
    """
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    assert process.stdout is not None
    begun, steps = time.monotonic(), []
    for line in process.stdout:
        found = re.match(r"sub-\S+: (?!note)(.+)", line)
        if not found:
            continue
        steps.append((found[1], time.monotonic() - begun))
        if kill_at and found[1] == kill_at[0]:
            time.sleep(kill_at[1])
            kill(process.pid, whom)
    return process.wait(), steps


def kill(program: int, whom: str) -> None:
    """Kill the program, or the sessions that it has started."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(program)], capture_output=True, text=True, check=False
    )
    for pid in [program] if whom == "program" else map(int, listed.stdout.split()):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            print("  (it had ended by itself)")


def contents(out: Path) -> dict[str, bytes]:
    """Hash of every result by path; text without its times."""
    found = {}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out)
        if path.is_file() and "logs" not in name.parts:
            data = path.read_bytes()
            text = path.suffix in (".html", ".json", ".md", ".txt", ".tsv")
            found[str(name)] = hashlib.sha256(TIMES.sub(b"", data) if text else data).digest()
    return found


def finished(out: Path) -> set[str]:
    """Phases that have a stamp; reports, which tell of failures too, are none."""
    stamps = (out / "logs" / "stamps").glob("sub-*.json")
    return {path.stem.rpartition("_")[2] for path in stamps} - {"report"}


def phases_of(out: Path) -> dict[str, str]:
    """The phase of each step."""
    return {
        step: phase
        for path in sorted((out / "logs" / "seconds").glob("*.json"))
        for phase, steps in json.loads(path.read_text(encoding="utf-8")).items()
        for step in steps
    }


def differing(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> list[str]:
    """Names that only one has, or whose content differs."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def main() -> int:
    """Run both ways and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given, options = parser.parse_known_args()
    out, whole, killed = (given.folder / name for name in ("out", "whole", "killed"))
    command = [sys.executable, "-m", PROGRAM, str(given.bids_dir), str(out), "participant"]
    command += [*ALONE, *options]
    if not whole.exists():
        began = time.monotonic()
        code, steps = run(command)
        known = phases_of(out)
        steps = [one for one in steps if one[0] in known] + [("", time.monotonic() - began)]
        told = f"{len(steps) - 1} steps in {steps[-1][1]:.0f} s"
        print(f"undisturbed: exit {code}, {told}", flush=True)
        out.rename(whole)
        (whole / "logs" / "kills.json").write_text(json.dumps(steps), encoding="utf-8")
    steps = json.loads((whole / "logs" / "kills.json").read_text(encoding="utf-8"))
    expected, phase_of = contents(whole), phases_of(whole)
    chance, again = random.Random(given.seed), 0
    for number in sorted(chance.sample(range(len(steps) - 1), given.kills)):
        step, wait = steps[number][0], chance.random() * (steps[number + 1][1] - steps[number][1])
        whom = chance.choice(["program", "session"])
        done = finished(out)
        code, began_steps = run(command, (step, wait), whom)
        again += (repeated := len({phase_of.get(name) for name, _ in began_steps} & done))
        odd = [name for name in differing(expected, contents(out)) if (out / name).exists()]
        # What is half done is under another name; the report tells of the failure.
        odd = [name for name in odd if ".partial-" not in name and not name.endswith(".html")]
        again += len(odd)
        print(
            f"{whom} killed {wait:.1f} s into {step!r}: exit {code}; was finished: "
            f"{', '.join(sorted(done)) or 'nothing'}; repeated: {repeated}; not whole: {odd}",
            flush=True,
        )
    done = finished(out)
    code, began_steps = run(command)
    again += len({phase_of.get(name) for name, _ in began_steps} & done)
    partial = [str(path) for path in out.rglob(".partial-*")]
    out.rename(killed)
    found = differing(expected, contents(killed))
    print(f"left alone: exit {code}, {len(began_steps)} steps; partial files left: {partial}")
    print(f"{len(expected)} results, {len(found)} differ: {', '.join(found)}")
    return int(bool(found or again or partial or code))


if __name__ == "__main__":
    sys.exit(main())
