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
    from cmb_bidsapp.simulate.dataset import Cohort, simulate_dataset
    from cmb_bidsapp.simulate.protocols import read_protocol

    low, high = given.microbleeds
    if not 0 <= low <= high:
        raise UsageError(f"--microbleeds {low} {high}: 0 <= MIN <= MAX is expected")
    if not 0 <= given.free <= 1:
        raise UsageError(f"--free {given.free}: 0 to 1 is expected")
    if given.nprocs < 1:
        raise UsageError(f"--nprocs {given.nprocs}: at least 1 is expected")
    try:
        protocols = [read_protocol(text) for text in given.protocol]
    except ValueError as error:
        raise UsageError(f"--protocol {error}") from error
    heads = [read_head(p) for p in given.label_maps] if given.label_maps else [atlas_head()]
    truth = simulate_dataset(
        Cohort(
            heads=heads,
            participants=given.participants,
            protocols=protocols,
            microbleeds=(low, high),
            free=given.free,
            seed=given.random_seed,
            phase=given.phase,
        ),
        given.output_dir,
        processes=given.nprocs,
        progress=lambda text: print(f"simulated {text}", flush=True),
    )
    print(f"images: {given.output_dir}\ntruth: {truth}")
    return ExitCode.OK
