"""nnU-Net inference: T2*w and T1w in, class probabilities on the T2*w grid out."""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.affines import voxel_sizes

from cmb_bidsapp.core.errors import ModelError
from cmb_bidsapp.core.labels import CMB
from cmb_bidsapp.lesions.slabs import SLAB_MM, from_slabs, slices_in_slab, to_slabs
from cmb_bidsapp.models.classes import Classes
from cmb_bidsapp.models.nnunet import LesionModel
from cmb_bidsapp.models.weights import copied, load_into
from cmb_bidsapp.preprocess.resampling import slice_axis

if TYPE_CHECKING:
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    from cmb_bidsapp.lesions.second_look import SecondLook

#: Slice distance our own networks are told, whatever it is: slices are never resampled, so no
#: lesion is lost between them. Those networks see slices of all distances in training.
NOMINAL_SLICE_MM = 5.0

#: Overlapping windows advance by this share of their size: nnU-Net's own 0.5 takes twice as long.
TILE_STEP = 0.75

#: Voxels this many times larger or smaller than any of the training are worth a note.
UNFAMILIAR = 1.3

Affine = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Segmentation:
    """Result on the T2*w grid.

    Attributes
    ----------
    labels
        0 background, 1 lobar, 2 deep, 3 infratentorial, 4 CMB; 0 and 4 only where the model
        does not predict regions.
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


def slice_distance(affine: Affine) -> float:
    """Voxel size in mm across the slices."""
    return float(voxel_sizes(affine)[slice_axis(affine)])


def slices_are(affine: Affine) -> str:
    """How slices lie: ``sagittal``, ``coronal`` or ``axial``.

    >>> slices_are(np.diag([0.5, 4.0, 0.5, 1.0])), slices_are(np.diag([1.0, 1.0, 1.0, 1.0]))
    ('coronal', 'axial')
    """
    return ("sagittal", "coronal", "axial")[_network_axes(affine)[0]]


def _network_axes(affine: Affine) -> list[int]:
    """World axes in the order of the network: across the slices, then of z, y, x the other two."""
    across = int(nib.orientations.io_orientation(affine)[slice_axis(affine), 0])
    return [across, *(axis for axis in (2, 1, 0) if axis != across)]


def network_order(
    data: npt.NDArray[Any], affine: Affine, slice_mm: float | None = NOMINAL_SLICE_MM
) -> tuple[npt.NDArray[Any], tuple[float, float, float]]:
    """Reorient an image to RAS and reorder it to the network's axes.

    The first is across the slices, which are never resampled: (z, y, x) for axial ones, (y, z, x)
    for coronal and (x, z, y) for sagittal ones.

    Parameters
    ----------
    slice_mm
        Slice distance to be told instead of the true one; ``None`` tells the true one.

    Returns
    -------
    data, spacing
        Spacing in mm in the same order.
    """
    orientation = nib.orientations.io_orientation(affine)
    ras = nib.orientations.apply_orientation(data, orientation)
    axes = _network_axes(affine)
    across, down, along = (ras_zooms(affine)[axis] for axis in axes)
    spacing = (across if slice_mm is None else slice_mm, down, along)
    return np.ascontiguousarray(ras.transpose(axes)), spacing


def image_order(data: npt.NDArray[Any], affine: Affine) -> npt.NDArray[Any]:
    """Inverse of :func:`network_order`."""
    ras = data.transpose(np.argsort(_network_axes(affine)))
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
    across, *in_plane = _network_axes(affine)
    zooms = ras_zooms(affine)
    found = []
    sizes = {"in_plane_mm": max(zooms[axis] for axis in in_plane), "slice_mm": zooms[across]}
    for key, name in (("in_plane_mm", "in plane"), ("slice_mm", "apart")):
        size = sizes[key]
        low, high = training[key]
        if not low / UNFAMILIAR <= size <= high * UNFAMILIAR:
            found.append(
                f"voxels are {size:.2g} mm {name}, the lesion model was trained on "
                f"{low:.2g} to {high:.2g} mm: expect more errors"
            )
    return found


def class_map(
    probabilities: npt.NDArray[np.floating[Any]], classes: Classes
) -> npt.NDArray[np.uint8]:
    """Most probable of background, regions and CMB at every voxel.

    Parameters
    ----------
    probabilities
        Shape ``(channels, ...)``; channels that are none of these (mimics, say) never win.

    Returns
    -------
    labels
        0 background, 1 to 3 regions, :data:`cmb_bidsapp.core.labels.CMB`.
    """
    channels = [0, *classes.regions.values(), classes.cmb]
    values = np.array([0, *classes.regions, CMB], np.uint8)
    labels: npt.NDArray[np.uint8] = values[probabilities[channels].argmax(axis=0)]
    return labels


def with_regions(
    labels: npt.NDArray[np.uint8], proxy: npt.NDArray[np.integer[Any]]
) -> npt.NDArray[np.uint8]:
    """Classes of a model that predicts no regions, completed by those of the anatomy."""
    return np.where(labels == CMB, labels, proxy).astype(np.uint8)


class LesionNetwork:
    """The nnU-Net with its weights, loaded once and used for every session."""

    def __init__(
        self,
        model: LesionModel,
        device: str = "cpu",
        *,
        mirror: bool = True,
        slab_mm: float = SLAB_MM,
    ) -> None:
        import torch
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        self._card, self._classes = model.card, model.classes
        self._device = torch.device(device)
        self._slab_mm = slab_mm
        self._second_look = _second_look(model)
        # nnU-Net changes plans of its first years in place.
        plans = PlansManager(copy.deepcopy(dict(model.plans)))
        with contextlib.redirect_stdout(io.StringIO()):
            self._predictor: nnUNetPredictor = nnUNetPredictor(
                tile_step_size=TILE_STEP,
                use_mirroring=mirror and bool(model.card.mirror_axes),
                device=self._device,
                allow_tqdm=False,
            )
            configuration = plans.get_configuration(model.card.configuration)
            network = _build(configuration, model)
        self._predictor.manual_initialization(
            network,
            plans,
            configuration,
            _parameters(network, model),
            dict(model.dataset),
            model.card.trainer,
            model.card.mirror_axes,
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
            Skull-stripped and bias-corrected, both on the T2*w grid; without a T1w its channel,
            where the model has one, is blank, as in part of our own training.
        affine
            Voxel to world (mm) of that grid.
        """
        given = {"T2starw": t2star, "T1w": np.zeros_like(t2star) if t1w is None else t1w}
        ordered = [
            network_order(given[contrast], affine, self._card.nominal_slice_mm)
            for contrast in self._card.channels
        ]
        stack, spacing = np.stack([data for data, _ in ordered]), ordered[0][1]
        # Networks that are told the true slice distance resample by themselves.
        told = self._card.nominal_slice_mm is not None
        slices = slices_in_slab(slice_distance(affine), self._slab_mm) if told else 1
        probabilities = self._in_slabs(stack, spacing, slices)
        if self._second_look is not None:
            image = ordered[self._card.channels.index("T2starw")][0]
            seen = probabilities[self._classes.cmb]
            again = self._look_again(image, seen, ras_zooms(affine))
            probabilities = with_lesions(probabilities, self._classes.cmb, again)
        return Segmentation(
            image_order(class_map(probabilities, self._classes), affine),
            image_order(probabilities[self._classes.cmb], affine).astype(np.float32),
        )

    def _look_again(
        self,
        t2star: npt.NDArray[np.floating[Any]],
        probability: npt.NDArray[np.floating[Any]],
        voxel: tuple[float, float, float],
    ) -> npt.NDArray[np.float32]:
        """CMB probability after the second look; arrays in network order, voxel size in mm."""
        # Keeps torch off the command line's path.
        from cmb_bidsapp.lesions.second_look import look_again

        assert self._second_look is not None
        image, seen = (data.transpose(2, 1, 0).astype(np.float32) for data in (t2star, probability))
        return look_again(self._second_look, image, seen, voxel).transpose(2, 1, 0)

    def _in_slabs(
        self, stack: npt.NDArray[np.float32], spacing: tuple[float, float, float], slices: int
    ) -> npt.NDArray[np.floating[Any]]:
        """Class probabilities of every slice, averaged in groups that begin at every slice.

        Regions are the mean of the passes. A microbleed keeps the largest probability: that of
        the groups it lies in, not beside.
        """
        if slices == 1:
            return self._predict(stack, spacing)
        depth, cmb = stack.shape[1], self._classes.cmb
        probabilities: npt.NDArray[np.floating[Any]] | None = None
        for first in range(slices):
            found = self._predict(to_slabs(stack, slices, first), spacing)
            found = from_slabs(found, slices, first, depth) / slices
            if probabilities is None:
                probabilities = found
                continue
            most = np.maximum(probabilities[cmb], found[cmb])
            probabilities += found
            probabilities[cmb] = most
        assert probabilities is not None
        probabilities[cmb] *= slices
        return probabilities

    def _predict(
        self, stack: npt.NDArray[np.floating[Any]], spacing: tuple[float, float, float]
    ) -> npt.NDArray[np.floating[Any]]:
        import torch

        with torch.autocast(self._device.type, dtype=torch.bfloat16):
            _, probabilities = self._predictor.predict_single_npy_array(
                stack, {"spacing": list(spacing)}, save_or_return_probabilities=True
            )
        found: npt.NDArray[np.floating[Any]] = probabilities
        return found


def with_lesions(
    probabilities: npt.NDArray[np.floating[Any]],
    cmb: int,
    probability: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Class probabilities with another one for microbleeds; what is left is shared as before.

    Parameters
    ----------
    probabilities
        Shape ``(classes, ...)``, in each voxel 1 in all.
    cmb, probability
        Which class microbleeds are, and their new probability.
    """
    others = np.maximum(1 - probabilities[cmb].astype(np.float32), 1e-6)
    changed: npt.NDArray[np.float32] = probabilities * ((1 - probability) / others)
    changed[cmb] = probability
    return changed


def _second_look(model: LesionModel) -> SecondLook | None:
    """The network that judges candidates, where the model has one."""
    if model.second_look is None:
        return None
    # Keeps torch off the command line's path.
    from cmb_bidsapp.lesions.second_look import SecondLook

    path, weights = model.second_look
    network = SecondLook()
    load_into(network, weights, path)
    network.eval()
    return network


def _build(configuration: Any, model: LesionModel) -> torch.nn.Module:
    """Build the network that the (checked) plans describe."""
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    try:
        network: torch.nn.Module = get_network_from_plans(
            configuration.network_arch_class_name,
            configuration.network_arch_init_kwargs,
            configuration.network_arch_init_kwargs_req_import,
            len(model.card.channels),
            len(model.card.labels),
            deep_supervision=False,
        )
    except MemoryError:
        raise
    except Exception as error:
        raise ModelError(f"plans.json of {model.name} does not describe a network") from error
    return network


def _parameters(network: torch.nn.Module, model: LesionModel) -> list[Mapping[str, torch.Tensor]]:
    """Tensors of every fold under all names that the network has for them."""
    parameters = []
    for path, weights in model.weights.items():
        load_into(network, weights, path)
        whole = weights.keys() == network.state_dict().keys()
        parameters.append(weights if whole else copied(network.state_dict()))
    return parameters
