"""Tensors from files; nothing else a file may hold is executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cmb_bidsapp.core.errors import ModelError
from cmb_bidsapp.models.card import is_mirroring

if TYPE_CHECKING:  # slow to import
    import torch

Tensors = Mapping[str, "torch.Tensor"]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What is used of a checkpoint of nnU-Net."""

    weights: Tensors
    trainer: str
    configuration: str
    mirror_axes: tuple[int, ...]
    epochs: int


def read_tensors(path: Path) -> Tensors:
    """Read named tensors.

    Raises
    ------
    ModelError
        The file is damaged or holds anything else.
    """
    return _tensors(_load(path, "plain tensors"), path)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a ``checkpoint_*.pth`` of nnU-Net v2, which holds numbers of numpy beside the weights.

    Raises
    ------
    ModelError
        The file is damaged, or holds anything but tensors, numbers and text.
    """
    content = _load(path, "an nnU-Net checkpoint of plain tensors and numbers")
    content = content if isinstance(content, dict) else {}
    start = content.get("init_args")
    mirror = content.get("inference_allowed_mirroring_axes") or ()
    configuration = start.get("configuration") if isinstance(start, dict) else None
    trainer, epochs = content.get("trainer_name"), content.get("current_epoch", 0)
    if not (
        isinstance(configuration, str)
        and isinstance(trainer, str)
        and isinstance(epochs, int)
        and is_mirroring(mirror)
    ):
        raise ModelError(f"{path} is not a checkpoint of nnU-Net v2")
    weights = _tensors(content.get("network_weights"), path)
    return Checkpoint(
        weights=weights,
        trainer=trainer,
        configuration=configuration,
        mirror_axes=tuple(mirror),
        epochs=epochs,
    )


def load_into(network: torch.nn.Module, weights: Tensors, path: Path) -> None:
    """Give a network its weights.

    Parameters
    ----------
    network
        Changed in place.
    weights
        Tensor by name; one that the network lists under several names stands once.
    path
        Where they are from, for messages.

    Raises
    ------
    ModelError
        They are of another network.
    """
    state = network.state_dict()
    misfits = [k for k, v in weights.items() if k not in state or state[k].shape != v.shape]
    # nnU-Net's networks list most tensors under several names; a bundle holds each once.
    given = {state[key].data_ptr() for key in weights if key in state}
    misfits += [k for k, v in state.items() if v.data_ptr() not in given]
    if misfits:
        raise ModelError(f"{path} is of another network ({misfits[0]})")
    network.load_state_dict(weights, strict=False)


def copied(tensors: Tensors) -> Tensors:
    """Copy tensors to single precision; one that has several names is copied once."""
    copies: dict[tuple[int, ...], torch.Tensor] = {}
    result = {}
    for key, value in tensors.items():
        place = (value.data_ptr(), *value.shape, *value.stride())
        if place not in copies:
            copies[place] = value.detach().float().clone()
        result[key] = copies[place]
    return result


def _load(path: Path, expected: str) -> Any:
    import torch

    try:
        with torch.serialization.safe_globals(_numbers()):
            # Mapped, because a checkpoint also holds the optimizer, twice as large as the weights.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (MemoryError, PermissionError):
        raise
    except Exception as error:
        raise ModelError(f"{path} is damaged or does not hold {expected}") from error


def _numbers() -> list[Any]:
    """Constructors of numpy's numbers, under their names in numpy 1 and 2."""
    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    kinds = [type(np.dtype(code)) for code in ("f2", "f4", "f8", "i4", "i8", "b1")]
    return [*((scalar, name) for name in names), np.dtype, *kinds]


def _tensors(content: Any, path: Path) -> Tensors:
    import torch

    plain = isinstance(content, dict) and all(
        isinstance(key, str) and type(value) is torch.Tensor and value.layout == torch.strided
        for key, value in content.items()
    )
    if not plain or not content:
        raise ModelError(f"{path} does not hold plain tensors")
    return copied(content)
