"""What a person sees while sessions run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from cmb_bidsapp.bids.scans import Unit
from cmb_bidsapp.engine.children import Outcome


def say(console: Console, text: str) -> None:
    """Print a line as it is: brackets are no markup, and paths are not broken.

    Parameters
    ----------
    console
        Console to print on.
    text
        The line.
    """
    console.print(text, markup=False, highlight=False, soft_wrap=True)


class Display:
    """Follows sessions; may be told of steps from several threads."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._total, self._ended, self._since = total, 0, time.monotonic()
        self._tasks: dict[str, TaskID] = {}
        # The first session that had a note, by its text.
        self._noted: dict[str, str] = {}
        self._live: Progress | None = None
        if console.is_terminal and total:
            self._live = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=console,
                transient=True,
            )
            self._all = self._live.add_task("sessions", total=total)

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def event(self, session: Unit, kind: str, text: str) -> None:
        """A session begins a ``step``, or has a ``note`` for the person, which stays.

        A note that an earlier session had is not told again in full.

        Parameters
        ----------
        session
            Session, or participant for the follow-ups.
        kind
            ``step`` or ``note``.
        text
            Name of the step, or the note.
        """
        with self._lock:
            if kind == "note":
                first = self._noted.setdefault(text, session.label)
                shown = text if first == session.label else f"as of {first}"
                say(self._console, f"{session.label}: note: {shown}")
                return
            if self._live is None:
                say(self._console, f"{session.label}: {text}")
                return
            text = f"{escape(session.label)}: {escape(text)}"
            if session.label in self._tasks:
                self._live.update(self._tasks[session.label], description=text)
            else:
                self._tasks[session.label] = self._live.add_task(text, total=None)

    def finished(self, outcome: Outcome) -> None:
        """A session has ended."""
        with self._lock:
            label = outcome.session.label
            if self._live is not None:
                if label in self._tasks:
                    self._live.remove_task(self._tasks.pop(label))
                self._live.advance(self._all)
            what = "done" if outcome.ran else "up to date"
            text = f"{what} ({outcome.seconds:g} s)" if outcome.ok else f"FAILED: {outcome.message}"
            self._ended += 1
            say(self._console, f"{label}: {text}{self._how_far()}")

    def _how_far(self) -> str:
        """How many of several have ended, and how long the others will take, going by these."""
        left = self._total - self._ended
        if self._total < 2:
            return ""
        each = (time.monotonic() - self._since) / self._ended
        to_go = f", {in_words(each * left)} to go" if left else ""
        return f"; {self._ended} of {self._total}{to_go}"


def in_words(seconds: float) -> str:
    """An expected time, no more precise than it is.

    >>> [in_words(s) for s in (0.2, 42, 100, 5000, 200_000)]
    ['about 1 s', 'about 40 s', 'about 2 min', 'about 1.4 h', 'about 56 h']
    """
    if seconds < 60:
        return f"about {max(1, float(f'{seconds:.1g}')):.0f} s"
    if seconds < 3600:
        return f"about {seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"about {hours:.{0 if hours >= 10 else 1}f} h"
