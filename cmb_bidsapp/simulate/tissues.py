"""MR properties of the tissues of a head (see docs/simulation.md)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

#: From this T2* (ms, at 3 T) on a tissue is fluid.
FLUID_T2STAR_MS = 200


@dataclass(frozen=True)
class Tissue:
    """MR properties of a tissue: proton density, T2* at 3 T (ms), chi (ppm), T1w brightness."""

    proton_density: float
    t2star_ms: float
    chi: float
    t1w: float

    @property
    def is_fluid(self) -> bool:
        """Whether it looks like CSF, whose brightness the flip angle and repetition time decide."""
        return self.t2star_ms >= FLUID_T2STAR_MS


#: Tissue by structure name of :mod:`cmb_bidsapp.core.labels`.
TISSUES = MappingProxyType(
    {
        "background": Tissue(0.0, 1.0, 9.2, 2),
        "cerebral-wm": Tissue(0.70, 53, -0.030, 110),
        "cerebral-cortex": Tissue(0.82, 66, 0.020, 76),
        "lateral-ventricle": Tissue(1.00, 400, 0.019, 25),
        "cerebellar-wm": Tissue(0.70, 50, -0.030, 106),
        "cerebellar-cortex": Tissue(0.80, 62, 0.020, 76),
        "thalamus": Tissue(0.76, 52, 0.020, 90),
        "caudate": Tissue(0.80, 41, 0.044, 80),
        "putamen": Tissue(0.79, 36, 0.038, 84),
        "pallidum": Tissue(0.73, 27, 0.131, 98),
        "third-ventricle": Tissue(1.00, 400, 0.019, 25),
        "fourth-ventricle": Tissue(1.00, 400, 0.019, 25),
        "brainstem": Tissue(0.72, 50, -0.010, 100),
        "hippocampus": Tissue(0.82, 60, 0.015, 76),
        "amygdala": Tissue(0.82, 60, 0.015, 76),
        "csf": Tissue(1.00, 400, 0.019, 25),
        "accumbens": Tissue(0.80, 45, 0.030, 80),
        "ventral-dc": Tissue(0.72, 44, 0.050, 98),
    }
)
#: Tissue outside the brain; the rest of the ids from 500 on look like soft tissue.
SOFT_TISSUE = Tissue(0.75, 35, 0.0, 60)
EXTRACEREBRAL = MappingProxyType(
    {
        0: TISSUES["background"],
        506: Tissue(0.95, 200, 0.0, 30),
        509: Tissue(0.05, 5, 9.2, 8),
        511: Tissue(0.90, 30, 0.019, 130),
        515: Tissue(0.06, 2, -2.1, 15),
        516: Tissue(0.60, 25, -0.5, 110),
    }
)
#: Structures whose iron grows with age.
IRON_RICH = ("caudate", "putamen", "pallidum", "accumbens", "ventral-dc")
