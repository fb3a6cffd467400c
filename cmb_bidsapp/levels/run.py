"""The levels in order, as the command line and Brainlife start them."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console

from cmb_bidsapp.core.outcome import Summary
from cmb_bidsapp.core.resources import take_blas_buffer
from cmb_bidsapp.core.signals import signals_interrupt
from cmb_bidsapp.engine.progress import say
from cmb_bidsapp.levels.participant import participant
from cmb_bidsapp.levels.scratch import run_scratch
from cmb_bidsapp.settings import Settings


def run_app(settings: Settings) -> int:
    """Run the levels, print the line for scripts; returns the exit code."""
    take_blas_buffer()
    with signals_interrupt():
        summary = run_levels(settings)
    print(summary, flush=True)
    return int(summary.code)


def run_levels(settings: Settings) -> Summary:
    """Run the levels in order; the group level follows a participant level that failed in part."""
    console = Console()
    for line in (*settings.without_effect, str(settings.resources)):
        say(console, line)
    with run_scratch(settings):
        return _in_order(settings, console)


def _in_order(settings: Settings, console: Console) -> Summary:
    first = Summary()
    if "participant" in settings.levels:
        first = participant(settings, console)
        if "group" not in settings.levels or settings.dry_run or first.broken_off:
            return first
    # Its page draws with matplotlib, which the participant level does without.
    from cmb_bidsapp.levels.group import group

    collected = group(settings, console)
    if "participant" not in settings.levels:
        return collected
    return replace(first, code=first.code or collected.code)
