"""What a person asks for: labels as they are typed, and BIDS filter files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cmb_bidsapp.core.errors import UsageError

#: Keys of a BIDS filter file; without ``swi``, the filter of ``t2starw`` holds for SWI too.
FILTER_KEYS = ("t1w", "t2starw", "swi")

Filters = Mapping[str, Mapping[str, Any]]


def plain_labels(values: Iterable[str], prefix: str) -> tuple[str, ...]:
    """Labels without their prefix, from single values and comma lists, in order, once each.

    >>> plain_labels(["sub-01", "02,sub-03", "01"], "sub-")
    ('01', '02', '03')
    """
    labels = [v.strip().removeprefix(prefix) for value in values for v in value.split(",")]
    return tuple(dict.fromkeys(label for label in labels if label))


def select_participants(
    present: Iterable[str], wanted: Iterable[str], unwanted: Iterable[str]
) -> set[str]:
    """Labels (without ``sub-``) of those asked for, all where none is named, less the unwanted.

    Raises
    ------
    UsageError
        Somebody named is not present, or nobody is left.
    """
    there = set(present)
    chosen, left_out = (set(plain_labels(labels, "sub-")) for labels in (wanted, unwanted))
    if unknown := sorted((chosen | left_out) - there):
        raise UsageError(f"no participant sub-{', sub-'.join(unknown)} here")
    if not (selected := (chosen or there) - left_out):
        raise UsageError("all participants are left out")
    return selected


def read_filters(path: Path) -> dict[str, dict[str, Any]]:
    """Read a BIDS filter file.

    Raises
    ------
    UsageError
        The file is not a JSON object of the known keys.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--bids-filter-file {path}: not readable as JSON ({error})") from error
    if not isinstance(content, dict) or not all(isinstance(v, dict) for v in content.values()):
        raise UsageError(f"--bids-filter-file {path}: an object of objects is expected")
    unknown = sorted(set(content) - set(FILTER_KEYS))
    if unknown:
        raise UsageError(
            f"--bids-filter-file {path}: unknown key {', '.join(unknown)}; "
            f"valid are {', '.join(FILTER_KEYS)}"
        )
    return content


def matches(entities: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a file's entities satisfy a filter: ``None`` is absent, ``"*"`` any, lists are or.

    >>> matches({"acquisition": "hi", "run": 2}, {"acquisition": "*", "run": [1, 2]})
    True
    >>> matches({"acquisition": "hi"}, {"acquisition": None})
    False
    """
    for key, want in wanted.items():
        have = entities.get(key)
        if want == "*":
            ok = have is not None
        elif isinstance(want, list):
            ok = any(_same(have, w) for w in want)
        else:
            ok = _same(have, want)
        if not ok:
            return False
    return True


def _same(have: Any, want: Any) -> bool:
    if have is None or want is None:
        return have is want
    if str(have) == str(want):
        return True
    # Indices: run 1 is run 01.
    return str(have).isdecimal() and str(want).isdecimal() and int(have) == int(want)
