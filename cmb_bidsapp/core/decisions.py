"""What becomes of candidates: settings of a run, kept beside its results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from cmb_bidsapp.core.defaults import (
    CFPR_MODE,
    CFPR_RADIUS_MM,
    CFPR_RATIO,
    MIN_DIAMETER_MM,
    PHASE_RULE,
    THRESHOLD,
    CfprMode,
    PhaseRule,
)


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """What becomes of the candidates."""

    threshold: float = THRESHOLD
    """Minimum peak probability of a candidate; its extent is thresholded at 0.5."""
    cfpr: bool = True
    """Whether candidates outside the brain are rejected."""
    cfpr_mode: CfprMode = CFPR_MODE
    """``paper`` or ``reference``: what counts as the periphery of a candidate."""
    cfpr_radius: float = CFPR_RADIUS_MM
    """Periphery of a candidate, mm."""
    cfpr_ratio: float = CFPR_RATIO
    """Smallest share of brain in the periphery."""
    phase_rule: PhaseRule = PHASE_RULE
    """``report`` or ``reject``: what becomes of candidates that the phase shows to be calcium."""
    min_size: float = MIN_DIAMETER_MM
    """Lesions with a smaller in-plane diameter (mm) are reported apart."""

    @classmethod
    def written(cls, plain: Mapping[str, Any]) -> Decisions:
        """Decisions as a sidecar has them; the default stands for what it does not name.

        Parameters
        ----------
        plain
            ``Decisions`` of the sidecar of a CMB mask.
        """
        return cls(**{one.name: plain[one.name] for one in fields(cls) if one.name in plain})
