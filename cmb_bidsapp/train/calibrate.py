"""Thresholds and calibration of a lesion model: from an evaluated run to its card."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.core.defaults import DEFINITE_PROBABILITY, OPERATING_POINTS
from cmb_bidsapp.core.errors import DataError, ExitCode, UsageError
from cmb_bidsapp.evaluation.matching import match_by_rank
from cmb_bidsapp.evaluation.results import AFTER
from cmb_bidsapp.models.calibration import CLOSEST, Calibration, Truth, Values, fit
from cmb_bidsapp.models.card import CARD, read_card, write_card

#: Tables of an evaluation, and the columns that matter here.
TABLE, SESSIONS = "evaluation_lesions.tsv", "evaluation_sessions.tsv"
SESSION_COLUMNS = ("participant_id", "stage", "status", "reference")
COLUMNS = ("participant_id", "stage", "side", "fate", "x", "y", "z", "probability_max")
OPTIONAL = ("session_id", "method")
#: What tells sessions apart, and where a lesion is.
SESSION, CENTER = ["participant_id", "session_id"], ("x", "y", "z")
#: True and false candidates, and participants, that are needed.
EACH, PARTICIPANTS = 5, 5


def run_calibration(bundle: Path, evaluation: Path) -> ExitCode:
    """Choose the thresholds of a bundle, calibrate it, and write both into its card.

    The weights stay as they are. The threshold in use is that of the balanced operating point.

    Parameters
    ----------
    bundle
        Folder of a lesion model.
    evaluation
        What ``evaluate`` wrote about a run of that model on scans it was not trained on.

    Raises
    ------
    UsageError
        The bundle is none, or one of another task.
    DataError
        The evaluation lacks its table, or candidates.
    """
    path = bundle / CARD
    if not path.is_file():
        raise UsageError(f"BUNDLE {bundle}: expected a folder with a {CARD}")
    card = read_card(path)
    if card.task != "lesions":
        raise UsageError(
            f"BUNDLE {bundle}: this is a model for {card.task}; expected a model for lesions"
        )
    probability, true, participant = candidates_of(evaluation / TABLE)
    calibration = fit(probability, true, participant, float(probability.min()))
    points = operating_points(probability, true, *sessions_of(evaluation / SESSIONS))
    changed = dataclasses.replace(
        card,
        threshold=points["balanced"]["threshold"],
        operating_points=points,
        calibration=calibration.to_dict(),
    )
    write_card(path, changed)
    print("\n".join([*_points_lines(points), *_lines(calibration), f"card: {path}"]))
    return ExitCode.OK


def operating_points(
    probability: Values, true: Truth, scans: int, microbleeds: int
) -> dict[str, dict[str, float]]:
    """Lowest thresholds with at most so many false marks per scan.

    Parameters
    ----------
    probability, true
        Peak probability of every candidate, and whether it is a microbleed.
    scans, microbleeds
        How many were evaluated, and how many microbleeds the reference has in them.

    Returns
    -------
    points
        By the names of :data:`cmb_bidsapp.core.defaults.OPERATING_POINTS`: ``threshold``,
        ``false_marks_per_scan`` and ``found`` (share of the microbleeds).
    """
    false = np.sort(probability[~true])[::-1]
    points = {}
    for name, rate in OPERATING_POINTS.items():
        allowed = int(rate * scans)
        # A threshold is reached, so it lies above the first mark that is one too many.
        threshold = float(probability.min())
        if allowed < len(false):
            above = np.unique(probability[probability > false[allowed]])
            threshold = float(above[0]) if len(above) else (1 + float(false[allowed])) / 2
        reached = probability >= threshold
        points[name] = {
            "threshold": round(min(threshold, 1 - CLOSEST), 6),
            "false_marks_per_scan": round(float((reached & ~true).sum()) / scans, 3),
            "found": round(float((reached & true).sum()) / max(microbleeds, 1), 3),
        }
    return points


def sessions_of(table: Path) -> tuple[int, int]:
    """Number of evaluated sessions, and of the microbleeds that the reference has in them.

    Raises
    ------
    DataError
        The table is not there, or is none of ``evaluate``.
    """
    rows = _rows(table, SESSION_COLUMNS)
    used = rows[(rows["stage"] == AFTER) & (rows["status"] == "evaluated")]
    if used.empty:
        raise DataError(f"{table}: no evaluated session")
    try:
        return len(used), int(used["reference"].astype(int).sum())
    except ValueError as error:
        raise DataError(f"{table}: reference must be a number ({error})") from error


def _rows(table: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A table of ``evaluate`` as text; columns that may be absent are empty then."""
    try:
        rows = read_table(table, columns)
    except FileNotFoundError as error:
        raise DataError(f"{table} does not exist; run cmb_bidsapp evaluate first") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{table}: {error}; run cmb_bidsapp evaluate again") from error
    return pd.DataFrame(rows).reindex(columns=[*columns, *OPTIONAL], fill_value="")


def candidates_of(
    table: Path,
) -> tuple[Values, Truth, np.ndarray[tuple[int], np.dtype[np.str_]]]:
    """Highest probability, truth and participant of the candidates that CFPR kept.

    Those that the reference calls neither right nor wrong are left out. A run of a lower threshold
    than the model's own has more candidates, and the calibration reaches down to them: of several
    near a microbleed the surest is that microbleed, as at a threshold that the others do not reach.

    Raises
    ------
    DataError
        The table is not there, is none of ``evaluate``, is of several models, or has too few of
        them.
    """
    rows = _rows(table, COLUMNS)
    kept = rows[(rows["stage"] == AFTER) & (rows["fate"] != "ignored")]
    predicted, reference = (kept[kept["side"] == side] for side in ("predicted", "reference"))
    if len(methods := sorted(predicted["method"].unique())) > 1:
        raise DataError(
            f"{table} holds the runs of several models ({', '.join(methods)}); evaluate "
            "that of this model alone"
        )
    try:
        true = _microbleeds(
            predicted.astype(dict.fromkeys([*CENTER, "probability_max"], float)),
            reference.astype(dict.fromkeys(CENTER, float)),
        )
    except ValueError as error:
        raise DataError(f"{table}: probability_max, x, y, z must be numbers ({error})") from error
    probability = predicted["probability_max"].to_numpy(np.float64)
    participant = predicted["participant_id"].to_numpy(np.str_)
    counts = int(true.sum()), int((~true).sum()), len(np.unique(participant))
    if min(counts[:2]) < EACH or counts[2] < PARTICIPANTS:
        raise DataError(
            f"{table} has {counts[0]} true and {counts[1]} false candidates in {counts[2]} "
            f"participants; a calibration needs {EACH} of each in {PARTICIPANTS}"
        )
    return probability, true, participant


def _microbleeds(predicted: pd.DataFrame, reference: pd.DataFrame) -> Truth:
    """Whether each predicted lesion hits one of the reference."""
    true = pd.Series(data=False, index=predicted.index)
    known = dict(iter(reference.groupby(SESSION)))
    for session, own in predicted.groupby(SESSION):
        if session in known:
            there, found = (rows[[*CENTER]].to_numpy() for rows in (known[session], own))
            for pair in match_by_rank(there, found, own["probability_max"].to_numpy()):
                true.loc[own.index[pair.predicted]] = True
    hits: Truth = true.to_numpy()
    return hits


def _points_lines(points: Mapping[str, Mapping[str, float]]) -> list[str]:
    return [
        "operating point   threshold   false marks per scan   found",
        *(
            f"{name:15s}{one['threshold']:12.6f}{one['false_marks_per_scan']:23.2f}"
            f"{one['found']:8.2f}"
            for name, one in points.items()
        ),
    ]


def _lines(found: Calibration) -> list[str]:
    """What a person should see of a calibration."""
    return [
        f"{found.candidates} candidates of {found.participants} participants, "
        f"{found.microbleeds} of them microbleeds",
        "held out      log-loss    Brier",
        *(
            f"{name:12s}{found.log_loss[name]:10.3f}{found.brier[name]:9.3f}"
            for name in found.log_loss
        ),
        f"chosen: {found.method}",
        "probability   observed   candidates",
        *(
            f"{one['probability']:11.3f}{one['observed']:11.3f}{one['candidates']:13d}"
            for one in found.reliability
        ),
        f"definite (calibrated {DEFINITE_PROBABILITY:g} or more, held out): "
        f"{found.definite['microbleeds']} of {found.definite['candidates']} are microbleeds",
        "network's probability -> calibrated",
        *(f"{known:21.6f} -> {level:.3f}" for known, level in found.knots),
    ]
