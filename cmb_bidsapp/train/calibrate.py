"""Calibrate a lesion model: from the candidates of an evaluated run to its card."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.core.errors import DataError, ExitCode, UsageError
from cmb_bidsapp.evaluation.results import AFTER
from cmb_bidsapp.models.calibration import Calibration, Truth, Values, fit
from cmb_bidsapp.models.card import CARD, read_card, write_card

#: Table of an evaluation, and its columns that matter here.
TABLE = "evaluation_lesions.tsv"
COLUMNS = ("participant_id", "stage", "side", "fate", "probability_max")
#: True and false candidates, and participants, that are needed.
EACH, PARTICIPANTS = 5, 5


def run_calibration(bundle: Path, evaluation: Path) -> ExitCode:
    """Fit a calibration and write it into the card of a bundle; the weights stay as they are.

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
        raise UsageError(f"BUNDLE {bundle}: a folder with a {CARD} is expected")
    card = read_card(path)
    if card.task != "lesions":
        raise UsageError(f"BUNDLE {bundle}: a model for {card.task}; one for lesions is expected")
    probability, true, participant = candidates_of(evaluation / TABLE)
    calibration = fit(probability, true, participant, float(probability.min()))
    write_card(path, dataclasses.replace(card, calibration=calibration.to_dict()))
    print("\n".join([*_lines(calibration), f"card: {path}"]))
    return ExitCode.OK


def candidates_of(
    table: Path,
) -> tuple[Values, Truth, np.ndarray[tuple[int], np.dtype[np.str_]]]:
    """Highest probability, truth and participant of the candidates that CFPR kept.

    Those that the reference calls neither right nor wrong are left out. A run of a lower threshold
    than the model's own has more candidates, and the calibration reaches down to them.

    Raises
    ------
    DataError
        The table is not there, is none of ``evaluate``, is of several models, or has too few of
        them.
    """
    try:
        rows = read_table(table, COLUMNS)
    except FileNotFoundError as error:
        raise DataError(f"{table} does not exist; run cmb_bidsapp evaluate first") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{table}: {error}; run cmb_bidsapp evaluate again") from error
    used = [
        row
        for row in rows
        if row["stage"] == AFTER and row["side"] == "predicted" and row["fate"] != "ignored"
    ]
    if len(methods := {row.get("method", "") for row in used}) > 1:
        raise DataError(
            f"{table} holds the runs of several models ({', '.join(sorted(methods))}); evaluate "
            "that of this model alone"
        )
    try:
        found = [
            (float(row["probability_max"]), row["fate"] == "true-positive", row["participant_id"])
            for row in used
        ]
    except ValueError as error:
        raise DataError(f"{table}: probability_max must be a number ({error})") from error
    probability = np.array([one[0] for one in found], np.float64)
    true = np.array([one[1] for one in found], np.bool_)
    participant = np.array([one[2] for one in found], np.str_)
    counts = int(true.sum()), int((~true).sum()), len(np.unique(participant))
    if min(counts[:2]) < EACH or counts[2] < PARTICIPANTS:
        raise DataError(
            f"{table} has {counts[0]} true and {counts[1]} false candidates in {counts[2]} "
            f"participants; a calibration needs {EACH} of each in {PARTICIPANTS}"
        )
    return probability, true, participant


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
        "network's probability -> calibrated",
        *(f"{known:21.6f} -> {level:.3f}" for known, level in found.knots),
    ]
