"""Training sets out of scans that were processed: their own backgrounds, with implants."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.filters import select_participants
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.core.arrays import Image, Regions
from cmb_bidsapp.core.errors import ExitCode, NoInputError
from cmb_bidsapp.sensitivity.background import Background, processed_sessions, read_background
from cmb_bidsapp.simulate.implants import COLUMNS, draw_implants, noise_level, with_implants

log = logging.getLogger(__name__)

#: Volume of a brain (ml) that gets the full number of implants; parts of brains get their share.
BRAIN_ML = 1200.0


@dataclass(frozen=True, kw_only=True)
class Draw:
    """A background with implants, as a case of a training."""

    t2star: Image
    lesions: Regions
    ignore: Regions
    mimics: Regions
    rows: list[dict[str, Any]]


def draw_case(background: Background, count: int, rng: np.random.Generator) -> Draw:
    """Implant sources into a whole brain, fewer into a part of one.

    Where microbleeds are labeled, what is suspected elsewhere is a mimic: patches are centered on
    it. Where nobody has labeled, it may be a microbleed, and is ignored.

    Parameters
    ----------
    background
        The scan, and what is known of it.
    count
        How many sources a whole brain gets.
    rng
        Draws them.
    """
    seen = background
    number = max(1, round(count * min(1.0, seen.milliliters / BRAIN_ML)))
    implants = draw_implants(
        seen.t2star, seen.regions, seen.affine, number, rng, b0=seen.b0, te_ms=seen.te_ms
    )
    t2star = with_implants(seen.t2star, implants.factor, noise_level(seen.t2star), rng)
    lesions = implants.instances > 0
    if seen.lesions is not None:
        lesions |= seen.lesions
    suspected = seen.suspected & ~lesions & ~seen.doubtful
    ignore = ((implants.ignore > 0) | seen.doubtful) & ~lesions
    mimics = np.zeros(lesions.shape, np.uint8)
    if seen.lesions is None:
        ignore |= suspected
    else:
        mimics[suspected] = 1
    return Draw(
        t2star=t2star,
        lesions=lesions.astype(np.uint8),
        ignore=ignore.astype(np.uint8),
        mimics=mimics,
        rows=implants.rows,
    )


def write_draw(files: SessionFiles, draw: Draw, seen: Background) -> None:
    """Write a case in the layout that ``simulate`` writes truth in.

    Parameters
    ----------
    files
        Names of the case's files.
    draw
        Scan with implants, and where they are.
    seen
        The scan without them.
    """
    images: dict[Path, npt.NDArray[Any]] = {
        files.t2star: draw.t2star,
        files.t1w_on_t2star: seen.t1w,
        files.proxy: seen.regions,
        files.ignored: draw.ignore,
        files.mimics: draw.mimics,
    }
    for path, data in images.items():
        write_image(path, data, seen.affine)
    write_table(files.lesions, list(COLUMNS), draw.rows, COLUMNS)
    # Written last: a session with a mask is whole.
    write_image(files.mask, draw.lesions, seen.affine)


def run_implants(
    derivatives: Path,
    out: Path,
    *,
    masks: Path | None,
    draws: int,
    microbleeds: tuple[int, int],
    participants: Sequence[str] = (),
    excluded: Sequence[str] = (),
    seed: int = 0,
) -> int:
    """Write ``draws`` cases for every session of a folder of the app's outputs.

    Each draw is a session of its participant, so that folds over participants keep them together.
    Cases that are there already stay.

    Parameters
    ----------
    derivatives
        Output folder of the app.
    out
        Folder of the cases, laid out as derivatives.
    masks
        Derivatives with the CMB masks of labeled sessions, and masks of what is to be ignored
        (``desc-ignore``). All microbleeds of these are labeled; sessions without a mask there are
        left out. Without it nothing is taken for labeled.
    draws
        Number of cases of each session.
    microbleeds
        Least and most sources of a draw, for a whole brain.
    participants, excluded
        Labels of those to take (all where none is given), and of those not to take.
    seed
        Of the random numbers; every draw of every session has its own.

    Raises
    ------
    NoInputError
        No session can be used.
    """
    sessions = chosen_sessions(derivatives, masks, participants=participants, excluded=excluded)
    for files, labeled in sessions:
        seen = read_background(files, labeled)
        for number in range(draws):
            case = SessionFiles(out, files.participant, f"{files.session or ''}draw{number}")
            if not case.mask.exists():
                rng = np.random.default_rng((seed, number, *files.label.encode()))
                count = int(rng.integers(microbleeds[0], microbleeds[1], endpoint=True))
                write_draw(case, draw_case(seen, count, rng), seen)
            print(case.label, flush=True)
    return ExitCode.OK


def chosen_sessions(
    derivatives: Path,
    masks: Path | None,
    *,
    participants: Sequence[str] = (),
    excluded: Sequence[str] = (),
) -> list[tuple[SessionFiles, SessionFiles | None]]:
    """Sessions of the participants asked for, each with its labels.

    Sessions without a mask in ``masks`` are named and left out; without ``masks`` nobody has
    labeled any.

    Parameters
    ----------
    derivatives
        Output folder of the app.
    masks
        Folder of labeled masks; ``None``: there are none.
    participants, excluded
        Labels of those that are wanted (all where none is given), and of those not.

    Raises
    ------
    UsageError
        Somebody named is not there, or nobody is left.
    NoInputError
        No session can be used.
    """
    sessions = processed_sessions(derivatives)
    if not sessions:
        raise NoInputError(f"{derivatives}: no session with *_desc-preproc_T2starw")
    wanted = select_participants([s.participant for s in sessions], participants, excluded)
    chosen = []
    for files in sessions:
        if files.participant not in wanted:
            continue
        labeled = SessionFiles(masks, files.participant, files.session) if masks else None
        if labeled is not None and not labeled.mask.exists():
            log.warning("%s is left out: %s does not exist", files.label, labeled.mask)
            continue
        chosen.append((files, labeled))
    if not chosen:
        raise NoInputError(f"{masks}: no mask of any session of {derivatives}")
    return chosen
