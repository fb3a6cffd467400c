"""Models by name or folder: packaged bundles, bundle folders, nnU-Net's own folders.

A bundle is a folder with ``model.json`` (the card), ``weights.pt`` (fp16 tensors, nothing else)
and, for lesion models, ``plans.json`` and ``dataset.json``. Its card holds the SHA-256 of every
other file, and they are verified when it is opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmb_bidsapp.bids.stamps import sha256_of
from cmb_bidsapp.core.defaults import THRESHOLD
from cmb_bidsapp.core.errors import ModelError
from cmb_bidsapp.models.calibration import Knots
from cmb_bidsapp.models.card import CARD, SECOND_LOOK, UNSTATED, WEIGHTS, Card, read_card
from cmb_bidsapp.models.nnunet import (
    LesionModel,
    ResultFolder,
    check_bundle,
    is_result_folder,
    model_of_bundle,
    open_result_folder,
)
from cmb_bidsapp.models.weights import Tensors, load_into, read_tensors

if TYPE_CHECKING:  # slow to import
    import torch

#: Folder of the packaged bundles.
PACKAGED = Path(str(files("cmb_bidsapp.models")))


@dataclass(frozen=True)
class Bundle:
    """A verified model bundle."""

    folder: Path
    card: Card

    @property
    def name(self) -> str:
        """Name and version, as written into sidecars."""
        return f"{self.card.name}-{self.card.version}"

    def load_into(self, network: torch.nn.Module) -> None:
        """Give a network the bundle's weights; nothing in the file is executed.

        Raises
        ------
        ModelError
            The file holds something else than this network's weights.
        """
        path = self.folder / WEIGHTS
        load_into(network, read_tensors(path), path)


def packaged_models() -> list[str]:
    """Names of the models that come with the app."""
    return sorted(path.parent.name for path in PACKAGED.glob(f"*/{CARD}"))


def load_card(name_or_folder: str) -> Card:
    """Read the card of a packaged model (by name) or of a bundle folder.

    Raises
    ------
    ModelError
        There is no such bundle, or its card is not one.
    """
    folder = _folder(name_or_folder)
    if not (folder / CARD).is_file():
        raise ModelError(
            f"{name_or_folder}: no such model; packaged are {', '.join(packaged_models())}, "
            f"or give a folder with a {CARD}, or (lesions) a trained model folder of nnU-Net v2"
            + "".join(f", such as {inside}" for inside in sorted(folder.glob("*__*__*"))[:1])
        )
    return read_card(folder / CARD)


def load_bundle(name_or_folder: str) -> Bundle:
    """Open a bundle by the name of a packaged model, or by folder, and verify its checksums.

    Raises
    ------
    ModelError
        There is no such bundle, or a file is not what the card says.
    """
    card, folder = load_card(name_or_folder), _folder(name_or_folder)
    for file_name in card.files:
        _verify(folder, file_name, card)
    return Bundle(folder, card)


def load_second_look(name_or_folder: str) -> tuple[Path, Tensors] | None:
    """Read the network that judges candidates alone; ``None`` where a model has none.

    Raises
    ------
    ModelError
        There is no such model, or the file is not what the card says.
    """
    if not has_second_look(name_or_folder):
        return None
    folder = _folder(name_or_folder)
    path = _verify(folder, SECOND_LOOK, load_card(name_or_folder))
    return path, read_tensors(path)


def load_lesion_model(name_or_folder: str, folds: Sequence[str] = ()) -> LesionModel:
    """Open a lesion model: a packaged one, a bundle, or a trained model folder of nnU-Net v2.

    Parameters
    ----------
    name_or_folder
        Packaged model, bundle folder, or folder of nnU-Net v2.
    folds
        Folds (numbers or ``all``) of an nnU-Net folder that are averaged; see
        :func:`cmb_bidsapp.models.nnunet.open_result_folder`.

    Raises
    ------
    ModelError
        There is no such model, or it is damaged, hostile, or of a kind that is not supported.
    """
    results = _results(name_or_folder, folds)
    if results is not None:
        return results.load()
    _refuse_folds(name_or_folder, folds)
    bundle = load_bundle(name_or_folder)
    return model_of_bundle(bundle.folder, bundle.card)


def check_lesion_model(name_or_folder: str, folds: Sequence[str] = ()) -> None:
    """Refuse a lesion model that can be refused without torch; checksums are verified.

    Parameters
    ----------
    name_or_folder
        Packaged model, bundle folder, or folder of nnU-Net v2.
    folds
        Those of an nnU-Net folder that are used; empty: every numbered one, or else ``all``.

    Raises
    ------
    ModelError
        As :func:`load_lesion_model`.
    """
    results = _results(name_or_folder, folds)
    if results is not None:
        results.check()
        return
    _refuse_folds(name_or_folder, folds)
    bundle = load_bundle(name_or_folder)
    check_bundle(bundle.folder, bundle.card)


def threshold_of(name_or_folder: str, operating_point: str | None = None) -> float:
    """Smallest peak probability of a candidate, by the model's card.

    nnU-Net's own folders have no card; theirs is the general default.

    Parameters
    ----------
    name_or_folder
        Packaged model, bundle folder, or folder of nnU-Net v2.
    operating_point
        One that the card names, such as ``balanced``; ``None``: the card's threshold.

    Raises
    ------
    ModelError
        There is no such model, or it does not state the operating point.
    """
    card = None if _results(name_or_folder, ()) is not None else load_card(name_or_folder)
    if operating_point is None:
        return THRESHOLD if card is None else card.threshold
    points = card.operating_points if card is not None else {}
    if operating_point not in points:
        raise ModelError(f"{name_or_folder} defines no operating points; use --threshold instead")
    return float(points[operating_point]["threshold"])


def has_second_look(name_or_folder: str) -> bool:
    """Whether a lesion model has a network that judges its candidates.

    Raises
    ------
    ModelError
        There is no such model.
    """
    packaged = _results(name_or_folder, ()) is None
    return packaged and SECOND_LOOK in load_card(name_or_folder).files


def license_of(name_or_folder: str) -> str:
    """License of a lesion model, by its card; nnU-Net's own folders state none.

    Raises
    ------
    ModelError
        There is no such model.
    """
    if _results(name_or_folder, ()) is not None:
        return UNSTATED
    return load_card(name_or_folder).license


def calibration_of(name_or_folder: str) -> Knots:
    """Knots of the calibration in a model's card; none without one, as in nnU-Net's own folders.

    Raises
    ------
    ModelError
        There is no such model.
    """
    if _results(name_or_folder, ()) is not None:
        return ()
    knots = load_card(name_or_folder).calibration.get("knots", ())
    return tuple((known, level) for known, level in knots)


def lesion_model_parameters(name_or_folder: str, folds: Sequence[str] = ()) -> Mapping[str, Any]:
    """Everything of a lesion model that its results depend on, for stamps.

    Parameters
    ----------
    name_or_folder
        Packaged model, bundle folder, or folder of nnU-Net v2.
    folds
        Those of an nnU-Net folder that are used; empty: every numbered one, or else ``all``.
    """
    results = _results(name_or_folder, folds)
    if results is not None:
        root = results.folder
        return {str(path.relative_to(root)): _known_sha256(path) for path in results.files}
    card = load_card(name_or_folder)
    stated = {
        key: getattr(card, key) for key in ("nominal_slice_mm", "configuration", "dark_spots")
    }
    return {**card.files, **stated, "mirror_axes": list(card.mirror_axes)}


def _verify(folder: Path, file_name: str, card: Card) -> Path:
    """A file of a bundle that is what the card says."""
    path = folder / file_name
    if not path.is_file():
        raise ModelError(f"{path} is missing; install the model again")
    if sha256_of(path) != card.files[file_name]:
        raise ModelError(f"{path} is damaged (SHA-256 differs); install the model again")
    return path


def _folder(name_or_folder: str) -> Path:
    packaged = name_or_folder in packaged_models()
    return PACKAGED / name_or_folder if packaged else Path(name_or_folder)


def _results(name_or_folder: str, folds: Sequence[str]) -> ResultFolder | None:
    folder = _folder(name_or_folder)
    if (folder / CARD).is_file() or not is_result_folder(folder):
        return None
    return open_result_folder(folder, folds)


def _refuse_folds(name_or_folder: str, folds: Sequence[str]) -> None:
    if folds:
        raise ModelError(f"{name_or_folder} has no folds; leave out --folds")


def _known_sha256(path: Path) -> str:
    """Checksum, taken once per version of a file: checkpoints are large and asked for often."""
    stat = path.stat()
    return _sha256_at(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256_at(path: Path, _size: int, _mtime_ns: int) -> str:
    return sha256_of(path)
