"""The options of the app one by one, as its parser has them, for those who call it."""

from __future__ import annotations

import argparse
from collections.abc import Container, Iterator
from pathlib import Path

from cmb_bidsapp.models.registry import packaged_models

#: Options whose text may hold a path: NAME=PATH, or a name or a path.
MAYBE_PATHS = ("derivatives", "model")

#: Folders that the app itself makes where they are missing.
MADE = ("work_dir", "bids_database_dir", "fs_subjects_dir")


def groups_of(parser: argparse.ArgumentParser) -> dict[str, list[argparse.Action]]:
    """Title of each group of options -> its options, without help and version."""
    return {
        str(group.title): group._group_actions
        for group in parser._action_groups
        if group not in (parser._positionals, parser._optionals)
    }


def options_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """All options, without help and version."""
    return [action for actions in groups_of(parser).values() for action in actions]


def is_flag(action: argparse.Action) -> bool:
    """Whether an option takes no value."""
    return action.nargs == 0


def flag_of(action: argparse.Action, value: object = None) -> str:
    """The spelling shown first, where there is a choice the one of a long option.

    Of a switch that is on or off it is the one that ``value`` stands for, by default the one that
    changes anything.

    Parameters
    ----------
    action
        Option that has a long spelling.
    value
        Value of a switch that is on or off; ``None`` is the contrary of the default.
    """
    if isinstance(action, argparse.BooleanOptionalAction):
        on = not action.default if value is None else bool(value)
        return next(name for name in action.option_strings if name.startswith("--no-") != on)
    return next(name for name in action.option_strings if name.startswith("--"))


def as_arguments(
    actions: list[argparse.Action], given: object, leave_out: Container[str] = ()
) -> list[str]:
    """A command line that says the same as ``given``; defaults are left out, paths absolute.

    Parameters
    ----------
    actions
        Options to write, in this order.
    given
        Has an attribute for each option, such as a request.
    leave_out
        Names (``dest``) of options not to write.
    """
    words: list[str] = []
    for action in actions:
        value = getattr(given, action.dest)
        if action.dest in leave_out or value == action.default:
            continue
        if isinstance(action, argparse._CountAction):
            words += [flag_of(action)] * value
        elif is_flag(action):
            words.append(flag_of(action, value))
        else:
            values = value if isinstance(value, list | tuple) else [value]
            words += [flag_of(action), *(_written(action, one) for one in values)]
    return words


def paths_in(
    actions: list[argparse.Action], given: object, leave_out: Container[str] = ()
) -> Iterator[tuple[Path, bool]]:
    """Absolute paths that the options name, and whether the app makes them where missing.

    Parameters
    ----------
    actions
        Options to look at, in this order.
    given
        Object with an attribute for each option, such as a request.
    leave_out
        Names (``dest``) of options to skip.

    Yields
    ------
    path, made
        Absolute path, and whether the app makes the folder where it is missing.
    """
    for action in actions:
        value = getattr(given, action.dest)
        if value is None or action.dest in leave_out:
            continue
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, Path):
                yield one.absolute(), action.dest in MADE
            elif action.dest in MAYBE_PATHS and one != action.default:
                path = _path_of(action, one)
                if path is not None:
                    yield path, False


def _written(action: argparse.Action, value: object) -> str:
    if isinstance(value, Path):
        return str(value.absolute())
    text = str(value)
    path = _path_of(action, text) if action.dest in MAYBE_PATHS else None
    if path is None:
        return text
    # The name before the "=" is for people; what follows it, or all of it, is the path.
    return f"{text.partition('=')[0]}={path}" if not Path(text).exists() else str(path)


def _path_of(action: argparse.Action, text: str) -> Path | None:
    """The existing path that a text is, or has after its first "="; no name of a model."""
    if action.dest == "model" and text in packaged_models():
        return None
    for part in (text, text.partition("=")[2]):
        if part and Path(part).exists():
            return Path(part).absolute()
    return None
