"""A scanner for simulated heads: T2*w magnitude with microbleeds and mimics, and T1w."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.core.arrays import Image
from cmb_bidsapp.core.labels import MIMICS, STRUCTURES, ids, to_structures
from cmb_bidsapp.preprocess.dipole import dipole_field
from cmb_bidsapp.preprocess.swi import homodyne, susceptibility_weighted
from cmb_bidsapp.simulate.anatomy import Head, is_brain
from cmb_bidsapp.simulate.artefacts import (
    MOTION_SHARE,
    acquired_share,
    add_noise,
    ghost,
    interpolate,
    receive_field,
    slice_gains,
)
from cmb_bidsapp.simulate.grid import FINE_THROUGH_PLANE, ScanGrid
from cmb_bidsapp.simulate.inclusions import LOOKS, included, included_tissues
from cmb_bidsapp.simulate.nuclei import NUCLEI, iron_nuclei
from cmb_bidsapp.simulate.physics import (
    Axes,
    Complex,
    Source,
    draw,
    interpolation_matrix,
    phase_per_ppm,
    resample,
    signal_factor,
)
from cmb_bidsapp.simulate.protocols import ScanProtocol
from cmb_bidsapp.simulate.texture import Texture
from cmb_bidsapp.simulate.tissues import EXTRACEREBRAL, IRON_RICH, SOFT_TISSUE, TISSUES, Tissue

#: No inclusions.
NOTHING: Mapping[str, Image] = MappingProxyType({})

#: Borders of tissues are smoothed by this (standard deviation, mm): finer ones show the stairs of
#: label maps of 1 mm.
BORDER_MM = 0.5
#: Texture of tissue: scales (standard deviation, mm) and the largest strength of each.
TEXTURE = ((0.7, 0.06), (1.5, 0.05), (3.0, 0.04), (6.0, 0.04))
#: Iron of the nuclei, which grows with age, relative to the tissues' own.
IRON = (0.7, 1.6)
#: Iron and mineral lie in specks: texture of the nuclei finer than so many mm is so much stronger.
MINERAL_MM, MINERAL = 1.0, 2.0
#: Slices of at least this (mm) are excited one by one, so that their brightness differs.
TWO_D_MM = 2.0


@dataclass(frozen=True, kw_only=True)
class T2starScan:
    """A simulated T2*w scan and what is known of it, all on the T2*w grid."""

    magnitude: Image
    phase: Image
    """Phase in rad, wrapped."""
    loss: Image
    """Share of the noiseless magnitude that the microbleeds take away, 0..1."""
    mimic_loss: dict[str, Image]
    """The same for each kind of mimic."""


def tissue_map(head: Head, table: dict[int, float]) -> Image:
    """One value per voxel of the head, float32, 1 mm, head space.

    Parameters
    ----------
    head
        Its ids are FreeSurfer's or extracerebral ones.
    table
        Value by id; ids without one are soft tissue.
    """
    lookup = np.full(int(head.dseg.max()) + 1, table[SOFT_KEY], np.float32)
    for index, value in table.items():
        if 0 <= index < lookup.size:
            lookup[index] = value
    return lookup[head.dseg]


SOFT_KEY = -1


def tissues_of(head: Head) -> dict[int, Tissue]:
    """Tissue for each id that occurs in the head; key -1 is any other soft tissue."""
    present = np.unique(head.dseg)
    classes = to_structures(present)
    found = {SOFT_KEY: SOFT_TISSUE}
    for index, structure in zip(present.tolist(), classes.tolist(), strict=True):
        if is_brain(np.array([index]))[0] and structure:
            found[index] = TISSUES[STRUCTURES[structure]]
        else:
            found[index] = EXTRACEREBRAL.get(index, SOFT_TISSUE)
    return found


def background(
    head: Head,
    protocol: ScanProtocol,
    rng: np.random.Generator,
    of_tissues: np.random.Generator | None = None,
    filled: Mapping[str, Image] = NOTHING,
) -> tuple[Image, Image]:
    """Noiseless magnitude and phase (rad) of the head without sources, 1 mm, head space.

    Parameters
    ----------
    head
        Anatomy, 1 mm, head space.
    protocol
        Field strength and echo time.
    rng
        Draws everything that ``of_tissues`` does not.
    of_tissues
        Draws what a person's tissues are like; ``None``: ``rng`` does.
    filled
        Share of each voxel that inclusions fill, by kind; see
        :func:`~cmb_bidsapp.simulate.inclusions.shares`.
    """
    draws = of_tissues or rng
    tissues = tissues_of(head)
    csf_weight = draws.uniform(0.5, 1.3)
    iron = draws.uniform(*IRON)
    iron_rich = {TISSUES[name] for name in IRON_RICH}
    decay_ms = protocol.te_ms * protocol.b0 / 3
    drawn: dict[Tissue, tuple[float, float]] = {}
    for tissue in sorted({*tissues.values(), *included_tissues(filled)}, key=repr):
        share = iron if tissue in iron_rich else 1.0
        density = tissue.proton_density * (
            csf_weight if tissue.is_fluid else draws.uniform(0.9, 1.1)
        )
        rate = share * draws.uniform(0.75, 1.3) / tissue.t2star_ms
        drawn[tissue] = density * float(np.exp(-decay_ms * rate)), tissue.chi * share
    amplitude = {index: drawn[tissue][0] for index, tissue in tissues.items()}
    chi = {index: drawn[tissue][1] for index, tissue in tissues.items()}
    amplitudes, susceptibility = tissue_map(head, amplitude), tissue_map(head, chi)
    for name, mask in iron_nuclei(head.dseg).items():
        nucleus = NUCLEI[name]
        load = iron * draws.uniform(0.7, 1.1)
        amplitudes[mask] = nucleus.proton_density * np.exp(-decay_ms * load / nucleus.t2star_ms)
        susceptibility[mask] = nucleus.chi * load
    level = {kind: drawn[LOOKS[kind].tissue][0] for kind in filled}
    amplitudes = included(amplitudes, filled, level)
    magnitude = ndimage.gaussian_filter(amplitudes, BORDER_MM) * tissue_texture(head, rng)
    field = dipole_field(susceptibility, (1.0, 1.0, 1.0))
    per_ppm = np.float32(phase_per_ppm(protocol.b0, protocol.te_ms))
    return magnitude, (_shim(field, head.brain) * per_ppm).astype(np.float32)


def tissue_texture(head: Head, rng: np.random.Generator) -> Image:
    """Relative brightness within tissues, about 1: noise of several scales, of random strength.

    Parameters
    ----------
    head
        Anatomy, 1 mm; the nuclei have specks of iron.
    rng
        Draws noise and strengths.
    """
    texture = np.ones(head.dseg.shape, np.float32)
    nuclei = np.isin(head.dseg, [i for structure in IRON_RICH for i in ids(structure=structure)])
    uneven = np.where(nuclei, np.float32(MINERAL), np.float32(1))
    for scale, most in TEXTURE:
        # Coarse noise is drawn on a coarse grid.
        step = max(1, int(scale))
        shape = [-(-n // step) + 1 for n in head.dseg.shape]
        drawn = ndimage.gaussian_filter(
            rng.standard_normal(shape, dtype=np.float32), scale / step, mode="wrap"
        )
        drawn *= np.float32(rng.uniform(0.2, 1) * most / drawn.std())
        axes = [
            interpolation_matrix(m, np.arange(n) / step)
            for m, n in zip(shape, head.dseg.shape, strict=True)
        ]
        noise = resample(drawn, (axes[0], axes[1], axes[2]))
        texture += noise * uneven if scale < MINERAL_MM else noise
    return texture


def _shim(field: Image, brain: npt.NDArray[np.bool_]) -> Image:
    """Remove the linear part of the field over the brain, as a scanner's shim does."""
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in field.shape]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    step = np.argwhere(brain)[::997]
    points = np.stack([axes[a][step[:, a]] for a in range(3)], axis=1)
    design = np.column_stack([np.ones(len(points)), points])
    weights, *_ = np.linalg.lstsq(design, field[tuple(step.T)], rcond=None)
    c, wx, wy, wz = (np.float32(w) for w in weights)
    shimmed: Image = (field - (c + wx * x + wy * y + wz * z)).astype(np.float32)
    return shimmed


def _box(
    source: Source, grid: ScanGrid, reach: float
) -> tuple[tuple[slice, slice, slice], Axes] | None:
    """Part of the sub-slice grid a source acts on, and finer voxel centers inside it."""
    low, high = source.path.min(axis=0) - reach, source.path.max(axis=0) + reach
    window: list[slice] = []
    axes: list[npt.NDArray[np.float64]] = []
    for axis, parts in enumerate((1, 1, grid.slab)):
        step = grid.voxel[axis] / parts
        edge = grid.origin[axis] - grid.voxel[axis] / 2
        size = grid.shape[axis] * parts
        first = max(0, int(np.floor((low[axis] - edge) / step)))
        last = min(size, int(np.ceil((high[axis] - edge) / step)))
        if last - first < 2:
            return None
        window.append(slice(first, last))
        # Vessels are drawn less finely in plane: their field varies slowly.
        vessel = max(1, round(grid.voxel[axis] / FINE_THROUGH_PLANE))
        fine = (grid.in_plane if len(source.path) == 1 else vessel) if axis < 2 else 1
        fine_step = step / fine
        steps = np.arange((last - first) * fine) + 0.5
        axes.append(np.asarray(edge + first * step + fine_step * steps, np.float64))
    return (window[0], window[1], window[2]), (axes[0], axes[1], axes[2])


def apply_source(
    signal: Complex,
    source: Source,
    grid: ScanGrid,
    protocol: ScanProtocol,
    rng: np.random.Generator,
) -> None:
    """Multiply the sub-slice signal in place with what one source does to it.

    Parameters
    ----------
    signal
        Complex, shape ``(x, y, sub-slices)`` of the grid; changed in place.
    source
        In head space (mm); nothing happens where it is outside the grid.
    grid
        Voxels of the scan.
    protocol
        Field strength and echo time.
    rng
        Draws the surface of the source.
    """
    box = _box(source, grid, source.reach(protocol.b0, protocol.te_ms))
    if box is None:
        return
    window, axes = box
    spacing = (
        float(axes[0][1] - axes[0][0]),
        float(axes[1][1] - axes[1][0]),
        float(axes[2][1] - axes[2][0]),
    )
    factor = signal_factor(
        draw(source, axes, rng), spacing, source.chi, protocol.b0, protocol.te_ms
    )
    wx, wy, wz = (w.stop - w.start for w in window)
    fine = factor.shape[0] // wx
    averaged = factor.reshape(wx, fine, wy, fine, wz).mean(axis=(1, 3))
    signal[window] *= averaged


def scan_t2star(
    head: Head,
    protocol: ScanProtocol,
    grid: ScanGrid,
    microbleeds: Sequence[Source],
    mimics: Sequence[Source],
    rng: np.random.Generator,
    *,
    of_tissues: np.random.Generator | None = None,
    texture: Texture | None = None,
    filled: Mapping[str, Image] = NOTHING,
) -> T2starScan:
    """Acquire the head with its sources.

    Parameters
    ----------
    head
        Anatomy, 1 mm, head space.
    protocol
        How it is scanned.
    grid
        Voxels of the scan.
    microbleeds, mimics
        In head space (mm).
    rng
        Draws everything that ``of_tissues`` does not.
    of_tissues
        As in :func:`background`.
    texture
        Of real tissue, laid over the brain; ``None``: the simulated one alone.
    filled
        As in :func:`background`.
    """
    import torch

    magnitude, phase = background(head, protocol, rng, of_tissues, filled)
    matrices = grid.matrices(head.dseg.shape)
    fine = (torch.from_numpy(resample(volume, matrices)) for volume in (magnitude, phase))
    signal = torch.polar(*fine).numpy()
    if texture is not None:
        signal *= texture.on(grid, head, rng)
    share = acquired_share(rng)

    def acquire() -> Complex:
        return interpolate(grid.mean_of_slices(signal), share)

    acquired = acquire()
    mimic_loss: dict[str, Image] = {}
    for kind in MIMICS.values():
        before = acquired
        for source in mimics:
            if source.kind == kind:
                apply_source(signal, source, grid, protocol, rng)
        acquired = acquire()
        mimic_loss[kind] = _loss(before, acquired)
    before = acquired
    for source in microbleeds:
        apply_source(signal, source, grid, protocol, rng)
    acquired = acquire()
    loss = _loss(before, acquired)
    bright = np.abs(before)
    white = float(np.median(bright[bright > np.percentile(bright, 70)]))
    if rng.random() < MOTION_SHARE:
        acquired = ghost(acquired, grid.voxel[1], rng)
    noisy = add_noise(acquired, white / protocol.snr / rng.uniform(0.8, 1.3), rng, share)
    measured, phase = np.abs(noisy), np.angle(noisy)
    if protocol.swi:
        passed = homodyne(measured, phase, np.diag([*grid.voxel, 1.0]))
        measured = susceptibility_weighted(measured, passed, 1)
    measured = measured * receive_field(grid.shape, rng) * np.float32(600 / white)
    if protocol.voxel[2] >= TWO_D_MM:
        measured *= slice_gains(grid.shape[2], rng)
    return T2starScan(magnitude=measured, phase=phase, loss=loss, mimic_loss=mimic_loss)


def _loss(before: Complex, after: Complex) -> Image:
    """Share of the magnitude that is lost; in a void there is nothing to lose."""
    whole = np.abs(before)
    lost: Image = np.clip((whole - np.abs(after)) / np.maximum(whole, 1e-3), 0, 1)
    return lost


def scan_t1w(head: Head, rng: np.random.Generator, filled: Mapping[str, Image] = NOTHING) -> Image:
    """A T1w image of the head with noise, 1 mm, head space, arbitrary unit.

    Parameters
    ----------
    head
        Anatomy, 1 mm, head space.
    rng
        Draws tissues, noise and coil.
    filled
        As in :func:`background`.
    """
    tissues = tissues_of(head)
    drawn = {
        tissue: max(0.0, tissue.t1w + float(rng.normal(0, 3)))
        for tissue in sorted({*tissues.values(), *included_tissues(filled)}, key=repr)
    }
    brightness = {index: drawn[tissue] for index, tissue in tissues.items()}
    level = {kind: drawn[LOOKS[kind].tissue] for kind in filled}
    image = ndimage.gaussian_filter(
        included(tissue_map(head, brightness), filled, level), BORDER_MM
    )
    noise = rng.normal(0, rng.uniform(2, 5), (2, *image.shape)).astype(np.float32)
    noisy: Image = np.hypot(image + noise[0], noise[1]) * receive_field(image.shape, rng)
    return noisy
