"""The card of a model: what it is, what it expects, what it was trained on."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeGuard

from cmb_bidsapp.bids.outputs import write_json
from cmb_bidsapp.core.defaults import OPERATING_POINTS, THRESHOLD
from cmb_bidsapp.core.errors import ModelError

CARD = "model.json"
WEIGHTS = "weights.pt"
#: Weights of the network that judges candidates, in bundles that have one.
SECOND_LOOK = "second_look.pt"
#: Stands for a license, or for training data, that nobody has stated.
UNSTATED = "not stated"
TASKS = ("anatomy", "lesions")


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a model states about itself; ``model.json`` of a bundle holds the same keys."""

    name: str
    """How people call it; of a packaged model also its id."""
    version: str
    task: str
    """``anatomy`` or ``lesions``."""
    license: str
    training_data: str
    """What it was trained on, in a sentence."""
    trainer: str
    """Name of the trainer class or function."""
    spacing: tuple[float, ...]
    """Voxel size (mm) the network works at, in its own axis order: slices first."""
    channels: tuple[str, ...]
    """Contrasts (``T2starw``, ``T1w``) in the order of the input channels."""
    labels: Mapping[str, int]
    """Output channel by class name; ``background`` is 0."""
    files: dict[str, str]
    """SHA-256 by file name."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """What was measured with it; free."""
    schedule: Mapping[str, Any] = field(default_factory=dict)
    """How long it was trained; free."""
    nominal_slice_mm: float | None = None
    """Lesions: slice distance (mm) the network is told whatever it is, so that slices are never
    resampled; ``None`` resamples them as nnU-Net plans."""
    configuration: str = ""
    """Lesions: configuration of the nnU-Net plans."""
    mirror_axes: tuple[int, ...] = ()
    """Lesions: axes that may be mirrored."""
    dark_spots: bool = False
    """Lesions: whether the second look judges all dark spots of the brain, beside what the network
    suspects."""
    threshold: float = THRESHOLD
    """Lesions: probability that a microbleed reaches somewhere, unless ``--threshold`` is given."""
    operating_points: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Lesions: ``threshold`` of each operating point, with what was measured at it."""
    calibration: Mapping[str, Any] = field(default_factory=dict)
    """Lesions: how likely a candidate is a microbleed, and how that was found out; see
    :class:`cmb_bidsapp.models.calibration.Calibration`, whose ``knots`` are used."""
    architecture: Mapping[str, Any] = field(default_factory=dict)
    """Anatomy: arguments of ``build_network``."""


TEXTS = ("name", "version", "task", "license", "training_data", "trainer")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    ModelError
        The file is absent, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise ModelError(f"{path} is missing; install the model again") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not valid JSON; install the model again") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} is not a JSON object; install the model again")
    return content


def card_of(plain: Mapping[str, Any], path: Path) -> Card:
    """Make a card of the content of ``model.json``; keys it does not know are left out.

    The license may be spelled ``licence``, as earlier versions wrote it.

    Parameters
    ----------
    plain
        What the JSON file holds.
    path
        Where it is from, for messages.

    Raises
    ------
    ModelError
        Something is missing or wrong; one line says all of it, and names ``path``.
    """
    if "licence" in plain:
        plain = {"license": plain["licence"], **plain}
    problems = list(_problems(plain))
    if problems:
        raise ModelError(
            f"{path} is not a valid model card: {'; '.join(problems)}; correct it, or install the "
            "model again"
        )
    known = {f.name: plain[f.name] for f in dataclasses.fields(Card) if f.name in plain}
    for key in ("spacing", "channels", "mirror_axes"):
        known[key] = tuple(known.get(key, ()))
    return Card(**known)


def read_card(path: Path) -> Card:
    """Read and check ``model.json``."""
    return card_of(read_json(path), path)


def write_card(path: Path, card: Card) -> None:
    """Write ``model.json``.

    Parameters
    ----------
    path
        The JSON file.
    card
        Its fields are the keys; those of the other task are left out.
    """
    other = {
        "lesions": ("architecture",),
        "anatomy": (
            "nominal_slice_mm",
            "configuration",
            "mirror_axes",
            "dark_spots",
            "threshold",
            "operating_points",
            "calibration",
        ),
    }
    plain = dataclasses.asdict(card)
    for key in ("calibration", "operating_points", "dark_spots"):
        if not plain[key]:
            del plain[key]
    write_json(path, {k: v for k, v in plain.items() if k not in other[card.task]})


def text_problems(texts: Mapping[str, Any]) -> Iterator[str]:
    """Say which values are not one line of text."""
    for key, value in texts.items():
        if not (isinstance(value, str) and value.strip() and value.isprintable()):
            yield f"{key} must be one line of text"


def _problems(plain: Mapping[str, Any]) -> Iterator[str]:
    yield from text_problems({key: plain.get(key) for key in TEXTS})
    task = plain.get("task")
    if task not in TASKS:
        yield f"task must be {' or '.join(TASKS)}"
    spacing, channels, labels = (plain.get(key) for key in ("spacing", "channels", "labels"))
    if not (is_list(spacing, is_size) and len(spacing) in (2, 3)):
        yield "spacing must be two or three voxel sizes in mm"
    if not (is_list(channels, lambda c: isinstance(c, str)) and channels):
        yield "channels must be a list of contrasts"
    if not (isinstance(labels, dict) and labels.get("background") == 0 and is_numbered(labels)):
        yield "labels must number the classes 0, 1, 2 and so on, with background as 0"
    for key in ("metrics", "schedule", "architecture"):
        if not isinstance(plain.get(key, {}), dict):
            yield f"{key} must be a JSON object"
    if "metrics" not in plain:
        yield "metrics is missing (it may be empty)"
    yield from _file_problems(plain.get("files"))
    if task == "lesions":
        yield from _lesion_problems(plain)
    elif task == "anatomy":
        yield from _architecture_problems(plain)


def _file_problems(listed: Any) -> Iterator[str]:
    if not isinstance(listed, dict) or WEIGHTS not in listed:
        yield f"files must give the SHA-256 of {WEIGHTS} and of every other file"
        return
    for name, digest in listed.items():
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name):
            yield f"{name!r} is not a valid file name in the folder of the card"
        if not (isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest)):
            yield f"the SHA-256 of {name!r} must have 64 hexadecimal digits"


def _lesion_problems(plain: Mapping[str, Any]) -> Iterator[str]:
    if "nominal_slice_mm" not in plain:
        yield "nominal_slice_mm is missing (mm, or null if slices are resampled)"
    nominal, spacing = plain.get("nominal_slice_mm"), plain.get("spacing")
    if nominal is not None and not (is_list(spacing, is_size) and nominal in spacing):
        yield "nominal_slice_mm must be a value of spacing, so that slices are not resampled"
    if not (isinstance(plain.get("configuration"), str) and plain["configuration"]):
        yield "configuration must name a configuration in plans.json"
    if not isinstance(plain.get("dark_spots", False), bool):
        yield "dark_spots must be true or false"
    if not is_mirroring(plain.get("mirror_axes")):
        yield "mirror_axes must be a list of different axes (0, 1 or 2)"
    threshold = plain.get("threshold", THRESHOLD)
    if not (is_size(threshold) and threshold < 1):
        yield "threshold must be a probability between 0 and 1"
    if not is_operating_points(plain.get("operating_points", {})):
        yield f"operating_points must give a threshold for each of {', '.join(OPERATING_POINTS)}"
    if not is_calibration(plain.get("calibration", {})):
        yield (
            "calibration must have knots: pairs of a network probability, strictly increasing, "
            "and a calibrated probability, not decreasing"
        )


def _architecture_problems(plain: Mapping[str, Any]) -> Iterator[str]:
    given = plain.get("architecture")
    counts = given if isinstance(given, dict) else {}
    stages = [counts.get(key) for key in ("features", "convolutions")]
    if (
        not all(is_list(one, is_count) for one in stages)
        or len({len(s or []) for s in stages}) != 1
    ):
        yield "architecture must have features and convolutions for every stage"
    for key, listed in (("in_channels", "channels"), ("classes", "labels")):
        named = plain.get(listed)
        if not isinstance(named, list | dict) or counts.get(key) != len(named):
            yield f"architecture: {key} must be the number of {listed}"


def is_list(value: Any, each: Callable[[Any], bool]) -> TypeGuard[list[Any]]:
    """Whether a value is a list whose entries all pass.

    Parameters
    ----------
    value
        Anything that JSON can hold.
    each
        Tests an entry.
    """
    return isinstance(value, list | tuple) and all(each(entry) for entry in value)


def is_count(value: Any) -> bool:
    """Whether a value is a whole number of at least 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def is_size(value: Any) -> bool:
    """Whether a value is a size in mm: a positive number below a kilometer."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6


def is_probability(value: Any) -> bool:
    """Whether a value is a number between 0 and 1, both included."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def is_calibration(value: Any) -> bool:
    """Whether a value is empty, or has knots that rise."""
    if value == {}:
        return True
    knots = value.get("knots") if isinstance(value, dict) else None
    if not (is_list(knots, lambda k: is_list(k, is_probability) and len(k) == 2) and knots):
        return False
    return all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(knots))


def is_operating_points(value: Any) -> bool:
    """Whether a value is empty, or has a threshold for every operating point."""
    if value == {}:
        return True
    if not (isinstance(value, dict) and value.keys() == OPERATING_POINTS.keys()):
        return False
    thresholds = [v.get("threshold") if isinstance(v, dict) else None for v in value.values()]
    return is_list(thresholds, lambda t: is_probability(t) and 0 < t < 1)


def is_axis(value: Any) -> bool:
    """Whether a value is the number of an axis."""
    return type(value) is int and value in (0, 1, 2)


def is_mirroring(value: Any) -> bool:
    """Whether a value is a list of different axes."""
    return is_list(value, is_axis) and len(set(value)) == len(value)


def is_numbered(labels: Mapping[str, Any]) -> bool:
    """Whether the values are 0, 1, 2 and so on, each once."""
    values = list(labels.values())
    whole = all(isinstance(v, int) and not isinstance(v, bool) for v in values)
    return whole and sorted(values) == list(range(len(values)))
