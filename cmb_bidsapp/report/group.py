"""The group page: what a cohort has in sum, where it lies, and whom to look at."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from cmb_bidsapp.clinical.summary import SUMMARY_COLUMNS
from cmb_bidsapp.core.burden import BURDEN_NAMES
from cmb_bidsapp.core.defaults import GROUP_FOLDER, NOT_A_DIAGNOSIS, NOT_ASSESSED
from cmb_bidsapp.core.labels import MARS_FORM
from cmb_bidsapp.core.outcome import plural
from cmb_bidsapp.core.statistics import LEAST_PEOPLE
from cmb_bidsapp.group import agreement, quality
from cmb_bidsapp.group.cohort import MOST, Cohort, Pool, Share
from cmb_bidsapp.group.collect import density_of, table_of
from cmb_bidsapp.group.people import ALL_ARMS
from cmb_bidsapp.group.ratings import Ratings
from cmb_bidsapp.group.tables import problem_row
from cmb_bidsapp.group.visits import POOLS
from cmb_bidsapp.report import cohort_brains, cohort_figures, evaluation_figures
from cmb_bidsapp.report.pages import write_page
from cmb_bidsapp.report.sensitivity import found_by_kind
from cmb_bidsapp.report.sessions import in_words
from cmb_bidsapp.report.words import measure_in_words, note_in_words
from cmb_bidsapp.sensitivity.tables import SessionKind

#: Sessions that the page shows as unlike the others; ``group_qc.tsv`` has them all.
MOST_OUTLIERS = 30
#: Sites and protocols whose sensitivity has a curve; ``group_sensitivity.tsv`` has them all.
MOST_KINDS = 12
#: Groups of regions that the published figures tell apart.
GROUPS = ("lobar", "deep", "infratentorial")
#: Classes of the clinical summary in their order: heading, column, names.
CLASSES = (
    ("Burden", "burden", list(BURDEN_NAMES)),
    ("Category", "category", list(SUMMARY_COLUMNS["category"]["Levels"])),
    (
        "Before anti-amyloid treatment",
        "aria_h_baseline",
        list(SUMMARY_COLUMNS["aria_h_baseline"]["Levels"]),
    ),
)
#: What each table has, in a few words.
FILES = {
    "lesions": "all candidates of all sessions, kept or rejected",
    "mars": "the MARS form, a row per session",
    "mars_long": "the MARS form, a row per session, region, side and grade",
    "summary": "clinical summary, and cut-offs with probabilities; one row per session",
    "changes": "persistent, new and gone microbleeds and the ARIA-H class; one row per follow-up",
    "changes_long": "new, below-threshold, gone microbleeds; one row per follow-up, region, grade",
    "tracks": "tracks of participants with follow-ups; one row per microbleed and session",
    "decisions": "decision of each reader on each candidate, if ratings were given",
    "protocols": "sessions, prevalence and microbleeds; one row per protocol",
    "rates": "new microbleeds per year of follow-up, by kind, with confidence intervals",
    "flow": "flow of participants: scanned, processed, failed, without T1w, comparable",
    "qc": "quality measures of the anatomy that are outside their limits or outliers",
    "problems": "files that could not be read or used, with the reason",
}


@dataclass(frozen=True)
class Picture:
    """A figure as the page has it: a data URI, and words for those who do not see it."""

    source: str
    alt: str


def write_group_report(
    cohort: Cohort,
    out_dir: Path,
    ratings: Ratings | None = None,
    seed: int = 0,
    measured: Sequence[SessionKind] = (),
) -> Path:
    """Write ``group.html``, one file with all its figures.

    Parameters
    ----------
    cohort
        Sums over all sessions, and what could not be read.
    out_dir
        Output folder of the app; it gets the page.
    ratings
        What readers said, where the group level was given it, applied to all sessions.
    seed
        Of the bootstrap of their agreement.
    measured
        What was found of simulated microbleeds, by site and protocol.
    """
    path = out_dir / "group.html"
    pools = {name: cohort.pools[name] for name in POOLS if name in cohort.pools}
    protocols = [
        {**row, "share": Share(row["positive"], row["participants"])}
        for row in cohort.protocol_rows()
    ]
    flow = [row for row in cohort.flow.rows() if row["arm"] == ALL_ARMS]
    rates = [row for row in cohort.rates.rows() if row["follow_ups"]]
    evaluation = Path(GROUP_FOLDER, "evaluation.html")
    write_page(
        path,
        "group.html",
        cohort=cohort,
        pools=[_pool(name, pool, out_dir, protocols) for name, pool in pools.items()],
        not_a_diagnosis=NOT_A_DIAGNOSIS,
        not_assessed=NOT_ASSESSED,
        figures=_figures(pools, flow) if pools else {},
        rates=rates,
        by_arm=any(row["arm"] != ALL_ARMS for row in rates),
        least=LEAST_PEOPLE,
        published=cohort_figures.UK_BIOBANK,
        sessions=[_with_link(row, out_dir) for row in cohort.shown.rows],
        outliers=[_outlier(rows, out_dir) for rows in cohort.quality.worst(MOST_OUTLIERS)],
        measures=cohort.quality.measures(),
        far=quality.FAR,
        most_outliers=MOST_OUTLIERS,
        protocols=protocols[:MOST],
        number_of_protocols=len(protocols),
        problems=[problem_row(problem, out_dir) for problem in cohort.problems],
        changes=_changes(cohort),
        measured=found_by_kind(measured[:MOST_KINDS]),
        number_measured=len(measured),
        agreement=_agreement(ratings, cohort, seed) if ratings else None,
        evaluation=evaluation.as_posix() if (out_dir / evaluation).exists() else None,
        files=_files(pools, out_dir, read=ratings is not None, measured=bool(measured)),
        percent=percent,
        ranged=ranged,
        signed=signed,
        in_words=in_words,
        measure_in_words=measure_in_words,
        note_in_words=note_in_words,
    )
    return path


def percent(share: Share) -> str:
    """A share with its 95 % interval; of few participants the numbers alone.

    >>> percent(Share(3, 12)), percent(Share(2, 3)), percent(Share(0, 0))
    ('25.0 % (8.9 to 53.2)', '2 of 3', 'n/a')
    """
    if not share.whole:
        return "n/a"
    low, high = share.interval
    if math.isnan(low):
        return f"{share.part:,} of {share.whole:,}"
    return f"{100 * share.value:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def ranged(row: Mapping[str, Any], name: str) -> str:
    """A value with the interval in the columns beside it.

    Parameters
    ----------
    row
        Figures by the name of their column.
    name
        Column of the value; ``<name>_low`` and ``<name>_high`` hold the ends of its interval.

    >>> ranged({"icc": 0.912, "icc_low": 0.8, "icc_high": 0.96}, "icc")
    '0.91 (0.80 to 0.96)'
    """
    value, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if not math.isfinite(value):
        return "n/a"
    return f"{value:.2f}" + (f" ({low:.2f} to {high:.2f})" if math.isfinite(low) else "")


def signed(value: float) -> str:
    """A difference with its sign.

    >>> signed(0.125), signed(float("nan"))
    ('+0.12', 'n/a')
    """
    return f"{value:+.2f}" if math.isfinite(value) else "n/a"


def _pool(
    name: str, pool: Pool, out_dir: Path, protocols: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What the page says of a pool of sequences."""
    people = plural(pool.participants, "participant")
    title = f"{name}, {people}, first session each"
    density = pool.density.image()
    heat = glass = None
    if pool.lesions:
        heat = _inline(
            cohort_brains.region_heat(pool.places, pool.participants, title),
            cohort_brains.ALT["region_heat"],
        )
    if pool.density.placed:
        glass = _inline(
            cohort_brains.glass_brain(density, title),
            cohort_brains.ALT["glass_brain"],
        )
    return {
        "name": name,
        "tally": pool,
        "carriers": {
            grade: [
                Share(pool.carriers[None, grade], pool.participants),
                *(Share(pool.carriers[g, grade], pool.carriers[None, grade]) for g in GROUPS),
            ]
            for grade in (None, "definite")
        },
        "classes": [
            (title, {name: pool.classes[column][name] for name in names})
            for title, column, names in CLASSES
        ],
        "regions": {region: Share(pool.regions[region], pool.participants) for region in MARS_FORM},
        "heat": heat,
        "glass": glass,
        "protocols": sum(row["pool"] == name for row in protocols),
        "map": density_of(out_dir, name).name,
    }


def _figures(pools: Mapping[str, Pool], flow: Sequence[Mapping[str, Any]]) -> dict[str, Picture]:
    """Figures that have every pool beside the others; shares of pools with few stay in tables."""
    people = {
        name: {
            "participants": pool.participants,
            "any": pool.positive,
            **{group: pool.carriers[group, None] for group in GROUPS},
        }
        for name, pool in pools.items()
        if not pool.prevalence.few
    }
    drawn = {
        "distribution": cohort_figures.distribution({k: p.counts for k, p in pools.items()}),
        "flow": cohort_figures.flow(flow),
    }
    if people:
        drawn["by_region"] = cohort_figures.by_region(people)
    return {name: _inline(one, cohort_figures.ALT[name]) for name, one in drawn.items()}


def _changes(cohort: Cohort) -> dict[str, Any] | None:
    """Follow-ups, those that were done otherwise than the session before apart."""
    found = {
        f"{pool}, protocol or processing changed" if otherwise else pool: follow_ups
        for (pool, otherwise), follow_ups in sorted(cohort.changes.by_pool.items())
    }
    if not found and not cohort.changes.poor:
        return None
    picture = None
    if found:
        drawn = cohort_figures.changes({k: list(f.lesions.elements()) for k, f in found.items()})
        picture = _inline(drawn, cohort_figures.ALT["changes"])
    return {"rows": found, "picture": picture}


def _agreement(ratings: Ratings, cohort: Cohort, seed: int) -> dict[str, Any]:
    drawn = evaluation_figures.raters(ratings.readings, seed)
    return {
        "rows": agreement.rows(ratings.readings, cohort.followed, seed),
        "followed": bool(cohort.followed),
        "notes": [str(note) for note in ratings.notes[:MOST]],
        "more_notes": max(0, len(ratings.notes) - MOST),
        "published": agreement.PUBLISHED,
        "picture": drawn
        and _inline(drawn, "Difference between the counts of two sides against their mean."),
    }


def _files(
    pools: Mapping[str, Pool], out_dir: Path, *, read: bool, measured: bool
) -> dict[str, str]:
    """Names of the files beside the page, and what they have."""
    found = {table_of(out_dir, name).name: text for name, text in FILES.items()}
    if read:
        found[table_of(out_dir, "agreement").name] = "agreement of the readers and the algorithm"
    if measured:
        found[table_of(out_dir, "sensitivity").name] = (
            "detection sensitivity from simulated microbleeds"
        )
    for name in pools:
        found[density_of(out_dir, name).name] = f"density of microbleeds in MNI152, {name}"
    return found


def _outlier(rows: Sequence[Mapping[str, Any]], out_dir: Path) -> dict[str, Any]:
    """A session that is unlike the others: who, and by which measures."""
    return {**_with_link(rows[0], out_dir), "measures": rows}


def _with_link(row: Mapping[str, Any], out_dir: Path) -> dict[str, Any]:
    """Add the page of the participant, where there is one."""
    page = f"{row['participant_id']}.html"
    return {**row, "page": page if (out_dir / page).is_file() else None}


def _inline(figure: Figure, alt: str) -> Picture:
    stream = io.BytesIO()
    figure.savefig(stream, format="webp", dpi=cohort_figures.DPI, pil_kwargs={"quality": 90})
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return Picture(f"data:image/webp;base64,{data}", alt)
