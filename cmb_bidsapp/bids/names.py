"""BIDS names: their entities, which pybids reads, and labels that BIDS allows."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Mapping
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

#: Entities whose labels are taken as they are, whether BIDS allows them or not: pybids would read
#: half a label, or none, and an image would be somebody else's, or pass for a magnitude.
ANY_LABEL = MappingProxyType(
    {
        "subject": r"[/\\]+sub-([^_/\\.]+)",
        "session": r"[_/\\]+ses-([^_/\\.]+)",
        "part": r"_part-([^_/\\.]+)",
    }
)
#: What pybids lists among entities and names of images do not have.
NO_ENTITIES = ("scans", "fmap")


@cache
def _entities() -> Mapping[str, Any]:
    """Entities of pybids' ``bids`` configuration by their long names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # pybids takes seconds, which --help and mistyped options do without.
        from bids.layout import Config, Entity

        logging.getLogger("bids-schema").setLevel(logging.ERROR)
        known = dict(Config.load("bids").entities)
        known |= {name: Entity(name, pattern) for name, pattern in ANY_LABEL.items()}
    return {name: entity for name, entity in known.items() if name not in NO_ENTITIES}


def entity_names() -> tuple[str, ...]:
    """Long names of all entities, ``suffix``, ``datatype`` and ``extension`` included."""
    return tuple(_entities())


@lru_cache(maxsize=4096)
def parse_name(name: str) -> Mapping[str, str]:
    """Entities of a file name by their long names, with ``suffix`` and ``extension``.

    >>> dict(parse_name("sub-01_acq-hi_T2starw.nii.gz"))  # doctest: +NORMALIZE_WHITESPACE
    {'subject': '01', 'acquisition': 'hi', 'suffix': 'T2starw', 'extension': '.nii.gz'}
    """
    entities = _entities().values()
    from bids.layout import parse_file_entities

    found = parse_file_entities(f"/{name}", entities=entities)
    # An index keeps its zeros as text.
    return MappingProxyType({entity: str(value) for entity, value in found.items()})


def long_name(key: str) -> str | None:
    """Long name of an entity as file names write it.

    >>> long_name("acq"), long_name("acquisition")
    ('acquisition', None)
    """
    found = parse_name(f"{key}-1_T1w.nii")
    return next((name for name in found if name not in ("suffix", "extension")), None)


def is_label(text: str) -> bool:
    """Whether BIDS allows a label: letters and digits.

    >>> [is_label(text) for text in ("01", "pilot3", "a-b", "a b", "")]
    [True, True, False, False, False]
    """
    return re.fullmatch(r"[0-9A-Za-z+]+", text) is not None
