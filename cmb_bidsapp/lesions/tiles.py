"""nnU-Net's sliding window, all over an image or only where one looks."""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from cmb_bidsapp.core.errors import ModelError
from cmb_bidsapp.models.device import inference_on
from cmb_bidsapp.models.nnunet import LesionModel
from cmb_bidsapp.models.weights import copied, load_into

#: Places in an image, each as shares (0..1) of its size along the axes.
Places = npt.NDArray[np.float64]

#: Overlapping windows advance by this share of their size: nnU-Net's own 0.5 takes twice as long.
TILE_STEP = 0.75

#: Log-odds of background against every other class where no window was.
NOT_SEEN = 20.0


class Predictor(nnUNetPredictor):  # type: ignore[misc]
    """nnU-Net's predictor; windows that hold nothing are not run.

    With places, only windows around these are.

    Attributes
    ----------
    places
        Middles of the windows, shape ``(n, 3)``, in the image that nnU-Net is given, cut to what
        is not 0; ``None`` is everywhere. What no window covers becomes background. Networks that
        look at single slices ignore it.
    """

    places: Places | None = None

    def _internal_get_sliding_window_slicers(self, image_size: Sequence[int]) -> list[Any]:
        window = tuple(self.configuration_manager.patch_size)
        if self.places is None or len(window) < len(image_size):
            slicers: list[Any] = super()._internal_get_sliding_window_slicers(image_size)
            return slicers
        order = list(self.plans_manager.transpose_forward)
        starts = window_starts(self.places[:, order], image_size, window)
        return [
            (slice(None), *(slice(s, s + w) for s, w in zip(start, window, strict=True)))
            for start in starts
        ]

    def _internal_predict_sliding_window_return_logits(
        self, data: torch.Tensor, slicers: list[Any], do_on_device: bool = True
    ) -> torch.Tensor:
        # 0 is what was 0 before: outside the brain. One window is run in any case.
        filled = [window for window in slicers if data[window].any()] or slicers[:1]
        with inference_on(self.device):
            logits: torch.Tensor = super()._internal_predict_sliding_window_return_logits(
                data, filled, do_on_device
            )
        unseen = torch.ones(logits.shape[1:], dtype=torch.bool, device=logits.device)
        for window in filled:
            unseen[window[1:]] = False
        logits[:, unseen] = 0
        logits[0, unseen] = NOT_SEEN
        return logits


def window_starts(
    places: Places, image_size: Sequence[int], window: Sequence[int]
) -> list[tuple[int, ...]]:
    """First voxels of the windows around places, each once, moved into the image.

    Parameters
    ----------
    places
        Points as shares of the image, 0 to 1 along each axis; shape ``(n, 3)``.
    image_size, window
        Voxels along each axis; a window is no larger than the image.

    >>> window_starts(np.array([[0.5, 0.0, 0.95]]), (40, 20, 16), (10, 10, 16))
    [(15, 0, 0)]
    """
    size, extent = np.array(image_size), np.array(window)
    first = np.clip(np.floor(places * size - extent / 2 + 1e-6).astype(int), 0, size - extent)
    return list(dict.fromkeys(tuple(int(n) for n in start) for start in first))


def shares_of(
    centers: npt.NDArray[np.floating[Any]], stack: npt.NDArray[np.floating[Any]]
) -> Places:
    """Voxels of an image as shares of the box that nnU-Net cuts it to.

    Parameters
    ----------
    centers
        Voxels, shape ``(n, 3)``.
    stack
        The image, shape ``(channels, ...)``.
    """
    some = (stack != 0).any(axis=0)
    shares = np.empty((len(centers), 3))
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        inside = np.flatnonzero(some.any(axis=others))
        low, high = (inside[0], inside[-1] + 1) if inside.size else (0, some.shape[axis])
        shares[:, axis] = (centers[:, axis] + 0.5 - low) / (high - low)
    return shares


def make_predictor(model: LesionModel, device: torch.device, *, mirror: bool) -> Predictor:
    """Build the network of a lesion model, with its weights, ready to predict.

    Parameters
    ----------
    model
        Plans and weights of all folds.
    device
        Where it computes.
    mirror
        Whether to average over mirrored images, along the axes that the card names.

    Raises
    ------
    ModelError
        Plans or weights are of no network, or of another one.
    """
    # nnU-Net changes plans of its first years in place.
    plans = PlansManager(copy.deepcopy(dict(model.plans)))
    with contextlib.redirect_stdout(io.StringIO()):
        predictor = Predictor(
            tile_step_size=TILE_STEP,
            use_mirroring=mirror and bool(model.card.mirror_axes),
            device=device,
            allow_tqdm=False,
        )
        configuration = plans.get_configuration(model.card.configuration)
        network = _build(configuration, model)
    predictor.manual_initialization(
        network,
        plans,
        configuration,
        _parameters(network, model),
        dict(model.dataset),
        model.card.trainer,
        model.card.mirror_axes,
    )
    return predictor


def _build(configuration: Any, model: LesionModel) -> torch.nn.Module:
    """Build the network that the (checked) plans describe."""
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
