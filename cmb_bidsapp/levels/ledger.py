"""How the sessions of a run fare: in ``logs/status.tsv`` as it happens, and summed up."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from cmb_bidsapp.bids.scans import Choice, Unit
from cmb_bidsapp.core.errors import ExitCode, classify
from cmb_bidsapp.core.outcome import Summary, common_code
from cmb_bidsapp.engine.children import Outcome
from cmb_bidsapp.levels.status import begun, ended, left_out, waiting, write_status
from cmb_bidsapp.workflow import Stage


class Ledger:
    """The sessions of one run; may be told from several threads.

    A row is written when a session begins and when it ends, so that whatever ends the run, even a
    kill, the table tells of each session what is true.

    Parameters
    ----------
    choice
        What runs, and what cannot.
    main
        The stage that every session is to go through; others count where they fail.
    """

    def __init__(self, out_dir: Path, choice: Choice, main: Stage = "session") -> None:
        self._out_dir = out_dir
        self._choice = choice
        self._main = main
        self._outcomes: dict[tuple[Stage, str], Outcome] = {}
        self._running: dict[tuple[Stage, str], Unit] = {}

    def open(self) -> None:
        """List who is to run, where nothing is known of them yet, and who cannot."""
        write_status(self._out_dir, waiting(self._choice.sessions, self._main), new_only=True)
        write_status(self._out_dir, left_out(self._choice))

    def up_to_date(self, sessions: Iterable[Unit], stage: Stage) -> list[Outcome]:
        """These have nothing left to do; returns how that reads.

        Parameters
        ----------
        sessions
            Sessions or participants that are up to date.
        stage
            Stage that they need not run.
        """
        outcomes = [Outcome(session=session) for session in sessions]
        self._outcomes |= {(stage, one.session.label): one for one in outcomes}
        write_status(self._out_dir, ended(outcomes, stage))
        return outcomes

    def begins(self, session: Unit, stage: Stage) -> None:
        """A session begins to run.

        Parameters
        ----------
        session
            Session, or participant for the follow-ups.
        stage
            Stage that begins.
        """
        self._running[stage, session.label] = session
        write_status(self._out_dir, begun([session], stage))

    def ends(self, outcome: Outcome, stage: Stage) -> Outcome:
        """A session has ended; returns how it did, a failure where that cannot be written.

        Parameters
        ----------
        outcome
            How the session ended.
        stage
            Stage that has ended.
        """
        key = stage, outcome.session.label
        self._running.pop(key, None)
        self._outcomes[key] = outcome
        try:
            write_status(self._out_dir, ended([outcome], stage))
        except OSError as error:
            code, message = classify(error)
            cause = f"its row in logs/status.tsv cannot be written: {message}"
            self._outcomes[key] = replace(outcome, code=code, message=outcome.message or cause)
        return self._outcomes[key]

    def outcomes(self, stage: Stage) -> Sequence[Outcome]:
        """How those have ended that have."""
        return [outcome for (own, _), outcome in self._outcomes.items() if own == stage]

    def summary(self, code: int | None = None) -> Summary:
        """Counts and the exit code, or the one given; who has not ended counts as failed.

        What failed of other stages leaves the sessions' own results as they are, and counts on top.
        """
        own = self.outcomes(self._main)
        besides = [
            outcome
            for (stage, _), outcome in self._outcomes.items()
            if stage != self._main and not outcome.ok
        ]
        ok, refused = sum(one.ok for one in own), len(self._choice.failed)
        codes = [one.code for one in (*own, *besides)] + [ExitCode.DATA] * refused
        return Summary(
            ok=ok,
            failed=len(self._choice.sessions) - ok + len(besides) + refused,
            skipped=len(self._choice.skipped),
            code=common_code(codes) if code is None else code,
        )

    def broken_off(self, error: BaseException) -> Summary:
        """Say why the run ends before its time; returns the summary of what there is."""
        code, message = classify(error)
        print(f"cmb_bidsapp: {message}", file=sys.stderr, flush=True)
        for key, session in self._running.items():
            self._outcomes[key] = Outcome(session=session, code=code, message=message)
        # The end may have come between an outcome and its row.
        rows = [row for (stage, _), one in self._outcomes.items() for row in ended([one], stage)]
        # Of a disk that is full the lines above have told.
        with suppress(OSError):
            write_status(self._out_dir, rows)
        return replace(self.summary(code), broken_off=True)
