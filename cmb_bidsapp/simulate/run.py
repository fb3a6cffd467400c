"""The ``simulate`` verb: checks what was asked for, then simulates a cohort."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cmb_bidsapp.core.errors import ExitCode, UsageError
from cmb_bidsapp.simulate.anatomy import atlas_head, read_head
from cmb_bidsapp.simulate.dataset import Cohort, simulate_dataset
from cmb_bidsapp.simulate.protocols import Protocol, read_protocol
from cmb_bidsapp.simulate.texture import read_texture


def run_simulation(given: argparse.Namespace) -> int:
    """Simulate what the command line names; an interrupted run goes on.

    Raises
    ------
    UsageError
        A protocol is unknown, or a number out of range.
    """
    for option in ("microbleeds", "new"):
        low, high = getattr(given, option)
        if not 0 <= low <= high:
            raise UsageError(f"--{option} {low} {high}: 0 <= MIN <= MAX is expected")
    for option in ("free", "unchanged"):
        share = getattr(given, option)
        if not 0 <= share <= 1:
            raise UsageError(f"--{option} {share}: 0 to 1 is expected")
    for option in ("nprocs", "sessions"):
        number = getattr(given, option)
        if number < 1:
            raise UsageError(f"--{option} {number}: at least 1 is expected")
    protocols = _protocols("protocol", given.protocol)
    follow_up_protocols = _protocols("follow-up-protocol", given.follow_up_protocol)
    heads = [read_head(p) for p in given.label_maps] if given.label_maps else [atlas_head()]
    truth = simulate_dataset(
        Cohort(
            heads=heads,
            participants=given.participants,
            protocols=protocols,
            microbleeds=tuple(given.microbleeds),
            free=given.free,
            sessions=_labels(given.participants, given.sessions),
            new=tuple(given.new),
            unchanged=given.unchanged,
            follow_up_protocols=follow_up_protocols,
            seed=given.random_seed,
            phase=given.phase,
            textures=[read_texture(path) for path in given.texture],
        ),
        given.output_dir,
        processes=given.nprocs,
        progress=lambda text: print(f"simulated {text}", flush=True),
    )
    print(f"images: {given.output_dir}\ntruth: {truth}")
    return ExitCode.OK


def _protocols(option: str, texts: Sequence[str]) -> list[Protocol]:
    try:
        return [read_protocol(text) for text in texts]
    except ValueError as error:
        raise UsageError(f"--{option} {error}") from error


def _labels(participants: int, sessions: int) -> dict[int, list[str]]:
    """Session labels of every participant; none where there is one session only."""
    labels = [str(number + 1) for number in range(sessions)]
    return dict.fromkeys(range(participants), labels) if sessions > 1 else {}
