"""Standard spaces that results can be written in: the packaged atlas's, and TemplateFlow's.

Which regions a head gets never depends on what TemplateFlow's home holds: that would make results
differ between machines. It holds the spaces people ask for beyond our own.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmb_bidsapp.anatomy.standard import centers, tabulate
from cmb_bidsapp.bids.images import UNREADABLE, open_image
from cmb_bidsapp.core.arrays import Points
from cmb_bidsapp.core.errors import UnavailableError, UsageError
from cmb_bidsapp.core.labels import STANDARD_SPACE
from cmb_bidsapp.preprocess.resampling import Grid

#: First voxel of the 1 and 2 mm images of MNI152NLin6Asym (RAS mm), and their shapes.
PACKAGED = {
    1: ((-91.0, -126.0, -72.0), (182, 218, 182)),
    2: ((-90.0, -126.0, -72.0), (91, 109, 91)),
}


@dataclass(frozen=True)
class Space:
    """A standard space as a person names it.

    Attributes
    ----------
    name
        Identifier of TemplateFlow, such as ``MNI152NLin2009cAsym``.
    resolution
        Its ``res`` index; in our own space the voxel size in mm.
    """

    name: str
    resolution: int

    @classmethod
    def parse(cls, text: str) -> Space:
        """Read ``NAME`` or ``NAME:res-N``; without a resolution it is 2.

        Raises
        ------
        UsageError
            It has another form, or is a resolution that our own space does not have.
        """
        found = re.fullmatch(r"([A-Za-z0-9]+)(?::res-0*([1-9][0-9]?))?", text)
        if found is None:
            raise UsageError(
                f"--output-spaces {text}: expected NAME or NAME:res-N, such as "
                f"{STANDARD_SPACE}:res-2"
            )
        space = cls(found.group(1), int(found.group(2) or 2))
        if space.name == STANDARD_SPACE and space.resolution not in PACKAGED:
            raise UsageError(f"--output-spaces {text}: {STANDARD_SPACE} has res-1 and res-2")
        return space

    def __str__(self) -> str:
        """As it was given."""
        return f"{self.name}:res-{self.resolution}"


@dataclass(frozen=True)
class Template:
    """Where a standard space has its voxels, and how our own leads there.

    Attributes
    ----------
    grid
        Voxels of the space.
    transform
        ITK transform that resamples images of :data:`STANDARD_SPACE`; ``None`` for that itself.
    """

    grid: Grid
    transform: Path | None = None

    def points(self) -> Points:
        """Where its voxels lie in :data:`STANDARD_SPACE`, shape ``(x, y, z, 3)``, RAS mm.

        Raises
        ------
        UnavailableError
            The transform is damaged.
        """
        own = centers(self.grid)
        if self.transform is None:
            return own
        try:
            return own + tabulate(self.transform, self.grid).displacement
        except RuntimeError as error:
            raise UnavailableError(f"{self.transform} cannot be read; fetch it again") from error


def find_template(space: Space) -> Template:
    """Look a space up: our own is packaged, others come through TemplateFlow's client.

    Nothing is fetched: a run asks nobody for anything.

    Raises
    ------
    UnavailableError
        TemplateFlow's home (``TEMPLATEFLOW_HOME``) does not hold the space, or TemplateFlow knows
        no such space or no way to it.
    """
    if space.name == STANDARD_SPACE:
        first, shape = PACKAGED[space.resolution]
        affine = np.diag([*(3 * [float(space.resolution)]), 1.0])
        affine[:3, 3] = first
        return Template(Grid(shape, affine))
    image = _held(
        space, "T1w image", resolution=space.resolution, suffix="T1w", desc=None, extension="nii.gz"
    )
    way = {"from": STANDARD_SPACE, "suffix": "xfm", "extension": "h5"}
    transform = _held(space, f"transform from {STANDARD_SPACE}", **way)
    try:
        header = open_image(image)
    except UNREADABLE as error:
        raise UnavailableError(f"{image} cannot be read ({error}); fetch it again") from error
    return Template(Grid.of_image(header), transform)


def _held(space: Space, what: str, **entities: Any) -> Path:
    """One file of a space in TemplateFlow's home."""
    # Looking for news of the whole archive is not what a run is for.
    os.environ.setdefault("TEMPLATEFLOW_AUTOUPDATE", "0")
    try:
        from templateflow import api

        home = api.cache.config.root
        known = [Path(path) for path in api.ls(space.name, **entities)]
    except (OSError, RuntimeError) as error:
        raise UnavailableError(
            f"--output-spaces {space}: TemplateFlow cannot provide its {what} ({error}); set "
            "TEMPLATEFLOW_HOME to a folder that contains it, or use the packaged "
            f"{STANDARD_SPACE}"
        ) from error
    if len(known) != 1:
        raise UnavailableError(
            f"--output-spaces {space}: TemplateFlow ({home}) has no {what} for it; use the "
            f"packaged {STANDARD_SPACE}"
        )
    # The client keeps the place of what it has not fetched by an empty file.
    if not known[0].is_file() or not known[0].stat().st_size:
        raise UnavailableError(
            f"--output-spaces {space}: {known[0]} is not fetched; where there is a network, run: "
            f"python -c \"from templateflow import api; api.get('{space.name}')\""
        )
    return known[0]
