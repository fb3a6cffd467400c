"""What the channels and classes of a lesion model mean, whatever its makers called them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmb_bidsapp.core.errors import ModelError
from cmb_bidsapp.core.labels import PROXY
from cmb_bidsapp.models.card import is_numbered

#: Contrasts by the names that are understood, in lower case.
CONTRASTS = {
    **dict.fromkeys(("t2starw", "t2star", "t2s", "t2*", "t2*w", "swi", "gre"), "T2starw"),
    **dict.fromkeys(("t1w", "t1"), "T1w"),
}
#: Names of the microbleed class in lower case; the first that is there is taken.
CMB_NAMES = (
    ("cmb", "cmbs"),
    ("microbleed", "microbleeds", "cerebral microbleed", "cerebral microbleeds"),
    ("lesion", "lesions"),
)
IGNORE = "ignore"


@dataclass(frozen=True)
class Classes:
    """Output channels of a lesion model by meaning; all others are neither region nor CMB."""

    cmb: int
    regions: Mapping[int, int]
    """Channel by proxy value (1 to 3); empty where the model does not predict all regions."""


def channels_of(dataset: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """Contrasts of the input channels, in order.

    Parameters
    ----------
    dataset
        Content of nnU-Net's ``dataset.json``.
    path
        Where it is from, for messages.

    Raises
    ------
    ModelError
        A name is not understood, a contrast comes twice, or there is no T2*w.
    """
    # Models of nnU-Net's first years say "modality".
    named = dataset.get("channel_names", dataset.get("modality"))
    if not isinstance(named, dict) or set(named) != {str(i) for i in range(len(named))}:
        raise ModelError(f"{path}: channel_names must name the channels 0, 1 and so on")
    names = [str(named[str(number)]) for number in range(len(named))]
    contrasts = [CONTRASTS.get(name.strip().lower()) for name in names]
    known = [contrast for contrast in contrasts if contrast is not None]
    if "T2starw" not in known or len(set(known)) != len(names):
        raise ModelError(
            f"{path}: the channels are {', '.join(map(repr, names))}; expected one T2*w "
            "(T2starw, T2S, T2*, SWI or GRE) and at most one T1w (T1w or T1)"
        )
    return tuple(known)


def labels_of(dataset: Mapping[str, Any], path: Path) -> dict[str, int]:
    """Output channel by class name; the label that training ignored is none.

    Parameters
    ----------
    dataset
        Content of nnU-Net's ``dataset.json``.
    path
        Where it is from, for messages.

    Raises
    ------
    ModelError
        The classes are regions that overlap, or not numbered from 0 on.
    """
    labels = dataset.get("labels")
    if not isinstance(labels, dict):
        raise ModelError(f"{path}: labels must number the classes")
    if dataset.get("regions_class_order") or any(isinstance(v, list) for v in labels.values()):
        raise ModelError(f"{path}: region-based training (regions_class_order) is not supported")
    classes = {name: value for name, value in labels.items() if name != IGNORE}
    if classes.get("background") != 0 or not is_numbered(classes):
        raise ModelError(
            f"{path}: labels must number the classes 0, 1, 2 and so on, with background as 0"
        )
    ignore = labels.get(IGNORE, len(classes))
    if type(ignore) is not int or ignore != len(classes):
        raise ModelError(f"{path}: {IGNORE} must be the highest label")
    return classes


def classes_of(labels: Mapping[str, int], path: Path) -> Classes:
    """Find microbleeds and regions among the classes.

    Parameters
    ----------
    labels
        Output channel by class name.
    path
        Where they are from, for messages.

    Raises
    ------
    ModelError
        No class, or more than one, is that of microbleeds.
    """
    by_name: dict[str, list[int]] = {}
    for name, value in labels.items():
        by_name.setdefault(name.strip().lower(), []).append(value)
    for spellings in CMB_NAMES:
        found = [value for name in spellings for value in by_name.get(name, [])]
        if found:
            break
    else:
        found = [v for name, v in labels.items() if v > 0 and name.strip().lower() not in PROXY]
        found = found if len(labels) == 2 else []
    if len(found) != 1:
        raise ModelError(
            f"{path}: the classes are {', '.join(map(repr, labels))}; expected one named CMB, "
            "microbleed or lesion, or a single class besides background"
        )
    regions = {v: by_name[name][0] for name, v in PROXY.items() if v > 0 and name in by_name}
    return Classes(found[0], regions if len(regions) == len(PROXY) - 1 else {})
