"""What was decided on a candidate, and what else it may be, in words."""

from __future__ import annotations

from collections.abc import Mapping

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
