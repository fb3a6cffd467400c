"""The ``simulate`` verb: checks what was asked for, then simulates a cohort."""

from __future__ import annotations

import argparse

from cmb_bidsapp.runtime.errors import ExitCode, UsageError


def run_simulation(given: argparse.Namespace) -> int:
    """Simulate what the command line names; an interrupted run goes on.

    Raises
    ------
    UsageError
        A protocol is unknown, or a number out of range.
    """
    from cmb_bidsapp.simulate.anatomy import atlas_head, read_head
    from cmb_bidsapp.simulate.dataset import simulate_dataset
    from cmb_bidsapp.simulate.physics import PROTOCOLS

    unknown = sorted(set(given.protocol) - set(PROTOCOLS))
    if unknown:
        raise UsageError(f"--protocol {', '.join(unknown)}: one of {', '.join(PROTOCOLS)}")
    low, high = given.microbleeds
    if not 0 <= low <= high:
        raise UsageError(f"--microbleeds {low} {high}: 0 <= MIN <= MAX is expected")
    if not 0 <= given.free <= 1:
        raise UsageError(f"--free {given.free}: 0 to 1 is expected")
    heads = [read_head(p) for p in given.label_maps] if given.label_maps else [atlas_head()]
    truth = simulate_dataset(
        heads,
        given.output_dir,
        participants=given.participants,
        protocols=given.protocol,
        counts=lambda rng: 0 if rng.random() < given.free else int(rng.integers(low, high + 1)),
        seed=given.random_seed,
        progress=lambda text: print(f"simulating {text}", flush=True),
    )
    print(f"images: {given.output_dir}\ntruth: {truth}")
    return ExitCode.OK
