"""Which state of a training is taken: the curve over the scans held back decides, and ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cmb_bidsapp.lesions.second_look import SecondLook
from cmb_bidsapp.train.gains import HeldBack, Judged
from cmb_bidsapp.train.second_look import halfway

#: So many measurements in a row that do not improve on the best one end a training.
PATIENCE = 3


@dataclass(frozen=True)
class State:
    """Judges in a training, and what they say of the scans held back.

    Attributes
    ----------
    step
        That every judge has made.
    halfway
        Whether the weights are the mean of those and of the weights that training started from.
    network, judged
        The judges, and what they say.
    share
        Of the simulated microbleeds for choosing that is found, mean over the thresholds.
    marks
        Per scan at the same thresholds, mean.
    """

    step: int
    halfway: bool
    network: SecondLook
    judged: Judged
    share: float
    marks: float

    def __str__(self) -> str:
        """Return the figures for a person."""
        return f"{self.share:.1%} found at {self.marks:.2f} marks per scan"


def best_state(
    start: SecondLook,
    states: Iterable[tuple[int, SecondLook]],
    held_back: HeldBack,
    thresholds: Sequence[float],
    say: Callable[[str], None],
    pace: Callable[[], str],
) -> State:
    """The state that finds most at as many marks per scan; it is the start if nothing finds more.

    The mean of a state's weights and those of the start is measured as well: it may find more than
    either.

    Parameters
    ----------
    start
        Judges that training starts from.
    states
        Steps and judges; the next ones are asked for as long as there is hope.
    held_back
        Scans to measure in.
    thresholds
        Of the start; a state's own mean as many marks.
    say
        Is told the figures of every measurement.
    pace
        Says how long the rest takes.
    """
    begun = Judged(start, held_back)

    def measured(step: int, network: SecondLook, *, half: bool = False) -> State:
        judged = Judged(network, held_back)
        share, marks = judged.share(begun, thresholds), judged.marks(begun, thresholds)
        return State(step, half, network, judged, share, marks)

    best, idle = measured(0, start), 0
    say(f"step 0: {best}")
    for step, network in states:
        # Of equals the first is taken, which is nearer to the start.
        pair = measured(step, halfway(start, network), half=True), measured(step, network)
        say(f"step {step}: {pair[1]}; halfway to it: {pair[0]} ({pace()})")
        top = max(pair, key=lambda state: state.share)
        best, idle = (top, 0) if top.share > best.share else (best, idle + 1)
        if idle == PATIENCE:
            say(f"{PATIENCE} measurements without a gain: training stops")
            break
    return best
