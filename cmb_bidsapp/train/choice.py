"""Which state of a training is taken: the curve over the scans held back decides, and ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cmb_bidsapp.lesions.second_look import SecondLook
from cmb_bidsapp.train.gains import Judged
from cmb_bidsapp.train.second_look import halfway

#: So many measurements in a row that do not improve on the best one end a training.
PATIENCE = 3


@dataclass(frozen=True, kw_only=True)
class Milestone:
    """Judges in a training, and what they say of the scans held back.

    Attributes
    ----------
    step
        That every judge has made.
    halfway
        Whether the weights are the mean of those and of the weights that training started from.
    judged
        The judges' networks, and what they say.
    share
        Of the simulated microbleeds for choosing that is found, mean over the thresholds.
    marks
        Per scan at the same thresholds, mean.
    """

    step: int
    halfway: bool
    judged: Judged
    share: float
    marks: float

    def __str__(self) -> str:
        """Return the figures for a person."""
        return f"{self.share:.1%} found at {self.marks:.2f} marks per scan"


def best_state(
    start: Judged,
    states: Iterable[tuple[int, SecondLook]],
    thresholds: Sequence[float],
    say: Callable[[str], None],
    pace: Callable[[], str],
) -> Milestone:
    """The state that finds most at as many marks per scan; it is the start if nothing finds more.

    The mean of a state's weights and those of the start is measured as well: it may find more than
    either.

    Parameters
    ----------
    start
        Judges that training starts from, in the scans to measure in.
    states
        Steps and judges; the next ones are asked for as long as there is hope.
    thresholds
        Of the start; a state's own mean as many marks.
    say
        Is told the figures of every measurement.
    pace
        Says how long the rest takes.
    """

    def measured(step: int, judged: Judged, *, half: bool = False) -> Milestone:
        share, marks = judged.share(start, thresholds), judged.marks(start, thresholds)
        return Milestone(step=step, halfway=half, judged=judged, share=share, marks=marks)

    best, idle = measured(0, start), 0
    say(f"step 0: {best}")
    for step, network in states:
        # Of equals the first is taken, which is nearer to the start.
        between = Judged(halfway(start.network, network), start.held_back)
        pair = (
            measured(step, between, half=True),
            measured(step, Judged(network, start.held_back)),
        )
        say(f"step {step}: {pair[1]}; halfway to it: {pair[0]} ({pace()})")
        top = max(pair, key=lambda state: state.share)
        best, idle = (top, 0) if top.share > best.share else (best, idle + 1)
        if idle == PATIENCE:
            say(f"{PATIENCE} measurements without a gain: training stops")
            break
    return best
