"""The anatomy network: brain and structures of a head in T1w or T2*w.

Each contrast has an input channel of its own; the other one is zero. A network that must find out
by itself whether gray matter is the darker or the brighter one learns an order of magnitude more
slowly, and the app always knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from scipy import ndimage

from cmb_bidsapp.anatomy.pieces import largest_piece
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.core.contrast import Contrast
from cmb_bidsapp.core.labels import STRUCTURES, structure_classes
from cmb_bidsapp.models.device import inference_on
from cmb_bidsapp.models.registry import Bundle
from cmb_bidsapp.preprocess.resampling import Grid, isotropic_grid, resample

#: Contrasts the network knows, in the order of its input channels.
CONTRASTS = (Contrast.T1W, Contrast.T2STARW)

#: Voxel size the network works at, in mm.
SPACING_MM = 2.0

#: Bridges up to twice this thick (in voxels) do not belong to the brain.
BRIDGE_VOXELS = 2

#: The inside of a brain is this likely to be brain; nose and orbits are called so in doubt only.
SURE = 0.9
#: As far (in voxels) as the brain grows from what is sure: back over a bridge's half width, and
#: over a rim of a voxel or two that is never sure.
RIM_VOXELS = BRIDGE_VOXELS + 2

#: Field of the second look, in voxels of 2 mm, and how far it is centered above the deep nuclei.
FIELD_VOXELS = (96, 112, 96)
FIELD_LIFT_MM = 8.0
DEEP_STRUCTURES = ("thalamus", "putamen", "pallidum", "ventral-dc", "third-ventricle")

#: A plain 3D U-Net; :func:`build_network` turns these values into a module.
ANATOMY_ARCHITECTURE: MappingProxyType[str, Any] = MappingProxyType(
    {
        "in_channels": len(CONTRASTS),
        "classes": len(STRUCTURES),
        "features": (16, 32, 64, 96, 96),
        "convolutions": (2, 2, 2, 2, 2),
    }
)


def build_network(architecture: Mapping[str, Any]) -> torch.nn.Module:
    """Build the U-Net that ``architecture`` describes, with untrained weights."""
    features = list(architecture["features"])
    stages = len(features)
    convolutions = list(architecture["convolutions"])
    network: torch.nn.Module = PlainConvUNet(
        input_channels=architecture["in_channels"],
        n_stages=stages,
        features_per_stage=features,
        conv_op=torch.nn.Conv3d,
        kernel_sizes=[[3, 3, 3]] * stages,
        strides=[[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
        n_conv_per_stage=convolutions,
        num_classes=architecture["classes"],
        n_conv_per_stage_decoder=convolutions[:-1],
        conv_bias=False,
        norm_op=torch.nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=torch.nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    )
    network.apply(PlainConvUNet.initialize)
    return network


def normalize(image: torch.Tensor) -> torch.Tensor:
    """Scale the 1st to 99th percentile of the non-zero voxels to 0..1 and clip there."""
    inside = image[image > 0]
    if inside.numel() < 2:
        return torch.zeros_like(image)
    # torch.quantile refuses large inputs; a strided sample is as good.
    sample = inside[:: max(1, inside.numel() // 200_000)]
    low, high = torch.quantile(sample, torch.tensor([0.01, 0.99], device=image.device))
    scaled: torch.Tensor = ((image - low) / (high - low + 1e-6)).clamp(0, 1)
    return scaled


def as_input(image: torch.Tensor, contrast: Contrast) -> torch.Tensor:
    """Put a normalized image ``(x, y, z)`` into its channel: ``(contrasts, x, y, z)``.

    Parameters
    ----------
    image
        Brightness as :func:`normalize` leaves it.
    contrast
        Says which channel; the others are 0.
    """
    channels = image.new_zeros((len(CONTRASTS), *image.shape))
    channels[CONTRASTS.index(contrast)] = image
    return channels


@dataclass(frozen=True)
class AnatomySegmentation:
    """What the network sees in a head.

    Attributes
    ----------
    probabilities
        Softmax per class of :data:`~cmb_bidsapp.core.labels.STRUCTURES`,
        shape ``(classes, x, y, z)``.
    grid
        Its voxels: 2 mm, axes along the image's own, closest to RAS.
    """

    probabilities: npt.NDArray[np.float32]
    grid: Grid

    @property
    def structures(self) -> npt.NDArray[np.uint8]:
        """The most likely class of every voxel."""
        classes: npt.NDArray[np.intp] = self.probabilities.argmax(axis=0)
        return classes.astype(np.uint8)

    def brain_mask(self, target: Grid) -> npt.NDArray[np.bool_]:
        """Brain with its CSF on another grid: the largest compact piece, holes filled."""
        brain = 1 - self.probabilities[0]
        likely = brain > 0.5
        # Thin bridges to scalp and neck are cut before the largest piece is taken, and the brain
        # goes no farther from its sure inside than its rim is wide.
        certain = brain > SURE
        cores = [ndimage.binary_erosion(m, iterations=BRIDGE_VOXELS) for m in (certain, likely)]
        largest = largest_piece(next((core for core in cores if core.any()), likely))
        if not largest.any():
            return np.zeros(target.shape, np.bool_)
        largest = ndimage.binary_dilation(largest, iterations=RIM_VOXELS, mask=likely)
        largest = ndimage.binary_fill_holes(largest)
        # Other pieces are dropped, the soft edge of the largest is kept.
        edge = ndimage.binary_dilation(largest, iterations=2) & ~likely
        soft = np.where(largest, np.maximum(brain, 0.5 + 1e-3), np.where(edge, brain, 0))
        mask: npt.NDArray[np.bool_] = resample(soft, self.grid.affine, target) > 0.5
        return mask


def _around_deep_structures(anatomy: AnatomySegmentation) -> Grid | None:
    """A field around the middle of the brain, where the image shows much more than a head."""
    size = np.array(FIELD_VOXELS)
    shape = np.array(anatomy.grid.shape)
    deep = np.isin(anatomy.structures, structure_classes(DEEP_STRUCTURES))
    if not deep.any():
        return None
    largest = largest_piece(deep)
    middle = np.argwhere(largest).mean(axis=0) + np.array([0, 0, FIELD_LIFT_MM / SPACING_MM])
    first = np.round(middle - size / 2).astype(int)
    # Along axes where the image is no larger than the field, all of it is kept.
    first = np.where(shape <= size, 0, np.clip(first, 0, np.maximum(shape - size, 0)))
    return anatomy.grid.part(first, np.minimum(shape, size))


class AnatomyNetwork:
    """The network with its weights, loaded once and used for every image."""

    def __init__(self, bundle: Bundle, device: str = "cpu") -> None:
        self.model = bundle.name
        self.device = torch.device(device)
        self.network = build_network(bundle.card.architecture)
        bundle.load_into(self.network)
        self.network.to(self.device).eval()

    def __call__(self, head: Volume[np.float32], contrast: Contrast) -> AnatomySegmentation:
        """Segment a head or a skull-stripped brain.

        Parameters
        ----------
        head
            Brightness in any unit, any voxel size and orientation.
        contrast
            What the image is weighted with.
        """
        # 16: four halvings inside the network.
        grid = isotropic_grid(Grid.of(head.data, head.affine), SPACING_MM, multiple=16)
        if (np.array(grid.shape) <= FIELD_VOXELS).all():
            return self._segment(head, grid, contrast)
        # Where the brain lies needs no second opinion.
        overview = self._segment(head, grid, contrast, mirrored=False)
        # Necks and shoulders mislead; a second look is at a field like those of the training.
        closer = _around_deep_structures(overview)
        return self._segment(head, grid if closer is None else closer, contrast)

    def _segment(
        self,
        head: Volume[np.float32],
        grid: Grid,
        contrast: Contrast,
        *,
        mirrored: bool = True,
    ) -> AnatomySegmentation:
        volume = torch.from_numpy(resample(head.data, head.affine, grid, smooth=True))
        image = as_input(normalize(volume), contrast).to(self.device)[None]
        with torch.inference_mode(), inference_on(self.device):
            logits = self.network(image)
            if mirrored:
                # The classes have no side, so the mirror image is a second opinion.
                logits = (logits + self.network(image.flip(2)).flip(2)) / 2
        probabilities = logits[0].float().softmax(0)
        return AnatomySegmentation(probabilities.cpu().numpy(), grid)
