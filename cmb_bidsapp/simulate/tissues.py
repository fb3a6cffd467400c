"""MR properties of the tissues of a head (see docs/simulation.md)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

#: From this T2* (ms, at 3 T) on a tissue is fluid.
FLUID_T2STAR_MS = 200


@dataclass(frozen=True, kw_only=True)
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
        "background": Tissue(proton_density=0.0, t2star_ms=1.0, chi=9.2, t1w=2),
        "cerebral-wm": Tissue(proton_density=0.70, t2star_ms=53, chi=-0.030, t1w=110),
        "cerebral-cortex": Tissue(proton_density=0.82, t2star_ms=66, chi=0.020, t1w=76),
        "lateral-ventricle": Tissue(proton_density=1.00, t2star_ms=400, chi=0.019, t1w=25),
        "cerebellar-wm": Tissue(proton_density=0.70, t2star_ms=50, chi=-0.030, t1w=106),
        "cerebellar-cortex": Tissue(proton_density=0.80, t2star_ms=62, chi=0.020, t1w=76),
        "thalamus": Tissue(proton_density=0.76, t2star_ms=52, chi=0.020, t1w=90),
        "caudate": Tissue(proton_density=0.80, t2star_ms=41, chi=0.044, t1w=80),
        "putamen": Tissue(proton_density=0.79, t2star_ms=36, chi=0.038, t1w=84),
        "pallidum": Tissue(proton_density=0.73, t2star_ms=27, chi=0.131, t1w=98),
        "third-ventricle": Tissue(proton_density=1.00, t2star_ms=400, chi=0.019, t1w=25),
        "fourth-ventricle": Tissue(proton_density=1.00, t2star_ms=400, chi=0.019, t1w=25),
        "brainstem": Tissue(proton_density=0.72, t2star_ms=50, chi=-0.010, t1w=100),
        "hippocampus": Tissue(proton_density=0.82, t2star_ms=60, chi=0.015, t1w=76),
        "amygdala": Tissue(proton_density=0.82, t2star_ms=60, chi=0.015, t1w=76),
        "csf": Tissue(proton_density=1.00, t2star_ms=400, chi=0.019, t1w=25),
        "accumbens": Tissue(proton_density=0.80, t2star_ms=45, chi=0.030, t1w=80),
        "ventral-dc": Tissue(proton_density=0.72, t2star_ms=44, chi=0.050, t1w=98),
    }
)
#: Tissue outside the brain; the rest of the ids from 500 on look like soft tissue.
SOFT_TISSUE = Tissue(proton_density=0.75, t2star_ms=35, chi=0.0, t1w=60)
EXTRACEREBRAL = MappingProxyType(
    {
        0: TISSUES["background"],
        506: Tissue(proton_density=0.95, t2star_ms=200, chi=0.0, t1w=30),
        509: Tissue(proton_density=0.05, t2star_ms=5, chi=9.2, t1w=8),
        511: Tissue(proton_density=0.90, t2star_ms=30, chi=0.019, t1w=130),
        515: Tissue(proton_density=0.06, t2star_ms=2, chi=-2.1, t1w=15),
        516: Tissue(proton_density=0.60, t2star_ms=25, chi=-0.5, t1w=110),
    }
)
#: Structures whose iron grows with age.
IRON_RICH = ("caudate", "putamen", "pallidum", "accumbens", "ventral-dc")
