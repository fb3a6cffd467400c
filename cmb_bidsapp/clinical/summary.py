"""Clinical words and cut-offs for one session; an imaging summary, not a diagnosis.

Category and Boston v2.0 component (Charidimou et al. 2022) read the MARS groups as those criteria
do: a cerebellar microbleed is neither lobar nor deep, one of the brainstem is not lobar and counts
with the deep ones.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.provenance import read_notes
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.bids.typed import NOT_KNOWN, column, columns_of
from cmb_bidsapp.clinical.aria import baseline_class
from cmb_bidsapp.clinical.counts import at_least
from cmb_bidsapp.clinical.mars import GROUPS, fill, place_of
from cmb_bidsapp.core.burden import BURDEN_NAMES, burden_class
from cmb_bidsapp.core.defaults import BASELINE_LIMIT, NOT_A_DIAGNOSIS
from cmb_bidsapp.lesions.lesion import UNASSIGNED, Lesion

#: Group and region of a microbleed.
Where = tuple[str, str]
BRAINSTEM, CEREBELLUM = ("infratentorial", "brainstem"), ("infratentorial", "cerebellum")

#: Cut-offs in use, by the name of their column, in words.
CUTOFFS = MappingProxyType(
    {
        "at_least_1": "1 or more",
        "at_least_5": "5 or more, that is more than 4 (CROMIS-2; before anti-amyloid treatment)",
        "more_than_10": "more than 10 (European Stroke Organisation, thrombolysis)",
        "strictly_lobar_2": "2 or more lobar and none deep (Boston criteria v2.0; siderosis, "
        "larger hemorrhage, age and symptoms are not considered)",
        "above_limit": "more than baseline_limit, which usually rules out anti-amyloid therapy",
    }
)
#: Those that are of the number of microbleeds alone: the least that crosses them.
_FROM_THE_COUNT = MappingProxyType({"at_least_1": 1, "at_least_5": 5, "more_than_10": 11})


def least_counts(limit: int) -> dict[str, int]:
    """The least count that crosses each cut-off of the count alone, by name.

    Parameters
    ----------
    limit
        Of ``above_limit``: what is more than it crosses.
    """
    return {**_FROM_THE_COUNT, "above_limit": limit + 1}


def _crossed(name: str) -> Any:
    return column(
        f"Whether the microbleeds cross the cut-off: {CUTOFFS[name]}; {NOT_A_DIAGNOSIS}",
        required=True,
    )


def _chance(name: str) -> Any:
    return column(
        "Probability that the true ones among the microbleeds cross the cut-off: "
        f"{CUTOFFS[name]}. Groups are taken as given, and missed microbleeds are not considered; "
        "n/a if a microbleed that matters has no calibrated probability",
        required=True,
    )


_known = partial(column, required=True)
_BOSTON = f"; macrohemorrhages are not considered; {NOT_A_DIAGNOSIS}"
_CATEGORIES = MappingProxyType(
    {
        "none": "no microbleed",
        "strictly lobar": "lobar, none deep or in the brainstem; with or without cerebellar ones",
        "mixed": "lobar, and deep or in the brainstem",
        "strictly deep": "deep, none lobar; with or without infratentorial ones",
        "infratentorial only": "in the brainstem or cerebellum only",
        "undetermined": "no microbleed is near a region",
    }
)
_ARIA_H = MappingProxyType({"absent": "no microbleed", "1-4": "1 to 4", ">4": "more than 4"})


@dataclass(frozen=True, kw_only=True)
class ClinicalSummary:
    """The row of ``*_label-CMB_summary.tsv``.

    Each field is a column, which its metadata describe; probabilities are NaN where unknown.
    """

    count: int = _known("Microbleeds, definite and possible")
    lobar: int = _known("Lobar microbleeds")
    deep: int = _known("Deep microbleeds")
    infratentorial: int = _known("Microbleeds in the brainstem and cerebellum")
    brainstem: int = _known("Microbleeds in the brainstem")
    cerebellum: int = _known("Microbleeds in the cerebellum")
    unassigned: int = _known("Microbleeds that are not near any region")
    below_size: int = _known("Kept candidates smaller than MARS counts; not in the count")
    macro: int = _known("Kept candidates larger than 10 mm; not in the count")
    burden: str = column(
        f"Class of the count; {NOT_A_DIAGNOSIS}",
        levels=MappingProxyType({name: name for name in BURDEN_NAMES}),
        required=True,
    )
    category: str = column(
        f"Distribution of the microbleeds; {NOT_A_DIAGNOSIS}", levels=_CATEGORIES, required=True
    )
    border: int = _known("Microbleeds within 2 mm of another group of regions")
    turning: int = _known(
        "Microbleeds in an uncertain region (near a border, or without a region) that would each "
        "change the category if assigned to the group with the second most of their voxels"
    )
    category_otherwise: str | None = column(
        "Category after that change; n/a if no microbleed would change it"
    )
    boston_lobar: int = _known(
        f"Boston criteria v2.0: lobar microbleeds; 0 if boston_deep is true{_BOSTON}"
    )
    boston_deep: bool = _known(
        f"Boston criteria v2.0: whether a microbleed is deep or in the brainstem{_BOSTON}"
    )
    boston_cerebellar: int = _known(
        f"Boston criteria v2.0: cerebellar microbleeds, neither lobar nor deep{_BOSTON}"
    )
    aria_h_baseline: str = column(
        f"ARIA-H class at baseline; {NOT_A_DIAGNOSIS}", levels=_ARIA_H, required=True
    )
    aria_h_baseline_code: str = _known("RadElement set that defines the class")
    baseline_limit: int = _known(
        "More microbleeds than this at baseline usually rule out anti-amyloid therapy"
    )
    at_least_1: bool = _crossed("at_least_1")
    at_least_5: bool = _crossed("at_least_5")
    more_than_10: bool = _crossed("more_than_10")
    strictly_lobar_2: bool = _crossed("strictly_lobar_2")
    above_limit: bool = _crossed("above_limit")
    calibrated: int = _known("Microbleeds with a calibrated probability")
    expected_count: float = _known(
        "Sum of the calibrated probabilities, i.e. the expected number of true microbleeds; n/a "
        "if any microbleed has none"
    )
    at_least_1_probability: float = _chance("at_least_1")
    at_least_5_probability: float = _chance("at_least_5")
    more_than_10_probability: float = _chance("more_than_10")
    strictly_lobar_2_probability: float = _chance("strictly_lobar_2")
    above_limit_probability: float = _chance("above_limit")
    warnings: str | None = column(
        "Warnings about images, anatomy and network, to check before using the count; n/a if "
        "there are none"
    )
    note: str = _known("Note on the nature of this summary")

    def crossed(self) -> Iterator[tuple[str, bool, float]]:
        """Each of :data:`CUTOFFS`, whether it is crossed, and the probability that it is."""
        for name in CUTOFFS:
            yield name, getattr(self, name), getattr(self, f"{name}_probability")


#: Columns of ``*_label-CMB_summary.tsv`` with their JSON dictionary.
SUMMARY_COLUMNS = MappingProxyType(columns_of(ClinicalSummary))


def summarize(
    lesions: Iterable[Lesion], limit: int = BASELINE_LIMIT, warnings: Iterable[str] = ()
) -> ClinicalSummary:
    """Summarize the lesion table of one session.

    Parameters
    ----------
    lesions
        Kept and rejected.
    limit
        More microbleeds than this at baseline usually rule out anti-amyloid therapy.
    warnings
        Notes of the session, see :func:`cmb_bidsapp.bids.provenance.read_notes`.

    Raises
    ------
    ValueError
        A kept lesion has no grade.
    """
    every = tuple(lesions)
    form = fill(every)
    found = [lesion for lesion in every if lesion.counted]
    places = Counter(where(lesion) for lesion in found)
    turned = _turned(found, places)
    aria, code = baseline_class(form.count())
    count, deep = form.count(), form.count(("deep", "brainstem")) > 0
    lobar = 0 if deep else form.count("lobar")
    least = least_counts(limit)
    crossed = {name: count >= number for name, number in least.items()}
    crossed["strictly_lobar_2"] = lobar >= 2
    groups = ("lobar", "deep", "infratentorial", "brainstem", "cerebellum", UNASSIGNED)
    counts: dict[str, Any] = {name: form.count(name) for name in groups}
    return ClinicalSummary(
        count=count,
        **counts,
        below_size=form.below_size,
        macro=form.macro,
        burden=BURDEN_NAMES[burden_class(count)],
        category=category(places),
        border=form.border,
        turning=len(turned),
        category_otherwise=", ".join(sorted(set().union(*turned))) or None,
        boston_lobar=lobar,
        boston_deep=deep,
        boston_cerebellar=form.count("cerebellum"),
        aria_h_baseline=aria,
        aria_h_baseline_code=code,
        baseline_limit=limit,
        **crossed,
        **_chances(found, least),
        warnings="; ".join(warnings) or None,
        note=NOT_A_DIAGNOSIS,
    )


def read_warnings(files: SessionFiles) -> tuple[str, ...]:
    """Warnings of a session as its summary has them; those of its sidecars where it has none."""
    try:
        (row,) = read_table(files.summary, ("warnings",))
    except (OSError, ValueError):
        return read_notes(files)
    return () if row["warnings"] == NOT_KNOWN else (row["warnings"],)


def where(lesion: Lesion) -> Where:
    """Group and region that a lesion counts for."""
    place = place_of(lesion)
    return place.group, place.region


def is_deep(place: Where) -> bool:
    """Whether the Boston criteria take a microbleed there for a deep one: brainstem included."""
    return place[0] == "deep" or place == BRAINSTEM


def category(places: Iterable[Where]) -> str:
    """Where microbleeds are, in words."""
    present = set(places)
    groups = {group for group, _ in present}
    if not groups:
        return "none"
    if "lobar" in groups:
        return "mixed" if any(map(is_deep, present)) else "strictly lobar"
    if "deep" in groups:
        return "strictly deep"
    return "infratentorial only" if "infratentorial" in groups else "undetermined"


def alternatives(lesion: Lesion) -> set[Where]:
    """Where else a lesion may be: nowhere, unless its place is in doubt.

    Near a border, or without a group, it may be in the group of the second most of its voxels;
    where they all voted alike, or none, in any other. Infratentorial without a region, it may be
    in either part.
    """
    group, region = where(lesion)
    groups = {group} if (group, region) == ("infratentorial", UNASSIGNED) else set()
    if group == UNASSIGNED or lesion.border:
        votes = {name: getattr(lesion, f"votes_{name}") or 0 for name in GROUPS if name != group}
        groups |= {name for name in votes if votes[name] == max(votes.values())}
    parts = {BRAINSTEM, CEREBELLUM} if "infratentorial" in groups else set()
    return parts | {(name, UNASSIGNED) for name in groups - {"infratentorial"}}


def _turned(found: Iterable[Lesion], places: Mapping[Where, int]) -> list[set[str]]:
    """What the category turns to, of each lesion that alone can turn it."""
    now = category(places)
    turned = []
    for lesion in found:
        here = where(lesion)
        others = [one for one, number in places.items() if number > (one == here)]
        reached = {category([*others, other]) for other in alternatives(lesion)} - {now}
        if reached:
            turned.append(reached)
    return turned


def _chances(found: Iterable[Lesion], least: Mapping[str, int]) -> dict[str, Any]:
    """Probability of crossing each cut-off, from those of the lesions that count, all independent.

    Candidates that MARS does not count, by their size, are not in doubt about it; rejected ones
    have no calibrated probability.
    """
    known = [(where(lesion), probability(lesion)) for lesion in found]
    every = [p for _, p in known]
    lobar = [p for (group, _), p in known if group == "lobar"]
    deep = [p for place, p in known if is_deep(place)]
    chances = {f"{name}_probability": at_least(every, number) for name, number in least.items()}
    chances["strictly_lobar_2_probability"] = at_least(lobar, 2) * (1 - at_least(deep, 1))
    return {
        "calibrated": sum(math.isfinite(p) for p in every),
        "expected_count": math.fsum(every),
        **chances,
    }


def probability(lesion: Lesion) -> float:
    """Calibrated probability of a lesion, NaN where it has none."""
    known = lesion.calibrated_probability
    return math.nan if known is None else known
