"""FreeSurfer label ids and what they mean here.

``labels.tsv`` is the one table that turns FreeSurfer ids (``aseg``, ``aparc+aseg``, ``wmparc``)
into the structures the anatomy network knows and the regions of the MARS form.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

#: Classes of the anatomy network; the position is the class, 0 is everything outside the brain.
STRUCTURES = (
    "background",
    "cerebral-wm",
    "cerebral-cortex",
    "lateral-ventricle",
    "cerebellar-wm",
    "cerebellar-cortex",
    "thalamus",
    "caudate",
    "putamen",
    "pallidum",
    "third-ventricle",
    "fourth-ventricle",
    "brainstem",
    "hippocampus",
    "amygdala",
    "csf",
    "accumbens",
    "ventral-dc",
)

#: Classes of the proxy task and of the lesion network (paper, section 2.1).
PROXY = MappingProxyType({"background": 0, "lobar": 1, "deep": 2, "infratentorial": 3})
PROXY_NAMES = MappingProxyType({index: name for name, index in PROXY.items()})
CMB = 4

#: The space of the packaged atlas, FSL's MNI152, as TemplateFlow names it.
STANDARD_SPACE = "MNI152NLin6Asym"

#: Regions of the MARS form (Gregoire et al. 2009) in its order: abbreviation, proxy class, color.
MARS_FORM = MappingProxyType(
    {
        "brainstem": ("B", "infratentorial", "#004d3c"),
        "cerebellum": ("C", "infratentorial", "#009e73"),
        "basal-ganglia": ("Bg", "deep", "#d55e00"),
        "thalamus": ("Th", "deep", "#e69f00"),
        "internal-capsule": ("Ic", "deep", "#f0e442"),
        "external-capsule": ("Ec", "deep", "#c8a165"),
        "corpus-callosum": ("Cc", "deep", "#fff3b0"),
        "dpwm": ("DPWM", "deep", "#8c510a"),
        "frontal": ("F", "lobar", "#0072b2"),
        "parietal": ("P", "lobar", "#56b4e9"),
        "temporal": ("T", "lobar", "#cc79a7"),
        "occipital": ("O", "lobar", "#7b5fb5"),
        "insula": ("I", "lobar", "#f5b5d5"),
    }
)
#: Number of a MARS region; in ``*_desc-mars_dseg`` the hundreds tell the side.
MARS = MappingProxyType({name: number for number, name in enumerate(MARS_FORM, start=1)})
MARS_NAMES = MappingProxyType({number: name for name, number in MARS.items()})
LEFT, RIGHT = 100, 200
SIDES = MappingProxyType({LEFT: "left", RIGHT: "right"})
#: Name and color of the values of ``*_desc-mars_dseg``.
MARS_LOOK = MappingProxyType(
    {
        side + number: (f"{SIDES[side]}-{name}", MARS_FORM[name][2])
        for side in SIDES
        for name, number in MARS.items()
    }
)
#: What looks like a microbleed, by its value in ``*_desc-mimics_dseg``.
MIMICS = MappingProxyType({1: "vein", 2: "calcification"})

#: Color-blind-safe display colors (Okabe and Ito) of the proxy classes and of CMBs.
PROXY_COLORS = MappingProxyType({1: "#56b4e9", 2: "#e69f00", 3: "#009e73", CMB: "#d55e00"})
#: Name and color, for the tables beside a dseg.
PROXY_LOOK = MappingProxyType(
    {value: (PROXY_NAMES.get(value, "CMB"), color) for value, color in PROXY_COLORS.items()}
)

#: Ids from 500 to this one are tissue outside the brain in the label maps used for simulation.
LAST_EXTRACEREBRAL = 999


@dataclass(frozen=True, kw_only=True)
class Label:
    """One row of ``labels.tsv``."""

    index: int
    name: str
    color: str
    structure: str
    region: str
    side: str


@cache
def table() -> MappingProxyType[int, Label]:
    """All known FreeSurfer labels by id."""
    with files("cmb_bidsapp.core").joinpath("labels.tsv").open(encoding="utf-8") as stream:
        rows = csv.DictReader(stream, delimiter="\t")
        labels = [
            Label(
                index=int(row["index"]),
                name=row["name"],
                color=row["color"],
                structure=row["structure"],
                region=row["region"],
                side=row["side"],
            )
            for row in rows
        ]
    return MappingProxyType({label.index: label for label in labels})


def ids(
    *, structure: str | None = None, region: str | None = None, side: str | None = None
) -> tuple[int, ...]:
    """FreeSurfer ids of a structure, a region and a side (``L``, ``R``), as far as given.

    Parameters
    ----------
    structure, region
        As ``labels.tsv`` names them.
    side
        ``L`` or ``R``.
    """
    return tuple(
        label.index
        for label in table().values()
        if structure in (None, label.structure)
        and region in (None, label.region)
        and side in (None, label.side)
    )


def translate(dseg: npt.NDArray[np.integer], values: Mapping[int, int]) -> npt.NDArray[np.uint8]:
    """Replace every label by its value, others by 0; much faster than ``np.isin`` per value.

    Parameters
    ----------
    dseg
        Labels, any shape.
    values
        From 0 to 255, by label; labels are not negative.

    Examples
    --------
    >>> translate(np.array([-3, 0, 2, 3, 9999]), {2: 7, 3: 1}).tolist()
    [0, 0, 7, 1, 0]
    """
    lookup = np.zeros(max(values, default=0) + 2, np.uint8)
    lookup[list(values)] = list(values.values())
    # Beyond either end lies a 0: 0 itself is no label.
    found: npt.NDArray[np.uint8] = lookup.take(dseg, mode="clip")
    return found


def where(dseg: npt.NDArray[np.integer], labels: Iterable[int]) -> npt.NDArray[np.bool_]:
    """Mask of the voxels that have one of the labels.

    Parameters
    ----------
    dseg
        FreeSurfer ids or other labels, any shape.
    labels
        Those that are meant.
    """
    mask: npt.NDArray[np.bool_] = translate(dseg, dict.fromkeys(labels, 1)).view(np.bool_)
    return mask


@cache
def _structure_of() -> MappingProxyType[int, int]:
    return MappingProxyType(
        {label.index: STRUCTURES.index(label.structure) for label in table().values()}
    )


@cache
def mirror_lookup() -> npt.NDArray[np.int32]:
    """Id of the other side for every id of the table; ids without a side map to themselves."""
    by_name = {label.name: label.index for label in table().values()}
    pairs = [("Left", "Right"), ("ctx-lh", "ctx-rh"), ("wm-lh", "wm-rh")]
    swap = dict([*pairs, *[(right, left) for left, right in pairs]])
    lookup = np.arange(max(table()) + 1, dtype=np.int32)
    for label in table().values():
        for here, there in swap.items():
            if label.name.startswith(here + "-"):
                lookup[label.index] = by_name[label.name.replace(here, there, 1)]
    return lookup


def to_structures(dseg: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """Turn FreeSurfer ids into classes of :data:`STRUCTURES`; unknown ids become background.

    >>> to_structures(np.array([0, 2, 41, 1024, 16, 515])).tolist()
    [0, 1, 1, 2, 12, 0]
    """
    return translate(dseg, _structure_of())


@cache
def structure_look() -> Mapping[int, tuple[str, str]]:
    """Name and color of the classes of :data:`STRUCTURES`, without the background."""
    colors: dict[str, str] = {}
    for label in table().values():
        colors.setdefault(label.structure, label.color)
    return {n: (name, colors[name]) for n, name in enumerate(STRUCTURES) if n}


def structure_classes(names: Iterable[str]) -> list[int]:
    """Classes of the named structures."""
    return [STRUCTURES.index(name) for name in names]
