"""Decisions, measures and notes in words."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cmb_bidsapp.anatomy.quality import readable
from cmb_bidsapp.lesions.lesion import Grade, Lesion, Mimic, Reason

#: Verdicts of CFPR as the beginning of a sentence that goes on with the share of brain.
VERDICTS = {
    Reason.PARENCHYMA: "Kept",
    Reason.NO_PERIPHERY: "Kept: there is no periphery to judge by",
    Reason.PERIPHERY_NOT_BRAIN: "Rejected",
}
#: What a card says a candidate may be instead, from this share on.
MIMICS: Mapping[Mimic, str] = {
    Mimic.VESSEL: "a vessel",
    Mimic.CALCIFICATION: "a calcification",
    Mimic.IRON: "the iron of a nucleus",
    Mimic.EDGE: "the edge of the brain",
}
LIKELY_MIMIC = 0.5
#: How the note on measures of the anatomy begins, and how it has a share.
ANATOMY = "check the anatomy"
_SHARE = re.compile(r"([\d.]+) share \(expected (at least|at most) ([\d.]+)\)")


def verdict_in_words(lesion: Lesion) -> str:
    """What was decided, as the beginning of a sentence."""
    if lesion.reason in VERDICTS:
        return VERDICTS[lesion.reason]
    word = "Kept" if lesion.kept else "Rejected"
    if lesion.reason is None:
        return word
    return f"{word} ({lesion.reason.description.removeprefix(f'{word.lower()}: ')})"


def instead_in_words(lesion: Lesion) -> str:
    """What a lesion that is not definite may be instead of a microbleed, where that is likely.

    >>> instead_in_words(Lesion(status="rejected", mimic=Mimic.VESSEL, mimic_share=0.8))
    'a vessel'
    """
    sure = (lesion.mimic_share or 0) >= LIKELY_MIMIC
    told = sure and lesion.mimic is not None and lesion.grade is not Grade.DEFINITE
    return MIMICS.get(lesion.mimic, "") if told and lesion.mimic else ""


def measure_in_words(value: float, units: str) -> tuple[str, str]:
    """Number and units of a measure as a person reads them: shares in percent.

    Parameters
    ----------
    value, units
        As in the table of the anatomy.

    >>> measure_in_words(0.386, "share"), measure_in_words(2262.07, "ml")
    (('38.6', '%'), ('2262', 'ml'))
    """
    return (readable(100 * value), "%") if units == "share" else (readable(value), units)


def note_in_words(note: str) -> str:
    """A note on a session as a person reads it: shares in percent.

    >>> note_in_words("putamen asymmetry is 0.312 share (expected at most 0.3)")
    'putamen asymmetry is 31.2 % (expected at most 30 %)'
    """

    def percent(found: re.Match[str]) -> str:
        value, limit = (" ".join(measure_in_words(float(found[k]), "share")) for k in (1, 3))
        return f"{value} (expected {found[2]} {limit})"

    return _SHARE.sub(percent, note)
