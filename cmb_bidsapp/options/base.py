"""A parser whose options carry their range, and which returns frozen requests."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, TypeVar

from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.core.request import Request

R = TypeVar("R", bound=Request)


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers that an option takes; infinity and what is no number never are among them."""

    low: float
    high: float = math.inf
    low_included: bool = True
    high_included: bool = True
    unit: str = ""

    def __contains__(self, value: float) -> bool:
        above = value >= self.low if self.low_included else value > self.low
        below = value <= self.high if self.high_included else value < self.high
        return above and below and math.isfinite(value)

    def __str__(self) -> str:
        """Return what is expected, for a person."""
        unit = f" {self.unit}" if self.unit else ""
        if math.isinf(self.high):
            if not self.low_included:
                return f"more than {self.low:g}{unit}"
            return (
                f"{self.low:g}{unit} or more" if self.low == 0 else f"at least {self.low:g}{unit}"
            )
        if self.low_included:
            return f"{self.low:g} to {self.high:g}{unit}"
        if self.high_included:
            return f"more than {self.low:g}, up to {self.high:g}{unit}"
        return f"between {self.low:g} and {self.high:g}{unit}"


COUNT = Range(low=1)
NOT_NEGATIVE = Range(low=0)
SHARE = Range(low=0, high=1)
PROBABILITY = Range(low=0, high=1, low_included=False, high_included=False)


class Number(argparse._StoreAction):
    """An option with one number or several, and the range they lie in.

    Parsing does not look at the range: :func:`out_of_range` does, so that all problems are told at
    once. With ``ordered``, two numbers are the ends of an interval.
    """

    def __init__(self, *args: Any, within: Range, ordered: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.within = within
        self.ordered = ordered

    def problems(self, value: Any) -> list[str]:
        """What is wrong with a value; ``None`` is one that was not given."""
        if value is None:
            return []
        option = next(o for o in self.option_strings if o.startswith("--"))
        numbers = value if isinstance(value, list | tuple) else [value]
        if self.ordered:
            low, high = numbers
            if low in self.within and high in self.within and low <= high:
                return []
            return [f"{option} {low} {high}: expected {self.within.low:g} <= MIN <= MAX"]
        return [
            f"{option} {number}: expected {self.within}"
            for number in numbers
            if number not in self.within
        ]


def out_of_range(parser: argparse.ArgumentParser, given: object) -> list[str]:
    """Name numbers out of range, in the order of the options.

    Parameters
    ----------
    parser
        Parser with the options; that of the verb in ``given`` is looked at as well.
    given
        Has an attribute for each option: a namespace, or a request.
    """
    problems = []
    for action in parser._actions:
        if isinstance(action, Number):
            problems += action.problems(getattr(given, action.dest))
        elif isinstance(action, argparse._SubParsersAction):
            problems += out_of_range(action.choices[getattr(given, action.dest)], given)
    return problems


def as_request(kind: type[R], values: dict[str, Any]) -> R:
    """Make a request of values by the names of its fields; others are ignored.

    Parameters
    ----------
    kind
        Class of the request.
    values
        Value of each field by its name; lists become tuples.
    """
    own = {field.name: values[field.name] for field in fields(kind)}
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in own.items()})


class Parser(argparse.ArgumentParser):
    """Leaves through UsageError, so that all problems are reported in one way."""

    def error(self, message: str) -> Any:
        """Turn a parsing problem into ours."""
        raise UsageError(f"{message}\nusage: see {self.prog} --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Name the nearest choice where a word is none."""
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            near = get_close_matches(str(value), [str(one) for one in action.choices or ()], n=1)
            if not near:
                raise
            raise argparse.ArgumentError(
                action, f"{error.message}; did you mean {near[0]}?"
            ) from None

    def request(self, kind: type[R], arguments: Sequence[str]) -> R:
        """Parse and check the command line of a verb.

        Parameters
        ----------
        kind
            Class of the request.
        arguments
            Words of the command line after the verb.

        Raises
        ------
        UsageError
            One line per problem, each with what was expected.
        """
        return self.checked(kind, self.parse_args(arguments))

    def checked(self, kind: type[R], given: argparse.Namespace) -> R:
        """Make a request of a parsed command line and check it, see :meth:`request`.

        Parameters
        ----------
        kind
            Class of the request.
        given
            The parsed command line.

        Raises
        ------
        UsageError
            One line per problem, each with what was expected.
        """
        request = as_request(kind, vars(given))
        if problems := [*request.problems(), *out_of_range(self, given)]:
            raise UsageError("\n".join(problems))
        return request
