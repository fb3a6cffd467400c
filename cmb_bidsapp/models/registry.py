"""Model bundles: folders with weights, their description, and a checksum that is verified.

A bundle holds ``model.json`` (the card: name, version, licence, training data, SHA-256 of every
other file), ``weights.pt`` (fp16 tensors, nothing else) and, for nnU-Net models, ``plans.json``
and ``dataset.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmb_bidsapp.runtime.errors import ModelError
from cmb_bidsapp.runtime.stamps import sha256_of

if TYPE_CHECKING:
    import torch

CARD = "model.json"
WEIGHTS = "weights.pt"


@dataclass(frozen=True)
class Bundle:
    """A verified model bundle."""

    folder: Path
    card: dict[str, Any]

    @property
    def name(self) -> str:
        """Name and version, as written into sidecars."""
        return f"{self.card['name']}-{self.card['version']}"

    @property
    def sha256(self) -> str:
        """Checksum of the weights."""
        return str(self.card["files"][WEIGHTS])

    def json(self, name: str) -> dict[str, Any]:
        """One of the bundle's JSON files."""
        content: dict[str, Any] = json.loads((self.folder / name).read_text(encoding="utf-8"))
        return content

    def load_into(
        self, network: torch.nn.Module, weights: Mapping[str, torch.Tensor] | None = None
    ) -> None:
        """Give a network the bundle's weights, or ``weights`` derived from them.

        Raises
        ------
        ModelError
            The file holds something else than this network's weights.
        """
        weights = self.weights() if weights is None else weights
        state = network.state_dict()
        misfits = [k for k, v in weights.items() if k not in state or state[k].shape != v.shape]
        # nnU-Net's networks list most tensors under several names; the bundle holds each once.
        given = {state[key].data_ptr() for key in weights if key in state}
        misfits += [k for k, v in state.items() if v.data_ptr() not in given]
        if misfits:
            raise ModelError(f"{self.folder / WEIGHTS} is of another network ({misfits[0]})")
        network.load_state_dict(weights, strict=False)

    def weights(self) -> dict[str, torch.Tensor]:
        """Tensors by name; nothing in the file is executed.

        Raises
        ------
        ModelError
            The file holds something else.
        """
        import torch

        try:
            state = torch.load(self.folder / WEIGHTS, map_location="cpu", weights_only=True)
        except Exception as error:
            raise ModelError(f"{self.folder / WEIGHTS} does not hold plain tensors") from error
        if not isinstance(state, dict) or not all(torch.is_tensor(v) for v in state.values()):
            raise ModelError(f"{self.folder / WEIGHTS} does not hold plain tensors")
        return {key: value.float() for key, value in state.items()}


def _folder(name_or_folder: str) -> Path:
    packaged = Path(str(files("cmb_bidsapp.models"))) / name_or_folder
    return packaged if (packaged / CARD).is_file() else Path(name_or_folder)


def load_card(name_or_folder: str) -> dict[str, Any]:
    """Read the card of a packaged model (by name) or of a bundle folder.

    Raises
    ------
    ModelError
        There is no such bundle, or its card is unreadable.
    """
    path = _folder(name_or_folder) / CARD
    if not path.is_file():
        raise ModelError(
            f"{name_or_folder}: no such model; packaged are {', '.join(packaged_models())}, "
            f"or give a folder with a {CARD}"
        )
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        dict(card["files"])[WEIGHTS]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is not a model card; install the model again") from error
    return dict(card)


def load_bundle(name_or_folder: str) -> Bundle:
    """Open a bundle by the name of a packaged model, or by folder, and verify its checksums.

    Raises
    ------
    ModelError
        There is no such bundle, or a file is not what the card says.
    """
    card, folder = load_card(name_or_folder), _folder(name_or_folder)
    for file_name, expected in card["files"].items():
        path = folder / file_name
        if Path(file_name).name != file_name or not path.is_file():
            raise ModelError(f"{path} is missing; install the model again")
        if sha256_of(path) != expected:
            raise ModelError(f"{path} is damaged (SHA-256 differs); install the model again")
    return Bundle(folder, card)


def packaged_models() -> list[str]:
    """Names of the models that come with the app."""
    root = Path(str(files("cmb_bidsapp.models")))
    return sorted(path.parent.name for path in root.glob(f"*/{CARD}"))
