"""Results in standard spaces, where asked for: images, probability, mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt
from nibabel.affines import apply_affine

from cmb_bidsapp.anatomy.standard import in_space, read_field, sample
from cmb_bidsapp.anatomy.templates import Space, find_template
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.images import read_derivative, read_labels
from cmb_bidsapp.bids.inputs import Session
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.phases.base import Step
from cmb_bidsapp.preprocess.ants import read_linear
from cmb_bidsapp.settings import Settings


def write_in_spaces(
    session: Session, files: SessionFiles, settings: Settings, step: Step
) -> list[Path]:
    """Write the results in every standard space that the settings ask for.

    Parameters
    ----------
    session
        Whether it has a T1w.
    files
        The session's derivatives.
    settings
        Which spaces.
    step
        Is told what begins.
    """
    written = []
    for space in map(Space.parse, settings.output_spaces):
        step(f"images in {space}")
        written += write_in_space(files, space, with_t1w=session.t1w is not None)
    return written


def write_in_space(files: SessionFiles, space: Space, *, with_t1w: bool) -> list[Path]:
    """Write the images, the CMB probability and the final mask of a session in a standard space.

    Parameters
    ----------
    files
        The session's derivatives.
    space
        As a person names it.
    with_t1w
        Whether the session has a T1w.

    Raises
    ------
    UnavailableError
        See :func:`cmb_bidsapp.anatomy.templates.find_template`.
    """
    template = find_template(space)
    # Where the voxels of the space lie in the T2*w image.
    points = read_field(files.from_standard)(template.points())
    about = {
        "SpatialReference": str(space),
        "Resolution": f"res-{space.resolution} of the template",
    }
    targets = files.in_space(space.name, space.resolution)

    written = []

    def write(path: Path, data: npt.NDArray[Any], more: dict[str, Any]) -> None:
        sources = [files.uri(path), files.uri(files.from_standard)]
        sidecar = {**about, "Sources": sources, **more}
        write_image(targets[path], data, template.grid.affine, sidecar)
        written.append(targets[path])

    write(files.t2star, sample(read_derivative(files.t2star), points), {"SkullStripped": True})
    write(files.probability, sample(read_derivative(files.probability), points), {})
    if with_t1w:
        there = apply_affine(read_linear(files.transform), points)
        write(files.t1w, sample(read_derivative(files.t1w), there), {"SkullStripped": True})
    instances = read_labels(files.instances)
    kept = instances.data * (read_labels(files.mask).data > 0)
    write(files.mask, in_space(Volume(kept, instances.affine), points), {"Type": "Lesion"})
    return written
