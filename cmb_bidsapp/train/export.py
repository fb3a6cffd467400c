"""Inference-only bundles from trained networks: fp16 weights, card, checksums."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from cmb_bidsapp.anatomy.network import ANATOMY_ARCHITECTURE, CONTRASTS, SPACING_MM
from cmb_bidsapp.bids.outputs import atomic, write_json
from cmb_bidsapp.bids.stamps import sha256_of
from cmb_bidsapp.core.defaults import THRESHOLD
from cmb_bidsapp.core.labels import STRUCTURES
from cmb_bidsapp.lesions.axes import NOMINAL_SLICE_MM
from cmb_bidsapp.models.card import (
    CARD,
    SECOND_LOOK,
    WEIGHTS,
    card_of,
    read_card,
    read_json,
    write_card,
)
from cmb_bidsapp.models.nnunet import dataset_facts
from cmb_bidsapp.models.registry import Bundle
from cmb_bidsapp.models.weights import read_checkpoint
from cmb_bidsapp.train.lesions import CONFIGURATION


def export_bundle(
    folder: Path,
    weights: Mapping[str, torch.Tensor],
    card: Mapping[str, Any],
    extra: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write a bundle.

    Parameters
    ----------
    folder
        Folder of the bundle; it is made where it is missing.
    weights
        Tensors by name; stored in half precision.
    card
        Fields of :class:`cmb_bidsapp.models.card.Card`, all but ``files``; ``metrics`` may be left
        out.
    extra
        JSON files of the bundle by name.

    Raises
    ------
    ModelError
        The card is not complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    once: dict[int, str] = {}
    for key, value in weights.items():
        # A tensor may appear under several names.
        once.setdefault(value.data_ptr(), key)
    half = {key: weights[key].detach().cpu().half().contiguous() for key in once.values()}
    with atomic(folder / WEIGHTS) as beside:
        torch.save(half, beside)
    for name, content in (extra or {}).items():
        write_json(folder / name, content)
    names = [WEIGHTS, *(extra or {})]
    plain = {"metrics": {}, **card, "files": {n: sha256_of(folder / n) for n in names}}
    write_card(folder / CARD, card_of(plain, folder / CARD))


def add_second_look(
    folder: Path, weights: Mapping[str, torch.Tensor], *, judges: bool = True
) -> None:
    """Put a network that judges candidates, all dark spots, into the bundle of a lesion model.

    Parameters
    ----------
    folder
        The bundle; changed in place.
    weights
        Of a :class:`cmb_bidsapp.lesions.second_look.SecondLook`.
    judges
        Its judges are new. What was measured without them no longer holds: thresholds, operating
        points and calibration are taken out of the card.
    """
    card = read_card(folder / CARD)
    changed = dataclasses.replace(
        card, files={**card.files, SECOND_LOOK: _write_second_look(folder, weights)}
    )
    if judges:
        changed = dataclasses.replace(
            changed,
            dark_spots=True,
            threshold=THRESHOLD,
            operating_points={},
            calibration={},
            metrics={},
        )
    write_card(folder / CARD, changed)


def export_adapted(
    start: Bundle, folder: Path, weights: Mapping[str, torch.Tensor], **changes: Any
) -> None:
    """Make a bundle of another one, with another second look; the rest of its files stay.

    Parameters
    ----------
    start
        Bundle whose other files are copied.
    folder
        Folder of the new bundle; it is made where it is missing.
    weights
        Of the network that judges candidates.
    changes
        Fields of the card that are others than those of ``start``.
    """
    files = dict(start.card.files)
    for name in files.keys() - {SECOND_LOOK}:
        with atomic(folder / name) as beside:
            shutil.copyfile(start.folder / name, beside)
    files[SECOND_LOOK] = _write_second_look(folder, weights)
    card = dataclasses.asdict(dataclasses.replace(start.card, files=files, **changes))
    write_card(folder / CARD, card_of(card, folder / CARD))


def _write_second_look(folder: Path, weights: Mapping[str, torch.Tensor]) -> str:
    """Write the network that judges candidates; returns its SHA-256."""
    plain = {key: value.detach().cpu().clone() for key, value in weights.items()}
    # A stream has no name, which torch would write into the file: equal weights are equal files.
    with atomic(folder / SECOND_LOOK) as beside, beside.open("wb") as stream:
        torch.save(plain, stream)
    return sha256_of(folder / SECOND_LOOK)


def export_anatomy(
    weights: Mapping[str, torch.Tensor], folder: Path, card: Mapping[str, Any], *, steps: int
) -> None:
    """Make a bundle of a trained anatomy network.

    Parameters
    ----------
    weights
        Tensors by name; stored in half precision.
    folder
        Folder of the bundle; it is made where it is missing.
    card
        ``name``, ``version``, ``license`` and ``training_data``.
    steps
        Length of the training's schedule, which the card tells.
    """
    architecture = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in ANATOMY_ARCHITECTURE.items()
    }
    facts = {
        "task": "anatomy",
        "trainer": "train_anatomy",
        "spacing": [SPACING_MM] * 3,
        "channels": list(CONTRASTS),
        "labels": {name: number for number, name in enumerate(STRUCTURES)},
        "schedule": {"steps": steps},
        "architecture": architecture,
    }
    export_bundle(folder, weights, {**card, **facts})


def export_nnunet(
    results: Path,
    folder: Path,
    card: Mapping[str, Any],
    *,
    patch_size: Sequence[int] | None = None,
) -> None:
    """Make a bundle of an nnU-Net result folder (``fold_*``), its final or else latest checkpoint.

    Parameters
    ----------
    results
        Folder of one fold (``fold_*``), below that of the plans.
    folder
        Folder of the bundle; it is made where it is missing.
    card
        ``name``, ``version``, ``license`` and ``training_data``; ``nominal_slice_mm`` where the
        training had another one than ours.
    patch_size
        Size of the windows at inference, where it is not that of the training.
    """
    final, latest = results / "checkpoint_final.pth", results / "checkpoint_latest.pth"
    checkpoint = read_checkpoint(final if final.exists() else latest)
    plans, dataset = (read_json(results.parent / name) for name in ("plans.json", "dataset.json"))
    plans["configurations"] = {CONFIGURATION: plans["configurations"][CONFIGURATION]}
    plans.pop("continue_training", None)
    if patch_size is not None:
        plans["configurations"][CONFIGURATION]["patch_size"] = list(patch_size)
    channels, labels, _ = dataset_facts(dataset, results.parent / "dataset.json")
    facts = {
        "task": "lesions",
        "trainer": checkpoint.trainer,
        "spacing": plans["configurations"][CONFIGURATION]["spacing"],
        "channels": list(channels),
        "labels": labels,
        "schedule": {"epochs": checkpoint.epochs},
        "configuration": CONFIGURATION,
        "mirror_axes": list(checkpoint.mirror_axes),
    }
    export_bundle(
        folder,
        checkpoint.weights,
        {"nominal_slice_mm": NOMINAL_SLICE_MM, **card, **facts},
        {"plans.json": plans, "dataset.json": dataset},
    )
