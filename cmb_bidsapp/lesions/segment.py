"""nnU-Net inference: T2*w and T1w in, class probabilities on the T2*w grid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cmb_bidsapp.core.arrays import Affine
from cmb_bidsapp.core.labels import CMB
from cmb_bidsapp.lesions.axes import (
    image_order,
    in_network_order,
    network_axes,
    network_order,
    ras_zooms,
    slice_distance,
    slices_are,
)
from cmb_bidsapp.lesions.slabs import SLAB_MM, from_slabs, slices_in_slab, to_slabs
from cmb_bidsapp.models.classes import Classes
from cmb_bidsapp.models.nnunet import LesionModel
from cmb_bidsapp.models.weights import Tensors, load_into

if TYPE_CHECKING:  # torch
    from cmb_bidsapp.lesions.second_look import SecondLook

#: Dark spots are looked for where the background is less probable than this.
TISSUE = 0.5


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


def class_map(
    probabilities: npt.NDArray[np.floating[Any]], classes: Classes
) -> npt.NDArray[np.uint8]:
    """Most probable of background, regions and CMB at every voxel.

    Parameters
    ----------
    probabilities
        Shape ``(channels, ...)``; channels that are none of these (mimics, say) never win.
    classes
        Which channel is what.

    Returns
    -------
    labels
        0 background, 1 to 3 regions, :data:`cmb_bidsapp.core.labels.CMB`.
    """
    channels = [0, *classes.regions.values(), classes.cmb]
    values = np.array([0, *classes.regions, CMB], np.uint8)
    labels: npt.NDArray[np.uint8] = values[probabilities[channels].argmax(axis=0)]
    return labels


def why_not_its_regions(classes: Classes, affine: Affine) -> str | None:
    """Why regions of the anatomy take the place of a model's; ``None`` where its own are used.

    Parameters
    ----------
    classes
        Classes of the lesion model.
    affine
        From voxels to RAS mm: it says which way the slices lie.
    """
    if not classes.regions:
        return "the lesion model predicts no brain regions"
    lie = slices_are(affine)
    if lie != "axial":
        # A microbleed looks the same from everywhere, a region does not.
        return f"slices are {lie}; the lesion model may be less accurate (expect more errors)"
    return None


def with_regions(
    labels: npt.NDArray[np.uint8], proxy: npt.NDArray[np.integer[Any]]
) -> npt.NDArray[np.uint8]:
    """Classes of a model without regions, completed by those of the anatomy on the same grid.

    Parameters
    ----------
    labels
        Predicted classes: 0, or that of microbleeds; shape ``(x, y, z)``.
    proxy
        Proxy classes of the anatomy on the same grid.
    """
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
        # torch: the parent process, which only compares stamps, does without it.
        import torch

        from cmb_bidsapp.lesions.tiles import make_predictor

        self._card, self._classes = model.card, model.classes
        self._device = torch.device(device)
        self._slab_mm = slab_mm
        self._second_look = second_look_of(model.second_look)
        self._predictor = make_predictor(model, self._device, mirror=mirror)

    def __call__(
        self,
        t2star: npt.NDArray[np.float32],
        t1w: npt.NDArray[np.float32] | None,
        affine: Affine,
        around: npt.NDArray[np.floating[Any]] | None = None,
        tissues: npt.NDArray[np.uint8] | None = None,
    ) -> Segmentation:
        """Segment one session.

        Parameters
        ----------
        t2star, t1w
            Skull-stripped and bias-corrected, both on the T2*w grid; without a T1w its channel,
            where the model has one, is blank, as in part of our own training.
        affine
            Voxel to world (mm) of that grid.
        around
            Voxels, shape ``(n, 3)``: one window around each is all that is looked at, the rest
            becomes background. Without it, the whole image.
        tissues
            What surrounds a place, for the second look (:mod:`cmb_bidsapp.lesions.tissues`), on the
            same grid; ``None`` where nobody knows.
        """
        given = {"T2starw": t2star, "T1w": np.zeros_like(t2star) if t1w is None else t1w}
        ordered = [
            network_order(given[contrast], affine, self._card.nominal_slice_mm)
            for contrast in self._card.channels
        ]
        stack, spacing = np.stack([data for data, _ in ordered]), ordered[0][1]
        centers = None if around is None else in_network_order(around, t2star.shape, affine)
        probabilities = self._in_slabs(stack, spacing, self._slices(affine), centers)
        if self._second_look is not None:
            image = ordered[self._card.channels.index("T2starw")][0]
            zooms = ras_zooms(affine)
            across, down, along = (zooms[axis] for axis in network_axes(affine))
            known = None if tissues is None else network_order(tissues, affine)[0]
            again = self._look_again(image, probabilities, (along, down, across), known)
            probabilities = with_lesions(probabilities, self._classes.cmb, again)
        return Segmentation(
            image_order(class_map(probabilities, self._classes), affine),
            image_order(probabilities[self._classes.cmb], affine).astype(np.float32),
        )

    def _slices(self, affine: Affine) -> int:
        """Slices that are averaged before the network sees them."""
        # Networks that are told the true slice distance resample by themselves.
        told = self._card.nominal_slice_mm is not None
        return slices_in_slab(slice_distance(affine), self._slab_mm) if told else 1

    def window(self, affine: Affine) -> tuple[float, float, float]:
        """Voxels that a window of the network spans along the axes nearest to x, y and z.

        ``inf`` along an axis that it has no limit in.
        """
        axes = network_axes(affine)
        across, down, along = (ras_zooms(affine)[axis] for axis in axes)
        nominal = self._card.nominal_slice_mm
        told = (across if nominal is None else nominal / self._slices(affine), down, along)
        planned = self._planned(told)
        spans = np.empty(3)
        spans[axes] = np.where(planned > 0, planned, np.inf)
        x, y, z = spans.tolist()
        return x, y, z

    def _look_again(
        self,
        t2star: npt.NDArray[np.floating[Any]],
        probabilities: npt.NDArray[np.floating[Any]],
        voxel: tuple[float, float, float],
        tissues: npt.NDArray[np.uint8] | None,
    ) -> npt.NDArray[np.float32]:
        """CMB probability after the second look; arrays in network order.

        The voxel size (mm) is that of the axes the other way round: across the slices last.
        """
        # torch, as above.
        from cmb_bidsapp.lesions.proposals import look_again

        assert self._second_look is not None
        seen = probabilities[self._classes.cmb]
        image, seen = (data.transpose(2, 1, 0).astype(np.float32) for data in (t2star, seen))
        within = None
        if self._card.dark_spots:
            # Places that a network of regions was not asked about are background to it.
            known = probabilities[0].transpose(2, 1, 0) < TISSUE
            within = known if self._classes.regions else image > 0
        tissues = None if tissues is None else tissues.transpose(2, 1, 0)
        again = look_again(self._second_look, image, seen, voxel, within, tissues)
        return again.transpose(2, 1, 0)

    def _in_slabs(
        self,
        stack: npt.NDArray[np.float32],
        spacing: tuple[float, float, float],
        slices: int,
        centers: npt.NDArray[np.float64] | None,
    ) -> npt.NDArray[np.floating[Any]]:
        """Class probabilities of every slice, averaged in groups that begin at every slice.

        Regions are the mean of the passes. A microbleed keeps the largest probability: that of
        the groups it lies in, not beside.
        """
        if slices == 1:
            return self._predict(stack, spacing, centers)
        depth, cmb = stack.shape[1], self._classes.cmb
        probabilities: npt.NDArray[np.floating[Any]] | None = None
        for first in range(slices):
            grouped = None
            if centers is not None:
                grouped = (centers + np.array([first, 0, 0])) / np.array([slices, 1, 1])
            found = self._predict(to_slabs(stack, slices, first), spacing, grouped)
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
        self,
        stack: npt.NDArray[np.floating[Any]],
        spacing: tuple[float, float, float],
        centers: npt.NDArray[np.float64] | None,
    ) -> npt.NDArray[np.floating[Any]]:
        # torch, as above.
        from cmb_bidsapp.lesions.tiles import shares_of

        # A scan thinner than a window goes on as it ends: nnU-Net would fill the window with
        # nothing, in which it takes the last slices of a brain that is cut there for its surface.
        depth = stack.shape[1]
        lacking = max(0, int(self._planned(spacing)[0]) - depth)
        before = lacking // 2
        filled = np.pad(stack, ((0, 0), (before, lacking - before), (0, 0), (0, 0)), mode="edge")
        if centers is not None:
            centers = centers + np.array([before, 0, 0])
        self._predictor.places = None if centers is None else shares_of(centers, filled)
        _, probabilities = self._predictor.predict_single_npy_array(
            filled, {"spacing": list(spacing)}, save_or_return_probabilities=True
        )
        found: npt.NDArray[np.floating[Any]] = probabilities[:, before : before + depth]
        return found

    def _planned(self, spacing: Sequence[float]) -> npt.NDArray[np.float64]:
        """Voxels of such a spacing (network order) that a window spans; 0 along what it lacks."""
        configuration, plans = self._predictor.configuration_manager, self._predictor.plans_manager
        planned = np.array(configuration.patch_size) * np.array(configuration.spacing)
        sides = np.zeros(3)
        sides[np.array(plans.transpose_forward)[3 - len(planned) :]] = planned
        spans: npt.NDArray[np.float64] = sides / np.array(spacing)
        return spans


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


def second_look_of(read: tuple[Path, Tensors] | None) -> SecondLook | None:
    """The network that judges candidates, where a model has one.

    Parameters
    ----------
    read
        Its tensors, and the file that they are from.

    Raises
    ------
    ModelError
        They are of another network.
    """
    if read is None:
        return None
    # torch, as above.
    from cmb_bidsapp.lesions.second_look import Judge, Namer, SecondLook
    from cmb_bidsapp.lesions.views import BRIGHTNESS, CHANNELS

    path, weights = read
    count = len({key.split(".")[1] for key in weights if key.startswith("judges.")})
    first = [weights.get(f"judges.{number}.features.0.weight") for number in range(count)]
    # Judges that were trained before tissues were shown go by brightness alone.
    channels = [
        BRIGHTNESS if one is not None and one.shape[1:2] == (BRIGHTNESS,) else CHANNELS
        for one in first
    ]
    named = any(key.startswith("namer.") for key in weights)
    network = SecondLook([Judge(some) for some in channels], Namer() if named else None)
    load_into(network, weights, path)
    network.eval()
    return network
