"""Rules that keep or reject candidates, one after the other.

A new rule is a function here and an entry of :data:`RULES`, its reasons members of
:class:`Reason`, what it measured columns of :class:`Lesion`, and what it goes by a field of
:class:`Grounds`. Tables, their dictionaries, reports, the measurement of sensitivity and the
evaluation follow by themselves: a rule is left out where nobody knows what it goes by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.core.arrays import Spacing
from cmb_bidsapp.core.decisions import Decisions
from cmb_bidsapp.lesions.candidates import Candidate
from cmb_bidsapp.lesions.cfpr import Verdict, judge
from cmb_bidsapp.lesions.grading import grade
from cmb_bidsapp.lesions.lesion import Lesion, PhaseSign, Reason, Status
from cmb_bidsapp.lesions.mimics import Resemblance
from cmb_bidsapp.lesions.phase import Sign
from cmb_bidsapp.lesions.table import as_written
from cmb_bidsapp.models.calibration import Knots, calibrate


@dataclass(frozen=True)
class Decision:
    """Whether a candidate is in the final mask, why, and who says so."""

    kept: bool
    reason: Reason
    by: str

    @property
    def status(self) -> Status:
        """As the lesion table has it."""
        return Status.KEPT if self.kept else Status.REJECTED


#: Decides on a candidate, by its number; ``None`` where it has nothing to say.
Rule = Callable[[int], Decision | None]

#: What is decided where no rule says anything: CFPR alone does on every candidate.
UNDECIDED = Decision(kept=True, reason=Reason.CFPR_OFF, by="nobody")


def decide(candidate: int, rules: Iterable[Rule]) -> Decision:
    """Ask one rule after the other; the first that rejects has the last word.

    Parameters
    ----------
    candidate
        Its number.
    rules
        Each keeps, rejects, or has nothing to say (``None``).
    """
    decision = UNDECIDED
    for rule in rules:
        decision = rule(candidate) or decision
        if not decision.kept:
            break
    return decision


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """What rules go by; ``None`` where nobody knows it."""

    verdicts: Sequence[Verdict]
    """Of CFPR, on every candidate."""
    signs: Mapping[int, PhaseSign] | None = None
    """Signs of the candidates in the phase, by number. Scans without a phase image have none, nor
    have simulated microbleeds, which are drawn into the magnitude alone."""


def grounds_of(
    instances: npt.NDArray[np.integer[Any]],
    classes: npt.NDArray[np.integer[Any]],
    spacing: Spacing,
    decisions: Decisions,
    signs: Mapping[int, PhaseSign] | None = None,
) -> Grounds:
    """Collect what rules go by.

    Parameters
    ----------
    instances
        0, or the number of the candidate, shape ``(x, y, z)``.
    classes
        Regions and background, same grid.
    spacing
        Voxel size in mm per axis.
    decisions
        Mode, radius and ratio of CFPR.
    signs
        See :class:`Grounds`.
    """
    verdicts = judge(
        instances,
        classes,
        spacing,
        mode=decisions.cfpr_mode,
        radius=decisions.cfpr_radius,
        min_ratio=decisions.cfpr_ratio,
    )
    return Grounds(verdicts=verdicts, signs=signs)


def cfpr_rule(verdicts: Iterable[Verdict]) -> Rule:
    """Carry out the verdicts of CFPR, of which every candidate has one."""
    by_lesion = {verdict.lesion: verdict for verdict in verdicts}

    def rule(candidate: int) -> Decision:
        verdict = by_lesion[candidate]
        return Decision(verdict.kept, verdict.reason, "CFPR")

    return rule


def phase_rule(signs: Mapping[int, PhaseSign]) -> Rule:
    """Reject what is diamagnetic: calcium. Of the rest the phase says nothing that decides."""

    def rule(candidate: int) -> Decision | None:
        if signs.get(candidate) is PhaseSign.DIAMAGNETIC:
            return Decision(kept=False, reason=Reason.DIAMAGNETIC, by="phase")
        return None

    return rule


@dataclass(frozen=True, kw_only=True)
class RuleKind:
    """A rule that the app knows: when it is asked for, what it goes by, and how it is made."""

    asked: Callable[[Decisions], bool]
    goes_by: str
    """Field of :class:`Grounds`."""
    make: Callable[[Any], Rule]
    """Makes the rule of what it goes by."""


#: In the order in which they are asked.
RULES: tuple[RuleKind, ...] = (
    RuleKind(asked=lambda set_to: set_to.cfpr, goes_by="verdicts", make=cfpr_rule),
    RuleKind(asked=lambda set_to: set_to.phase_rule == "reject", goes_by="signs", make=phase_rule),
)


def rules_of(decisions: Decisions, grounds: Grounds) -> list[Rule]:
    """Make the rules that are asked for, of those whose grounds are known.

    Parameters
    ----------
    decisions
        Which rules are asked for.
    grounds
        What they go by.
    """
    known = ((kind, getattr(grounds, kind.goes_by)) for kind in RULES if kind.asked(decisions))
    return [kind.make(found) for kind, found in known if found is not None]


def to_lesions(
    candidates: Sequence[Candidate],
    verdicts: Iterable[Verdict],
    rules: Sequence[Rule],
    *,
    min_diameter: float,
    calibration: Knots = (),
    standard: Iterable[Sequence[float]] = (),
    signs: Mapping[int, Sign] | None = None,
    mimics: Mapping[int, Resemblance] | None = None,
) -> list[Lesion]:
    """Decide on candidates, and join what is known of each.

    Parameters
    ----------
    candidates
        What the segmentation network found.
    verdicts
        What CFPR says of each; told whether or not a rule carries it out.
    rules
        Asked in turn; each may reject.
    min_diameter
        Smallest diameter (mm) that is counted.
    calibration
        Of the model; see :mod:`cmb_bidsapp.models.calibration`.
    standard
        Center of each candidate in MNI152 (mm), where known.
    signs
        What the phase says of each candidate, where there is one; told whether or not a rule
        carries it out.
    mimics
        What each candidate resembles if it is no microbleed, where the model says so; decides
        nothing.
    """
    places = iter(standard)
    by_lesion = {verdict.lesion: verdict for verdict in verdicts}
    lesions = []
    for candidate in candidates:
        x, y, z = next(places, (None, None, None))
        verdict, decision = by_lesion[candidate.lesion], decide(candidate.lesion, rules)
        # A calibration is made of candidates that passed CFPR, and holds for such alone.
        holds = calibration if verdict.kept else ()
        calibrated = float(calibrate(candidate.probability_max, holds))
        grading = grade(candidate, min_diameter, calibrated)
        measured = {name: value for name, value in vars(candidate).items() if name != "lesion"}
        lesion = Lesion(
            lesion_id=candidate.lesion,
            status=decision.status,
            reason=decision.reason,
            grade=grading.grade,
            grade_reason=grading.reason,
            **measured,
            mni_x=x,
            mni_y=y,
            mni_z=z,
            calibrated_probability=calibrated,
            cfpr_mode=verdict.mode,
            cfpr_ratio=verdict.ratio,
            shell_lobar=verdict.lobar,
            shell_deep=verdict.deep,
            shell_infratentorial=verdict.infratentorial,
            shell_background=verdict.background,
            shell_other_cmb=verdict.other_cmb,
            shell_own=verdict.own,
            **_of_mimic(None if mimics is None else mimics[candidate.lesion]),
            **_of_phase(None if signs is None else signs[candidate.lesion]),
        )
        lesions.append(as_written(lesion))
    return lesions


def _of_mimic(like: Resemblance | None) -> dict[str, Any]:
    """Columns of what it resembles."""
    return {} if like is None else {"mimic": like.mimic, "mimic_share": like.share}


def _of_phase(sign: Sign | None) -> dict[str, Any]:
    """Columns of the phase."""
    if sign is None:
        return {}
    return {
        "phase_sign": sign.sign,
        **{f"phase_{name}": value for name, value in vars(sign.fit).items()},
    }
