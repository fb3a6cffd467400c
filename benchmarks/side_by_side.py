"""Sessions side by side with a thread each, against one after the other with all threads.

Usage: python benchmarks/side_by_side.py BIDS_DIR [--cores N] [options of the app]

BIDS_DIR holds as many participants as there are cores, or a multiple of it; each way runs all of
it into a folder of its own that goes afterwards.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile

from costs import timed


def main() -> None:
    """Run both ways, and print what each costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("bids_dir")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    given, options = parser.parse_known_args()
    print(f"{'at a time x threads':20s} {'wall s':>8s} {'CPU s':>8s} {'peak MB':>8s}")
    for threads in (1, given.cores):
        with tempfile.TemporaryDirectory() as folder:
            shares = ["--nprocs", str(given.cores), "--omp-nthreads", str(threads)]
            command = [sys.executable, "-m", "cmb_bidsapp", given.bids_dir, f"{folder}/out"]
            cost = timed([*command, "participant", *shares, *options], os.environ)
        name = f"{given.cores // threads} x {threads}"
        print(f"{name:20s} {cost.wall:8.1f} {cost.cpu:8.1f} {cost.peak_mb:8.0f}", flush=True)


if __name__ == "__main__":
    main()
