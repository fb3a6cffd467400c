"""nnU-Net inference: T2*w and T1w in, class probabilities on the T2*w grid out."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.affines import voxel_sizes

from cmb_bidsapp.labels import CMB

if TYPE_CHECKING:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    from cmb_bidsapp.models.registry import Bundle

#: Slice distance the network is told, whatever it is: slices are never resampled, so no lesion
#: is lost between them. The network sees slices of all distances in training.
NOMINAL_SLICE_MM = 5.0

#: Voxels this many times larger or smaller than any of the training are worth a note.
UNFAMILIAR = 1.3

Affine = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Segmentation:
    """Result on the T2*w grid.

    Attributes
    ----------
    labels
        0 background, 1 lobar, 2 deep, 3 infratentorial, 4 CMB.
    cmb_probability
        Softmax of the CMB class, 0..1.
    """

    labels: npt.NDArray[np.uint8]
    cmb_probability: npt.NDArray[np.float32]


def ras_zooms(affine: Affine) -> tuple[float, float, float]:
    """Voxel size in mm along the axes nearest to x, y and z."""
    axes = nib.orientations.io_orientation(affine)[:, 0]
    x, y, z = (float(zoom) for zoom in voxel_sizes(affine)[np.argsort(axes)])
    return x, y, z


def network_order(
    data: npt.NDArray[Any], affine: Affine
) -> tuple[npt.NDArray[Any], tuple[float, float, float]]:
    """Reorient an image to RAS and reorder it to the network's axes (z, y, x).

    Returns
    -------
    data, spacing
        Spacing in mm in the same order; along z always :data:`NOMINAL_SLICE_MM`.
    """
    orientation = nib.orientations.io_orientation(affine)
    ras = nib.orientations.apply_orientation(data, orientation)
    x, y, _ = ras_zooms(affine)
    spacing = (NOMINAL_SLICE_MM, y, x)
    return np.ascontiguousarray(ras.transpose(2, 1, 0)), spacing


def image_order(data: npt.NDArray[Any], affine: Affine) -> npt.NDArray[Any]:
    """Inverse of :func:`network_order`."""
    ras = data.transpose(2, 1, 0)
    to_ras = nib.orientations.io_orientation(affine)
    canonical = np.array([[0, 1], [1, 1], [2, 1]])
    back = nib.orientations.ornt_transform(canonical, to_ras)
    restored: npt.NDArray[Any] = nib.orientations.apply_orientation(ras, back)
    return restored


def unfamiliar_voxels(affine: Affine, training: Mapping[str, Any]) -> list[str]:
    """Say where the voxels of an image are far from all of the training.

    Parameters
    ----------
    training
        ``in_plane_mm`` and ``slice_mm``: smallest and largest voxel size of the training images.
    """
    x, y, z = ras_zooms(affine)
    found = []
    for key, name, size in (("in_plane_mm", "in plane", max(x, y)), ("slice_mm", "apart", z)):
        low, high = training[key]
        if not low / UNFAMILIAR <= size <= high * UNFAMILIAR:
            found.append(
                f"voxels are {size:.2g} mm {name}, the lesion model was trained on "
                f"{low:.2g} to {high:.2g} mm: expect more errors"
            )
    return found


class LesionNetwork:
    """The nnU-Net with its weights, loaded once and used for every session."""

    def __init__(self, bundle: Bundle, device: str = "cpu", *, mirror: bool = True) -> None:
        import torch
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
        from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        self._device = torch.device(device)
        self._plans = PlansManager(bundle.json("plans.json"))
        self._configuration = self._plans.get_configuration(bundle.card["configuration"])
        self._dataset = bundle.json("dataset.json")
        network = get_network_from_plans(
            self._configuration.network_arch_class_name,
            self._configuration.network_arch_init_kwargs,
            self._configuration.network_arch_init_kwargs_req_import,
            len(self._dataset["channel_names"]),
            self._plans.get_label_manager(self._dataset).num_segmentation_heads,
            deep_supervision=False,
        )
        bundle.load_into(network)
        with contextlib.redirect_stdout(io.StringIO()):
            self._predictor: nnUNetPredictor = nnUNetPredictor(
                use_mirroring=mirror, device=self._device, allow_tqdm=False
            )
        self._predictor.manual_initialization(
            network,
            self._plans,
            self._configuration,
            [network.state_dict()],
            self._dataset,
            bundle.card["trainer"],
            tuple(bundle.card["mirror_axes"]),
        )

    def __call__(
        self,
        t2star: npt.NDArray[np.float32],
        t1w: npt.NDArray[np.float32] | None,
        affine: Affine,
    ) -> Segmentation:
        """Segment one session.

        Parameters
        ----------
        t2star, t1w
            Skull-stripped and bias-corrected, both on the T2*w grid; without a T1w its channel
            is blank, as in part of the training.
        affine
            Voxel to world (mm) of that grid.
        """
        import torch

        channels = [t2star, np.zeros_like(t2star) if t1w is None else t1w]
        ordered = [network_order(channel, affine) for channel in channels]
        stack, spacing = np.stack([data for data, _ in ordered]), ordered[0][1]
        with torch.autocast(self._device.type, dtype=torch.bfloat16):
            labels, probabilities = self._predictor.predict_single_npy_array(
                stack, {"spacing": list(spacing)}, save_or_return_probabilities=True
            )
        return Segmentation(
            image_order(labels, affine).astype(np.uint8),
            image_order(probabilities[CMB], affine).astype(np.float32),
        )
