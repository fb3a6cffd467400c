"""How a T2*w image is acquired: named protocols, or any other, written out."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class ScanProtocol:
    """Acquisition of a T2*w image.

    Attributes
    ----------
    b0
        Field strength in T.
    te_ms
        Echo time in ms.
    voxel
        Distance of the voxel centers in mm; along z the slice thickness and the gap.
    snr
        Signal of white matter over the standard deviation of the noise.
    gap
        Part of the slice distance that is not excited, mm.
    swi
        Whether the magnitude is weighted with the phase, as susceptibility-weighted images are.
    """

    name: str
    b0: float
    te_ms: float
    voxel: tuple[float, float, float]
    snr: float
    gap: float = 0.0
    swi: bool = False

    @property
    def thickness(self) -> float:
        """Slice thickness in mm."""
        return self.voxel[2] - self.gap


PROTOCOLS = MappingProxyType(
    {
        p.name: p
        for p in (
            ScanProtocol(name="paper", b0=3.0, te_ms=20, voxel=(0.4286, 0.4286, 6.5), snr=25),
            ScanProtocol(name="gre3t4mm", b0=3.0, te_ms=18, voxel=(0.45, 0.45, 4.0), snr=25),
            ScanProtocol(name="gre15t5mm", b0=1.5, te_ms=40, voxel=(0.5, 0.5, 5.0), snr=20),
            ScanProtocol(name="gre3t3mm", b0=3.0, te_ms=20, voxel=(1.0, 1.0, 3.0), snr=30),
            ScanProtocol(
                name="swi3t", b0=3.0, te_ms=20, voxel=(0.94, 0.94, 1.75), snr=25, swi=True
            ),
            ScanProtocol(name="gre15t3d", b0=1.5, te_ms=25, voxel=(0.49, 0.49, 0.8), snr=18),
        )
    }
)


def read_protocol(text: str) -> ScanProtocol:
    """A protocol by name, or written out as ``b0=3,te=20,voxel=0.5x0.5x4,gap=0.4,snr=25``.

    ``voxel`` is in-plane size and slice thickness in mm; ``gap`` (0), ``snr`` (25), ``sequence``
    (``gre``, or ``swi``) and ``name`` (``custom``) may be left out.

    Raises
    ------
    ValueError
        It is neither, or a value is out of range.
    """
    if text in PROTOCOLS:
        return PROTOCOLS[text]
    expected = f"{text}: one of {', '.join(PROTOCOLS)}, or b0=T,te=MS,voxel=XxYxZ[,gap=MM][,snr=N]"
    expected += "[,sequence=swi]"
    given = dict(part.partition("=")[::2] for part in text.split(","))
    unknown = set(given) - {"b0", "te", "voxel", "gap", "snr", "sequence", "name"}
    try:
        b0, te_ms = float(given["b0"]), float(given["te"])
        x, y, thickness = (float(size) for size in given["voxel"].split("x"))
        gap, snr = float(given.get("gap", 0)), float(given.get("snr", 25))
    except (KeyError, ValueError) as error:
        raise ValueError(expected) from error
    sequence = given.get("sequence", "gre")
    if (
        unknown
        or sequence not in ("gre", "swi")
        or min(b0, te_ms, x, y, thickness, snr) <= 0
        or gap < 0
    ):
        raise ValueError(expected)
    name, voxel = given.get("name", "custom"), (x, y, thickness + gap)
    return ScanProtocol(
        name=name, b0=b0, te_ms=te_ms, voxel=voxel, snr=snr, gap=gap, swi=sequence == "swi"
    )
