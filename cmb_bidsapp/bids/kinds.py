"""What an image is: a magnitude, or something that no microbleed can be read from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

MAGNITUDE = "magnitude"
PHASE = "a phase image"
REAL = "a real part"
IMAGINARY = "an imaginary part"
PROJECTION = "an intensity projection"
MAP = "a map"

#: Words of DICOM's ``ImageType``, as scanners and dcm2niix write them.
IMAGE_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("P", "PHASE", "PHASEMAP"), PHASE),
    **dict.fromkeys(("R", "REAL"), REAL),
    **dict.fromkeys(("I", "IMAG", "IMAGINARY"), IMAGINARY),
    **dict.fromkeys(("MNIP", "MINIP", "MIP", "MAXIP"), PROJECTION),
    "PROJECTION": PROJECTION,
    **dict.fromkeys(("MAP", "FIELDMAP", "QSM", "R2STAR", "VELOCITY"), MAP),
    **dict.fromkeys(("M", "MAG", "MAGNITUDE"), MAGNITUDE),
}
#: Values of ``ComplexImageComponent`` and of the entity ``part``.
COMPONENTS: Mapping[str, str] = {
    "PHASE": PHASE,
    "REAL": REAL,
    "IMAGINARY": IMAGINARY,
    "IMAG": IMAGINARY,
    "MIXED": "a mixture of magnitude and other parts",
    "MAGNITUDE": MAGNITUDE,
    "MAG": MAGNITUDE,
}
#: ``Units`` that are no brightness, in lower case.
UNITS: Mapping[str, str] = {
    **dict.fromkeys(("rad", "radian", "radians", "deg", "degree", "degrees"), PHASE),
    **dict.fromkeys(("hz", "hertz", "rad/s", "t", "ppm", "ppb", "s", "ms", "1/s"), MAP),
}
#: What labels of ``acq`` and ``rec`` say where nothing else does.
LABELS: Mapping[str, str] = {
    r"pha|phase": PHASE,
    r"real": REAL,
    r"imag|imaginary": IMAGINARY,
    r".*(minip|mnip).*|.*mip": PROJECTION,
}

#: Labels that tell magnitude and phase of one acquisition apart.
MAGNITUDE_OR_PHASE = r"pha|phase|mag|magnitude"


def kind_of(entities: Mapping[str, Any], metadata: Mapping[str, Any]) -> tuple[str, str] | None:
    """What name and sidecar say that an image is, and which of them says so.

    Anything but a magnitude counts, whoever says it; ``None`` where nobody says anything.

    Parameters
    ----------
    entities
        Of the file's name, by their long names.
    metadata
        Of the sidecar.

    >>> kind_of({}, {"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND", "PHASE"]})
    ('a phase image', 'ImageType P')
    >>> kind_of({"part": "mag"}, {})
    ('magnitude', 'part-mag')
    """
    said = [*_by_name(entities), *_by_sidecar(metadata)]
    other = [one for one in said if one[0] != MAGNITUDE]
    # Labels are anybody's words: they count where nothing else speaks.
    return next(iter([*other, *said]), None) or _by_label(entities)


def without_kind(entities: Mapping[str, Any]) -> dict[str, Any]:
    """Entities without those that say what kind of image it is: phase and magnitude share them.

    >>> without_kind({"acquisition": "phase", "part": "phase", "echo": "2"})
    {'echo': '2'}
    """
    plain = {key: value for key, value in entities.items() if key not in ("part", "extension")}
    for key in ("acquisition", "reconstruction"):
        if re.fullmatch(MAGNITUDE_OR_PHASE, str(plain.get(key, "")), re.IGNORECASE):
            del plain[key]
    return plain


def _by_name(entities: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    part = entities.get("part")
    if part is not None:
        yield COMPONENTS.get(str(part).upper(), "no magnitude"), f"part-{part}"


def _by_sidecar(metadata: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for key in ("ImageType", "ImageTypeText"):
        for value in _texts(metadata.get(key)):
            words = {*re.split(r"[^A-Z0-9]+", value), re.sub(r"[^A-Z0-9]+", "", value)}
            yield from (
                (kind, f"{key} {value}") for word, kind in IMAGE_TYPES.items() if word in words
            )
    for value in _texts(metadata.get("ComplexImageComponent")):
        if value in COMPONENTS:
            yield COMPONENTS[value], f"ComplexImageComponent {value}"
    for unit in _texts(metadata.get("Units")):
        if unit.lower() in UNITS:
            yield UNITS[unit.lower()], f"Units {unit.lower()}"


def _by_label(entities: Mapping[str, Any]) -> tuple[str, str] | None:
    for entity, short in (("acquisition", "acq"), ("reconstruction", "rec")):
        label = str(entities.get(entity, ""))
        for pattern, kind in LABELS.items():
            if re.fullmatch(pattern, label, re.IGNORECASE):
                return kind, f"{short}-{label}"
    return None


def _texts(value: object) -> list[str]:
    """Upper-case words of a list, or of one text as DICOM writes lists."""
    values = value.split("\\") if isinstance(value, str) else value
    if not isinstance(values, list):
        return []
    return [str(one).strip().upper() for one in values]


def is_signed(values: npt.NDArray[np.floating[Any]]) -> bool:
    """Whether values lie on both sides of zero alike, as phase, real and imaginary parts do.

    >>> is_signed(np.linspace(-3.1, 3.1, 50)), is_signed(np.linspace(-0.1, 10, 50))
    (True, False)
    """
    some = values[np.isfinite(values) & (values != 0)]
    if not some.size:
        return False
    low, high = np.percentile(some, (1, 99))
    negative = float((some < 0).mean())
    return bool(0.25 < negative < 0.75 and low < 0 < high and 0.5 < -low / high < 2)
