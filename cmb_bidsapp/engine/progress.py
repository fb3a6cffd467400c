"""What a person sees while sessions run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
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

from cmb_bidsapp.bids.inputs import Session
from cmb_bidsapp.engine.children import Outcome


def say(console: Console, text: str) -> None:
    """Print a line as it is: brackets are no markup, and paths are not broken."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


class Display:
    """Follows sessions; may be told of steps from several threads."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._tasks: dict[str, TaskID] = {}
        self._live: Progress | None = None
        self._total, self._ended = total, 0
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

    def event(self, session: Session, kind: str, text: str) -> None:
        """A session begins a ``step``, or has a ``note`` for the person, which stays."""
        with self._lock:
            if self._live is None or kind == "note":
                shown = f"note: {text}" if kind == "note" else text
                say(self._console, f"{session.label}: {shown}")
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
            say(self._console, f"{label}: {text}; {self._ended} of {self._total}")
