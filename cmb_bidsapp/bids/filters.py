"""What a person asks for: labels as they are typed, and BIDS filter files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Any

from cmb_bidsapp.bids.names import entity_names, is_label, long_name
from cmb_bidsapp.bids.text import cause_of, read_json
from cmb_bidsapp.core.errors import UsageError

#: Keys of a BIDS filter file; without ``swi``, the filter of ``t2starw`` holds for SWI too.
FILTER_KEYS = ("t1w", "t2starw", "swi")

Filters = Mapping[str, Mapping[str, Any]]


def plain_labels(values: Iterable[str], prefix: str) -> tuple[str, ...]:
    """Labels without their prefix, from single values and comma lists, in order, once each.

    Parameters
    ----------
    values
        As a person gives them.
    prefix
        ``sub-`` or ``ses-``.

    >>> plain_labels(["sub-01", "02,sub-03", "01"], "sub-")
    ('01', '02', '03')
    """
    labels = [v.strip().removeprefix(prefix) for value in values for v in value.split(",")]
    return tuple(dict.fromkeys(label for label in labels if label))


def select_participants(
    present: Iterable[str], wanted: Iterable[str], unwanted: Iterable[str]
) -> set[str]:
    """Labels (without ``sub-``) of those asked for, all where none is named, less the unwanted.

    Parameters
    ----------
    present
        Labels that there are.
    wanted, unwanted
        Labels, all without ``sub-``.

    Raises
    ------
    UsageError
        Somebody named is not present, or nobody is left; a name is empty, as a variable may be.
    """
    there, wanted = set(present), list(wanted)
    chosen, left_out = (set(plain_labels(labels, "sub-")) for labels in (wanted, unwanted))
    if wanted and not chosen:
        raise UsageError("no participant label given; expected at least one")
    if unknown := sorted((chosen | left_out) - there):
        raise UsageError(f"the dataset has no participant sub-{', sub-'.join(unknown)}")
    if not (selected := (chosen or there) - left_out):
        raise UsageError("all participants are excluded")
    return selected


def read_filters(path: Path) -> dict[str, dict[str, Any]]:
    """Read a BIDS filter file.

    Raises
    ------
    UsageError
        The file is not a JSON object of the known keys.
    """
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"--bids-filter-file {path}: {cause_of(error)}") from error
    if not all(isinstance(rule, dict) for rule in content.values()):
        raise UsageError(f"--bids-filter-file {path}: expected a JSON object of objects")
    unknown = sorted(set(content) - set(FILTER_KEYS))
    if unknown:
        raise UsageError(
            f"--bids-filter-file {path}: unknown key {', '.join(unknown)}; "
            f"valid are {', '.join(FILTER_KEYS)}"
        )
    problems = [
        f"--bids-filter-file {path}: {key}: {problem}"
        for key, rule in content.items()
        for problem in _problems(rule)
    ]
    if problems:
        raise UsageError("\n".join(problems))
    return content


def _problems(rule: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the filter of one contrast."""
    valid = entity_names()
    for entity, wanted in rule.items():
        if entity not in valid:
            near = long_name(entity) or next(iter(get_close_matches(entity, valid)), None)
            meant = f"did you mean {near}?" if near else f"valid are {', '.join(valid)}"
            yield f"no entity {entity}; {meant}"
        values = wanted if isinstance(wanted, list) else [wanted]
        if not values or not all(type(value) in _PLAIN for value in values):
            yield f"{entity}: expected a string, a number, null, or a list of these"
            continue
        # What can never be true would leave out every image, and nobody would know why.
        hint = 'write ".nii" or ".nii.gz"' if entity == "extension" else _LABEL
        yield from (
            f'{entity}: no image can have "{value}"; {hint}'
            for value in values
            if value not in (None, "*") and not _possible(entity, str(value))
        )


#: Types of the values of a filter; ``bool`` is none of them.
_PLAIN = (NoneType, str, int)
_LABEL = 'labels are letters and digits without their key ("hi", not "acq-hi"), and "*" is any'


def _possible(entity: str, value: str) -> bool:
    return value.startswith(".") if entity == "extension" else is_label(value)


def matches(entities: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a file's entities satisfy a filter: ``None`` is absent, ``"*"`` any, lists are or.

    Parameters
    ----------
    entities
        Of the file, by their long names.
    wanted
        Of the filter, by the same names.

    >>> matches({"acquisition": "hi", "run": 2}, {"acquisition": "*", "run": [1, 2]})
    True
    >>> matches({"acquisition": "hi"}, {"acquisition": None})
    False
    """
    for key, want in wanted.items():
        have = entities.get(key)
        if not any(_same(have, one) for one in (want if isinstance(want, list) else [want])):
            return False
    return True


def _same(have: Any, want: Any) -> bool:
    if want == "*":
        return have is not None
    if have is None or want is None:
        return have is want
    if str(have) == str(want):
        return True
    # Indices: run 1 is run 01.
    return str(have).isdecimal() and str(want).isdecimal() and int(have) == int(want)
