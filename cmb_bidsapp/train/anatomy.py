"""Training of the anatomy network (brain extraction and structures).

Nothing but label maps is needed: every step draws an anatomy, deforms it, gives each tissue an
intensity and degrades the image as scanners do (Billot 2023, SynthSeg; Hoopes 2022, SynthStrip).
Most images look roughly like T1w or T2*w, each in its own channel; in the others each tissue has
any intensity, which keeps the network from relying on one look of a contrast.

Most steps see a small part of a head: four of them cost as much as one of the field that the
network is used on, and teach far more. The last ones see that field.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from cmb_bidsapp.anatomy.network import (
    ANATOMY_ARCHITECTURE,
    CONTRASTS,
    FIELD_VOXELS,
    SPACING_MM,
    as_input,
    build_network,
    normalize,
)
from cmb_bidsapp.core.contrast import Contrast
from cmb_bidsapp.core.labels import STRUCTURES, to_structures
from cmb_bidsapp.models.device import fast_arithmetic
from cmb_bidsapp.models.registry import Bundle
from cmb_bidsapp.preprocess.dipole import dipole_field
from cmb_bidsapp.simulate.anatomy import read_head, rotation
from cmb_bidsapp.simulate.tissues import EXTRACEREBRAL, SOFT_TISSUE, TISSUES, Tissue

log = logging.getLogger(__name__)

Shape = tuple[int, int, int]

#: Voxels of most training images, and the share of the steps, at the end, that see the whole field.
PART_VOXELS: Shape = (64, 64, 64)
FIELD_SHARE = 0.08
#: How far the field is shifted about the head, so that necks and faces are seen too.
SHIFT_MM = 26.0
#: How often slices are thick, per contrast, and how often those lie across the body's axis.
THICK = {Contrast.T1W: 0.2, Contrast.T2STARW: 0.7}
AXIAL = 0.7
#: Turns of the phase across a slice, per ppm/mm of the field along it: 1.5 T, 15 ms and 1 mm to
#: 3 T, 35 ms and 6 mm.
DEPHASING = (1.0, 27.0)
CHECKPOINT_EVERY = 50
#: Highest learning rate, from random weights and from a trained model's.
FIRST_RATE, FINE_TUNE_LR = 3e-3, 1.5e-3
FIRST_INSIDE = 10_000


@dataclass(frozen=True, kw_only=True)
class LabeledHead:
    """A label map made ready for synthesis, 1 mm, RAS axis order.

    Attributes
    ----------
    tissue
        Dense tissue index per voxel; tissues share one intensity distribution.
    structure
        Class of :data:`~cmb_bidsapp.core.labels.STRUCTURES` per tissue, shape ``(n_tissues,)``.
    center
        Center of the brain in voxels.
    properties
        MR properties per tissue index.
    gradient
        How fast the field changes along the body's axis, in ppm/mm: large next to air.
    """

    tissue: torch.Tensor
    structure: torch.Tensor
    center: torch.Tensor
    properties: tuple[Tissue, ...]
    gradient: torch.Tensor


def load_anatomy(path: Path) -> LabeledHead:
    """Read a FreeSurfer-numbered label map of 1 mm voxels (any orientation)."""
    dseg = read_head(path).dseg.astype(np.int32)
    structures = to_structures(dseg)
    # Left and right share a tissue; what lies outside the brain keeps one tissue per id. Air
    # must come first: it is also what lies beyond the image.
    inside = FIRST_INSIDE + structures.astype(np.int32)
    keys, tissue = np.unique(np.where(structures > 0, inside, dseg), return_inverse=True)
    structure = np.where(keys > FIRST_INSIDE, keys - FIRST_INSIDE, 0)
    center = np.argwhere(structures > 0).mean(axis=0)
    properties = tuple(
        TISSUES[STRUCTURES[number]] if number else EXTRACEREBRAL.get(int(key), SOFT_TISSUE)
        for key, number in zip(keys.tolist(), structure.tolist(), strict=True)
    )
    tissue = tissue.reshape(dseg.shape)
    chi = np.array([one.chi for one in properties], np.float32)
    gradient = np.gradient(dipole_field(chi[tissue], (1.0, 1.0, 1.0)), axis=2)
    return LabeledHead(
        tissue=torch.from_numpy(tissue.astype(np.float32)),
        structure=torch.from_numpy(structure.astype(np.int64)),
        center=torch.from_numpy(center.astype(np.float32)),
        properties=properties,
        gradient=torch.from_numpy(gradient.astype(np.float32)),
    )


def random_intensities(
    anatomy: LabeledHead, contrast: Contrast, rng: np.random.Generator
) -> torch.Tensor:
    """Mean intensity per tissue, 0..1: roughly like the contrast, now and then at random.

    Parameters
    ----------
    anatomy
        Tissue of each voxel.
    contrast
        What the image is to look like.
    rng
        Draws them.
    """
    n = len(anatomy.properties)
    if rng.random() < 0.04:
        mean = rng.uniform(0, 1, n)
        if rng.random() < 0.5:
            mean[0] = rng.uniform(0, 0.05)
        return torch.from_numpy(mean.astype(np.float32))
    if contrast == Contrast.T1W:
        mean = np.array([tissue.t1w for tissue in anatomy.properties])
    else:
        echo_ms, fluid = rng.uniform(10, 45), rng.uniform(0.4, 1.5)
        density = np.array([t.proton_density for t in anatomy.properties]) * rng.uniform(
            0.85, 1.15, n
        )
        t2star_ms = np.array([t.t2star_ms for t in anatomy.properties]) * rng.uniform(0.7, 1.4, n)
        is_fluid = np.array([t.is_fluid for t in anatomy.properties])
        mean = np.where(is_fluid, fluid, density) * np.exp(-echo_ms / t2star_ms)
    jittered = np.clip(mean / mean.max() + rng.normal(0, 0.04, n), 0, 1)
    return torch.from_numpy(jittered.astype(np.float32))


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _random_affine(rng: np.random.Generator) -> torch.Tensor:
    """Rotation (+-10 degrees), scale, shear and flip; output mm offsets to input mm offsets."""
    matrix = rotation(rng.uniform(-10, 10, 3))
    shear = np.eye(3) + np.where(np.eye(3) > 0, 0, rng.uniform(-0.04, 0.04, (3, 3)))
    scale = np.diag(1 / (_uniform(rng, 0.85, 1.2) * rng.uniform(0.93, 1.07, 3)))
    if rng.random() < 0.5:
        scale[0, 0] *= -1
    return torch.from_numpy((matrix @ shear @ scale).astype(np.float32))


def _smooth_field(
    rng: np.random.Generator, channels: int, shape: Shape, every_mm: float
) -> torch.Tensor:
    """Smooth random field, standard normal at knots this far apart (mm)."""
    knots = [max(2, round(n * SPACING_MM / every_mm)) for n in shape]
    coarse = torch.from_numpy(rng.standard_normal((1, channels, *knots)).astype(np.float32))
    return F.interpolate(coarse, shape, mode="trilinear", align_corners=True)[0]


def _sample(volume: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Values of a volume of 1 mm voxels at points (mm), nearest neighbor; 0 beyond it."""
    extent = torch.tensor(volume.shape, dtype=torch.float32) - 1
    grid = (points / extent * 2 - 1).flip(-1)[None]
    return F.grid_sample(volume[None, None], grid, mode="nearest", align_corners=True)[0, 0]


def _degrade(image: torch.Tensor, contrast: Contrast, rng: np.random.Generator) -> torch.Tensor:
    """Thick slices or blur, bias field, noise; what a scanner does to a head."""
    volume = image[None, None]
    if rng.random() < THICK[contrast]:
        axis = 2 if rng.random() < AXIAL else int(rng.integers(2))
        size = list(image.shape)
        size[axis] = max(8, round(size[axis] / _uniform(rng, 1.5, 4.5)))
        volume = F.interpolate(volume, size, mode="area")
        volume = F.interpolate(volume, image.shape, mode="trilinear")
    elif rng.random() < 0.5:
        volume = F.avg_pool3d(F.pad(volume, (1, 1, 1, 1, 1, 1), mode="replicate"), 3, 1)
    bias = _smooth_field(rng, 1, _shape(image), 50)[0] * _uniform(rng, 0, 0.25)
    image = volume[0, 0] * bias.exp()
    noise = torch.from_numpy(rng.standard_normal(_shape(image), dtype=np.float32))
    return (image + noise * _uniform(rng, 0, 0.04)).clamp(min=0)


def synthesize(
    anatomy: LabeledHead, shape: Shape, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw one training pair, voxels of 2 mm.

    Parameters
    ----------
    anatomy
        Tissue and class of each voxel.
    shape
        Voxels along x, y and z.
    rng
        Draws pose, shape, contrast and artifacts.

    Returns
    -------
    channels, structures
        The network's input ``(contrasts, x, y, z)`` and classes of
        :data:`cmb_bidsapp.core.labels.STRUCTURES`, ``(x, y, z)``.
    """
    contrast = CONTRASTS[int(rng.integers(len(CONTRASTS)))]
    axes = [(torch.arange(n, dtype=torch.float32) - (n - 1) / 2) * SPACING_MM for n in shape]
    offset = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    warp = _smooth_field(rng, 3, shape, 32).permute(1, 2, 3, 0) * _uniform(rng, 0, 2.5)
    # A part may lie anywhere in the field.
    reach = SHIFT_MM + (np.array(FIELD_VOXELS) - shape) * SPACING_MM / 2
    shift = torch.from_numpy(rng.uniform(-reach, reach).astype(np.float32))
    points = (offset + warp + shift) @ _random_affine(rng).T + anatomy.center

    target = anatomy.structure[_sample(anatomy.tissue, points).long()]

    mean = random_intensities(anatomy, contrast, rng)
    spread = torch.from_numpy(rng.uniform(0, 0.05, len(mean)).astype(np.float32))
    spread[0] = 0.01
    # Partial volume: a voxel shows the mean of the tissues it covers.
    image = torch.zeros(shape)
    samples = 2
    for _ in range(samples):
        jitter = torch.from_numpy(rng.uniform(-1, 1, 3).astype(np.float32))
        tissue = _sample(anatomy.tissue, points + jitter).long()
        texture = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
        image += (mean[tissue] + texture * spread[tissue]) / samples
    if contrast == Contrast.T2STARW:
        turns = _uniform(rng, *DEPHASING) * _sample(anatomy.gradient, points)
        image *= torch.sinc(turns).abs()
    image = _degrade(image, contrast, rng)
    if rng.random() < 0.1:
        image = image * (target > 0)
    if rng.random() < 0.05:
        axis, size = int(rng.integers(1, 3)), int(rng.integers(10, 40))
        cut = [slice(None)] * 3
        cut[axis] = slice(0, size) if rng.random() < 0.5 else slice(-size, None)
        image[tuple(cut)] = 0
    image = normalize(image) ** math.exp(_uniform(rng, -0.25, 0.25))
    return as_input(image, contrast), target


def _shape(image: torch.Tensor) -> Shape:
    x, y, z = image.shape
    return x, y, z


def segmentation_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus soft Dice over the classes present, of one image.

    Parameters
    ----------
    logits
        Shape ``(classes, x, y, z)``.
    target
        Class of each voxel, shape ``(x, y, z)``.
    """
    classes = logits.shape[1]
    log_probability = logits.float().flatten(2)[0].log_softmax(0)
    target = target.flatten()
    log_right = log_probability.gather(0, target[None])[0]
    probability = log_probability.exp()
    overlap = torch.zeros(classes, device=logits.device).index_add(0, target, log_right.exp())
    truth = torch.bincount(target, minlength=classes)
    present = truth > 0
    dice = (2 * overlap[present] + 1) / (probability.sum(1)[present] + truth[present] + 1)
    return 1 - log_right.mean() - dice.mean()


def start_from_shares(network: torch.nn.Module, anatomies: Sequence[LabeledHead]) -> None:
    """Set the last bias to the share of each class, which Adam would take hundreds of steps for.

    Parameters
    ----------
    network
        Changed in place.
    anatomies
        Those that it is trained on.
    """
    rng = np.random.default_rng(0)
    counts = torch.ones(len(STRUCTURES))
    for anatomy in anatomies[:4]:
        _, target = synthesize(anatomy, FIELD_VOXELS, rng)
        counts += torch.bincount(target.flatten(), minlength=len(STRUCTURES))
    decoder: Any = network.decoder
    with torch.no_grad():
        decoder.seg_layers[-1].bias.copy_((counts / counts.sum()).log())


def train_anatomy(
    label_maps: Sequence[Path],
    checkpoint: Path,
    *,
    steps: int,
    seed: int = 0,
    device: str = "cpu",
    start_from: Bundle | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> dict[str, torch.Tensor]:
    """Train, resuming from ``checkpoint`` where it exists, and return the weights.

    Parameters
    ----------
    label_maps
        FreeSurfer-numbered heads, 1 mm.
    checkpoint
        File that is rewritten every 50 steps.
    steps
        Length of the whole schedule (AdamW, one cycle).
    seed
        A training that goes on from a model should not see the same images again.
    device
        Device of torch, such as ``cpu`` or ``cuda:0``.
    start_from
        Weights to start from instead of random ones.
    progress
        Called with the step and the smoothed loss.
    """
    anatomies = [load_anatomy(path) for path in label_maps]
    rate = FIRST_RATE if start_from is None else FINE_TUNE_LR
    torch.manual_seed(seed)
    network = build_network(ANATOMY_ARCHITECTURE)
    if start_from is None:
        start_from_shares(network, anatomies)
    else:
        start_from.load_into(network)
    network.to(device)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=1e-4
    )
    first, smoothed = 0, float("nan")
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        first, smoothed = state["step"], state["loss"]
        log.warning("resumed %s at step %d", checkpoint, first)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        rate,
        total_steps=steps + 1,
        pct_start=0.15,
        cycle_momentum=False,
        last_epoch=first - 1,
    )
    network.train()
    for step in range(first, steps):
        rng = np.random.default_rng((seed, step))
        shape = PART_VOXELS if step < (1 - FIELD_SHARE) * steps else FIELD_VOXELS
        channels, target = synthesize(anatomies[int(rng.integers(len(anatomies)))], shape, rng)
        with fast_arithmetic(device):
            logits = network(channels[None].to(device))
        loss = segmentation_loss(logits, target[None].to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        value = float(loss.detach())
        smoothed = value if math.isnan(smoothed) else 0.98 * smoothed + 0.02 * value
        if progress is not None:
            progress(step + 1, smoothed)
        if (step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == steps:
            state = {
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "step": step + 1,
                "loss": smoothed,
            }
            beside = checkpoint.with_suffix(".partial")
            torch.save(state, beside)
            beside.replace(checkpoint)
    weights: dict[str, torch.Tensor] = network.state_dict()
    return weights
