"""One simulated session: a person is scanned, and what is true of the images is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.anatomy.mars import on_grid, with_sides
from cmb_bidsapp.anatomy.proxy import tissue_regions, to_proxy
from cmb_bidsapp.core.arrays import Image
from cmb_bidsapp.core.labels import PROXY_NAMES
from cmb_bidsapp.preprocess.resampling import Grid
from cmb_bidsapp.simulate.acquisition import scan_t1w, scan_t2star
from cmb_bidsapp.simulate.grid import ScanGrid
from cmb_bidsapp.simulate.inclusions import shares
from cmb_bidsapp.simulate.person import Person, random_rigid
from cmb_bidsapp.simulate.physics import interpolation_matrix, resample
from cmb_bidsapp.simulate.protocols import ScanProtocol
from cmb_bidsapp.simulate.texture import Texture
from cmb_bidsapp.simulate.truth import lesion_truth, mimic_rows, mimic_truth

#: Voxels of a head.
ONE_MM = (1.0, 1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One simulated session: images, transform and truth.

    T1w voxel ``i`` lies at ``t1w_affine @ i``; ``t1w_to_t2star`` moves T1w world coordinates to
    T2*w world coordinates (mm). What is not named after the T1w is on the T2*w grid.
    """

    t2star: Image
    phase: Image
    affine: npt.NDArray[np.float64]
    t1w: Image
    t1w_brain: npt.NDArray[np.uint8]
    t1w_affine: npt.NDArray[np.float64]
    t1w_to_t2star: npt.NDArray[np.float64]
    t1w_on_t2star: Image
    brain: npt.NDArray[np.uint8]
    proxy: npt.NDArray[np.uint8]
    mars: npt.NDArray[np.uint8]
    instances: npt.NDArray[np.int16]
    ignore: npt.NDArray[np.uint8]
    mimic_dseg: npt.NDArray[np.uint8]
    lesions: list[dict[str, Any]]
    mimics: list[dict[str, Any]]
    protocol: ScanProtocol


def simulate_case(
    person: Person,
    protocol: ScanProtocol,
    rng: np.random.Generator,
    *,
    of_tissues: np.random.Generator | None = None,
    texture: Texture | None = None,
) -> Case:
    """Simulate one session.

    Parameters
    ----------
    person
        Head and what lies in it.
    protocol
        How it is scanned.
    rng
        Draws everything that ``of_tissues`` does not.
    of_tissues
        Draws what stays from session to session, the person's tissues; ``rng`` where there is no
        other session.
    texture
        Real texture for the brain; without it there is only noise of several scales.
    """
    head, center = person.head, person.origin
    grid = ScanGrid.around(head, protocol)
    filled = shares(person.inclusions, head, of_tissues or rng)
    scan = scan_t2star(
        head,
        protocol,
        grid,
        person.microbleeds,
        person.mimics,
        rng,
        of_tissues=of_tissues,
        texture=texture,
        filled=filled,
    )
    affine = grid.affine(center)

    brain = (grid.to_slices(head.brain.astype(np.float32)) > 0.5).astype(np.uint8)
    tissue = np.where(head.brain, head.dseg, 0)
    fine_mars = with_sides(tissue_regions(tissue, ONE_MM), tissue, ONE_MM)
    fine_proxy = to_proxy(fine_mars)
    votes = np.stack([grid.to_slices((fine_proxy == k).astype(np.float32)) for k in PROXY_NAMES])
    proxy = (votes.argmax(axis=0) * brain).astype(np.uint8)
    head_grid = Grid.of(tissue, _translation(-center))
    _, mars = on_grid(fine_mars, head_grid, Grid.of(brain, affine))
    instances, ignore, lesions = lesion_truth(
        scan.loss, brain, proxy, affine, person.microbleeds, fine_mars, center
    )

    t1w = scan_t1w(head, rng, filled)
    motion = random_rigid(rng, degrees=4, mm=5)
    t1w_affine = np.linalg.inv(motion) @ _translation(-center)
    return Case(
        t2star=scan.magnitude,
        phase=scan.phase,
        affine=affine,
        t1w=t1w,
        t1w_brain=head.brain.astype(np.uint8),
        t1w_affine=t1w_affine,
        t1w_to_t2star=motion,
        t1w_on_t2star=_t1w_on(t1w, grid, rng),
        brain=brain,
        proxy=proxy,
        mars=mars * (to_proxy(mars) == proxy),
        instances=instances,
        ignore=ignore,
        mimic_dseg=mimic_truth(scan.mimic_loss, brain),
        lesions=lesions,
        mimics=mimic_rows(person.mimics, center),
        protocol=protocol,
    )


def _translation(offset: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, 3] = offset
    return affine


def _t1w_on(t1w: Image, grid: ScanGrid, rng: np.random.Generator) -> Image:
    """T1w at the T2*w voxel centers, up to half a millimeter off as after registration."""
    x, y, z = (
        interpolation_matrix(t1w.shape[a], grid.centers(a) + rng.normal(0, 0.3)) for a in range(3)
    )
    return resample(t1w, (x, y, z))
