"""BIDS names: the entities of a file name, and labels that BIDS allows."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Entities as file names write them, and as filter files call them.
ENTITIES: Mapping[str, str] = {
    "sub": "subject",
    "ses": "session",
    "sample": "sample",
    "task": "task",
    "tracksys": "tracksys",
    "acq": "acquisition",
    "nuc": "nucleus",
    "voi": "volume",
    "ce": "ceagent",
    "stain": "staining",
    "trc": "tracer",
    "rec": "reconstruction",
    "dir": "direction",
    "run": "run",
    "mod": "modality",
    "echo": "echo",
    "flip": "flip",
    "inv": "inv",
    "mt": "mt",
    "part": "part",
    "proc": "proc",
    "hemi": "hemi",
    "space": "space",
    "split": "split",
    "recording": "recording",
    "chunk": "chunk",
    "seg": "segmentation",
    "res": "resolution",
    "den": "density",
    "label": "label",
    "desc": "description",
}

#: What a filter may ask for beside the entities.
PARTS = ("suffix", "datatype", "extension")


def parse_name(name: str) -> dict[str, str]:
    """Entities of a file name by their long names, with ``suffix`` and ``extension``.

    >>> parse_name("sub-01_acq-hi_T2starw.nii.gz")  # doctest: +NORMALIZE_WHITESPACE
    {'subject': '01', 'acquisition': 'hi', 'suffix': 'T2starw', 'extension': '.nii.gz'}
    """
    stem, dot, extension = name.partition(".")
    *pairs, suffix = stem.split("_")
    found = {}
    for pair in pairs:
        key, _, label = pair.partition("-")
        found[ENTITIES.get(key, key)] = label
    return {**found, "suffix": suffix, "extension": dot + extension}


def is_label(text: str) -> bool:
    """Whether BIDS allows a label: letters and digits.

    >>> [is_label(text) for text in ("01", "pilot3", "a-b", "a b", "")]
    [True, True, False, False, False]
    """
    return re.fullmatch(r"[0-9A-Za-z+]+", text) is not None
