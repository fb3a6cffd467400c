"""Sessions that a lesion model is trained on: their files, and folds of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from cmb_bidsapp.bids.derivatives import ending
from cmb_bidsapp.bids.filters import select_participants
from cmb_bidsapp.bids.images import UNREADABLE, open_image
from cmb_bidsapp.core.errors import DataError, NoInputError, UsageError
from cmb_bidsapp.preprocess.resampling import Grid

log = logging.getLogger(__name__)

#: File names of a session after ``sub-..[_ses-..]``: T2*w, T1w, proxy labels; and the mask.
IMAGE_ENDINGS = (
    ending(lambda files: files.t2star),
    ending(lambda files: files.t1w_on_t2star),
    ending(lambda files: files.proxy),
)
MASK_ENDING = ending(lambda files: files.mask)
#: What may lie beside the mask, by its name in :class:`TrainingCase`.
KNOWN_ENDINGS = MappingProxyType(
    {
        "ignore": ending(lambda files: files.ignored),
        "mimics": ending(lambda files: files.mimics),
    }
)


@dataclass(frozen=True, kw_only=True)
class TrainingCase:
    """Files of one session, as the app and ``simulate`` write them (T2*w grid)."""

    name: str
    t2star: Path
    t1w: Path
    proxy: Path
    lesions: Path
    ignore: Path | None = None
    """Lesions too faint to be counted, or to be called none."""
    mimics: Path | None = None
    """Veins and calcifications."""

    @property
    def participant(self) -> str:
        """Label without ``sub-``."""
        return participant_of(self.name)


def participant_of(name: str) -> str:
    """Label of the participant of a session.

    >>> participant_of("sub-01_ses-A")
    '01'
    """
    return name.partition("_")[0].removeprefix("sub-")


def find_cases(derivatives: Path, truth: Path | None = None) -> list[TrainingCase]:
    """Sessions that have images, proxy labels and a CMB mask; the others are named and left out.

    Parameters
    ----------
    derivatives
        BIDS derivatives with the preprocessed images and proxy labels.
    truth
        BIDS derivatives with the CMB masks, in the same folders and on the same grids; without
        it they are those of ``derivatives``.

    Raises
    ------
    NoInputError
        No session is complete.
    DataError
        A mask does not lie on the grid of its image.
    """
    masks = truth or derivatives
    sessions = {
        path.relative_to(root).with_name(path.name.removesuffix(end))
        for root, end in ((masks, MASK_ENDING), (derivatives, IMAGE_ENDINGS[0]))
        for path in root.glob(f"sub-*/**/*{end}")
    }
    cases = []
    for session in sorted(sessions):
        files = [derivatives / f"{session}{end}" for end in IMAGE_ENDINGS]
        files.append(masks / f"{session}{MASK_ENDING}")
        missing = [str(path) for path in files if not path.exists()]
        if missing:
            log.warning("%s is left out: it lacks %s", session.name, ", ".join(missing))
            continue
        t2star, t1w, proxy, mask = files
        _check_grid(mask, t2star)
        known = {
            name: path
            for name, end in KNOWN_ENDINGS.items()
            if (path := masks / f"{session}{end}").exists()
        }
        cases.append(
            TrainingCase(
                name=session.name, t2star=t2star, t1w=t1w, proxy=proxy, lesions=mask, **known
            )
        )
    if not cases:
        raise NoInputError(
            f"{derivatives}: no session with *_desc-proxy_dseg, both images and, in {masks}, "
            "*_label-CMB_mask"
        )
    return cases


def chosen_cases(
    derivatives: Path,
    truth: Path | None = None,
    *,
    participants: Sequence[str] = (),
    excluded: Sequence[str] = (),
) -> list[TrainingCase]:
    """Sessions of the participants asked for, as :func:`find_cases` finds them.

    Parameters
    ----------
    derivatives
        Output folder of the app.
    truth
        Folder of the lesions, where they lie elsewhere.
    participants, excluded
        Labels of those that are wanted (all where none is given), and of those not.

    Raises
    ------
    UsageError
        Somebody named is not there, or nobody is left.
    """
    found = find_cases(derivatives, truth)
    chosen = select_participants([case.participant for case in found], participants, excluded)
    return [case for case in found if case.participant in chosen]


def _check_grid(mask: Path, image: Path) -> None:
    try:
        one, other = open_image(mask), open_image(image)
    except UNREADABLE as error:
        raise DataError(f"{mask} or {image} cannot be read ({error})") from error
    grids = [Grid.of_image(found) for found in (one, other)]
    if one.shape != other.shape or not grids[0].is_same_as(grids[1]):
        raise DataError(
            f"{mask} (shape {one.shape}) is not on the grid of {image} (shape {other.shape}); "
            "draw it on that image, or resample it"
        )


def check_fold(fold: int, folds: int) -> None:
    """Refuse a part that a cross-validation does not have.

    Parameters
    ----------
    fold
        Number of the part, from 0.
    folds
        How many parts there are.

    Raises
    ------
    UsageError
        ``fold`` is none of 0 to ``folds - 1``.
    """
    if not 0 <= fold < folds:
        raise UsageError(f"--fold {fold}: expected 0 to {folds - 1}")


def split_participants(names: Sequence[str], folds: int, seed: int) -> list[dict[str, list[str]]]:
    """Folds of a cross-validation, all sessions of a participant in the same one.

    Parameters
    ----------
    names
        Sessions, as ``sub-01`` or ``sub-01_ses-A``.
    folds
        Number of folds.
    seed
        Of the order in which participants are dealt out.

    Returns
    -------
    splits
        For each fold the sessions that are trained on (``train``) and those left out (``val``), as
        nnU-Net's ``splits_final.json`` wants them.

    Raises
    ------
    UsageError
        There are fewer participants than folds.
    """
    participants = sorted(set(map(participant_of, names)))
    if len(participants) < folds:
        raise UsageError(
            f"{folds} folds need at least as many participants, but there are only "
            f"{len(participants)}"
        )
    order = np.random.default_rng(seed).permutation(participants)
    left_out = [set(order[number::folds].tolist()) for number in range(folds)]
    return [
        {
            "train": [name for name in names if participant_of(name) not in part],
            "val": [name for name in names if participant_of(name) in part],
        }
        for part in left_out
    ]
