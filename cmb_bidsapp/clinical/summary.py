"""Clinical words and cut-offs for one session; an imaging summary, not a diagnosis.

Category and Boston v2.0 component (Charidimou et al. 2022) read the MARS groups as those criteria
do: a cerebellar microbleed is neither lobar nor deep, one of the brainstem is not lobar and counts
with the deep ones.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.provenance import read_notes
from cmb_bidsapp.bids.tables import describe, read_table
from cmb_bidsapp.clinical.aria import baseline_class
from cmb_bidsapp.clinical.counts import at_least
from cmb_bidsapp.clinical.mars import GROUPS, counted, fill, place_of
from cmb_bidsapp.core.burden import BURDEN_NAMES, burden_class
from cmb_bidsapp.core.defaults import BASELINE_LIMIT, NOT_A_DIAGNOSIS
from cmb_bidsapp.lesions.candidates import UNASSIGNED
from cmb_bidsapp.lesions.table import Row

#: Group and region of a microbleed.
Where = tuple[str, str]
BRAINSTEM, CEREBELLUM = ("infratentorial", "brainstem"), ("infratentorial", "cerebellum")

#: Cut-offs in use, by the name of their column, in words.
CUTOFFS = MappingProxyType(
    {
        "at_least_1": "1 or more",
        "at_least_5": "5 or more, that is more than 4 (CROMIS-2; ARIA-H at baseline)",
        "more_than_10": "more than 10 (European Stroke Organisation, thrombolysis)",
        "strictly_lobar_2": "2 or more lobar and none deep (Boston criteria v2.0)",
        "above_limit": "more than baseline_limit, which usually exclude from anti-amyloid therapy",
    }
)
_FROM_THE_COUNT = MappingProxyType({"at_least_1": 1, "at_least_5": 5, "more_than_10": 11})


def _columns() -> dict[str, dict[str, Any]]:
    crossed = {
        name: describe(f"Whether the microbleeds cross a cut-off: {text}; {NOT_A_DIAGNOSIS}")
        for name, text in CUTOFFS.items()
    }
    chances = {
        f"{name}_probability": describe(
            f"Probability that the true ones among the microbleeds cross a cut-off: {text}; groups "
            "are taken as they are and what was missed is not in it; n/a where one that matters "
            "has no calibrated probability"
        )
        for name, text in CUTOFFS.items()
    }
    boston = f"; macrohaemorrhages are not in it; {NOT_A_DIAGNOSIS}"
    return {
        "count": describe("Microbleeds, definite and possible"),
        "lobar": describe("Lobar microbleeds"),
        "deep": describe("Deep microbleeds"),
        "infratentorial": describe("Microbleeds of brainstem and cerebellum"),
        "brainstem": describe("Microbleeds of the brainstem"),
        "cerebellum": describe("Microbleeds of the cerebellum"),
        UNASSIGNED: describe("Microbleeds near no region"),
        "below_size": describe("Kept candidates below the size MARS counts; not in the count"),
        "macro": describe("Kept candidates above 10 mm; not in the count"),
        "burden": describe(
            f"Class of the count; {NOT_A_DIAGNOSIS}", **{name: name for name in BURDEN_NAMES}
        ),
        "category": describe(
            f"Where the microbleeds are; {NOT_A_DIAGNOSIS}",
            **{
                "none": "no microbleed",
                "strictly lobar": "lobar, none deep or in the brainstem; cerebellar ones may be",
                "mixed": "lobar, and deep or in the brainstem",
                "strictly deep": "deep, and none lobar; infratentorial ones may be",
                "infratentorial only": "brainstem or cerebellum, none elsewhere",
                "undetermined": "all of them near no region",
            },
        ),
        "border": describe("Microbleeds within 2 mm of another group of regions"),
        "turning": describe(
            "Microbleeds of a doubtful place (border, or without a region) of which one alone "
            "would turn the category, were it in the group of the second most of its voxels"
        ),
        "category_otherwise": describe("What the category would turn to; n/a where nothing turns"),
        "boston_lobar": describe(
            f"Boston criteria v2.0: lobar microbleeds, 0 where boston_deep is true{boston}"
        ),
        "boston_deep": describe(
            f"Boston criteria v2.0: whether a microbleed is deep or in the brainstem{boston}"
        ),
        "boston_cerebellar": describe(
            f"Boston criteria v2.0: cerebellar microbleeds, neither lobar nor deep{boston}"
        ),
        "aria_h_baseline": describe(
            f"ARIA-H class at baseline; {NOT_A_DIAGNOSIS}",
            **{"absent": "no microbleed", "1-4": "1 to 4", ">4": "more than 4"},
        ),
        "aria_h_baseline_code": describe("RadElement set that the class is of"),
        "baseline_limit": describe(
            "More microbleeds than this at baseline usually exclude from anti-amyloid therapy"
        ),
        **crossed,
        "calibrated": describe("Microbleeds that have a calibrated probability"),
        "expected_count": describe(
            "Sum of the calibrated probabilities, the number of true ones to expect among the "
            "microbleeds; n/a where one has none"
        ),
        **chances,
        "warnings": describe(
            "What must be known of images, anatomy and network before the count is used; n/a "
            "where nothing is"
        ),
        "note": describe("What this row is"),
    }


#: Columns of ``*_label-CMB_summary.tsv`` with their JSON dictionary.
SUMMARY_COLUMNS = MappingProxyType(_columns())


def summarise(
    lesions: Iterable[Row], limit: int = BASELINE_LIMIT, warnings: Iterable[str] = ()
) -> dict[str, Any]:
    """Summarise the lesion table of one session.

    Parameters
    ----------
    lesions
        Rows of ``*_label-CMB_lesions.tsv``, kept and rejected.
    limit
        More microbleeds than this at baseline usually exclude from anti-amyloid therapy.
    warnings
        Notes of the session, see :func:`cmb_bidsapp.bids.provenance.read_notes`.

    Returns
    -------
    row
        Values of :data:`SUMMARY_COLUMNS`.

    Raises
    ------
    ValueError
        A kept lesion has a grade that is none.
    """
    rows = tuple(lesions)
    form = fill(rows)
    found = list(counted(rows))
    places = Counter(where(row) for row in found)
    turned = _turned(found, places)
    aria, code = baseline_class(form.count())
    count, deep = form.count(), form.count(("deep", "brainstem")) > 0
    lobar = 0 if deep else form.count("lobar")
    least = {**_FROM_THE_COUNT, "above_limit": limit + 1}
    crossed = {name: count >= number for name, number in least.items()}
    crossed["strictly_lobar_2"] = lobar >= 2
    return {
        "count": count,
        **{name: form.count(name) for name in ("lobar", "deep", "infratentorial")},
        **{name: form.count(name) for name in ("brainstem", "cerebellum", UNASSIGNED)},
        "below_size": form.below_size,
        "macro": form.macro,
        "burden": BURDEN_NAMES[burden_class(count)],
        "category": category(places),
        "border": form.border,
        "turning": len(turned),
        "category_otherwise": ", ".join(sorted(set().union(*turned))) or None,
        "boston_lobar": lobar,
        "boston_deep": deep,
        "boston_cerebellar": form.count("cerebellum"),
        "aria_h_baseline": aria,
        "aria_h_baseline_code": code,
        "baseline_limit": limit,
        **crossed,
        **_chances(found, least),
        "warnings": "; ".join(warnings) or None,
        "note": NOT_A_DIAGNOSIS,
    }


def read_warnings(files: SessionFiles) -> tuple[str, ...]:
    """Warnings of a session as its summary has them; those of its sidecars where it has none."""
    try:
        (row,) = read_table(files.summary, ("warnings",))
    except (OSError, ValueError):
        return read_notes(files)
    return () if row["warnings"] == "n/a" else (row["warnings"],)


def where(lesion: Row) -> Where:
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


def alternatives(lesion: Row) -> set[Where]:
    """Where else a lesion may be: nowhere, unless its place is in doubt.

    Near a border, or without a group, it may be in the group of the second most of its voxels;
    where they all voted alike, or none, in any other. Infratentorial without a region, it may be
    in either part.
    """
    group, region = where(lesion)
    groups = {group} if (group, region) == ("infratentorial", UNASSIGNED) else set()
    if group == UNASSIGNED or lesion["border"] == "true":
        votes = {name: _votes(lesion, name) for name in GROUPS if name != group}
        groups |= {name for name in votes if votes[name] == max(votes.values())}
    parts = {BRAINSTEM, CEREBELLUM} if "infratentorial" in groups else set()
    return parts | {(name, UNASSIGNED) for name in groups - {"infratentorial"}}


def _turned(found: Iterable[Row], places: Mapping[Where, int]) -> list[set[str]]:
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


def _votes(lesion: Row, group: str) -> int:
    given = lesion.get(f"votes_{group}", "")
    return int(given) if given.isdecimal() else 0


def _chances(found: Iterable[Row], least: Mapping[str, int]) -> dict[str, Any]:
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


def probability(lesion: Row) -> float:
    """Calibrated probability of a lesion, NaN where it has none."""
    given = lesion.get("calibrated_probability", "n/a")
    return float("nan") if given in ("n/a", "") else float(given)
