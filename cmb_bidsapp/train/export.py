"""Inference-only bundles from trained networks: fp16 weights, card, checksums."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from cmb_bidsapp.bids.outputs import atomic, write_json
from cmb_bidsapp.models.registry import CARD, WEIGHTS
from cmb_bidsapp.runtime.stamps import sha256_of
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
    weights
        Tensors by name; stored in half precision.
    card
        At least ``name``, ``version``, ``licence`` and ``training_data``.
    extra
        JSON files of the bundle by name.
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
    write_json(folder / CARD, {**card, "files": {n: sha256_of(folder / n) for n in names}})


def export_nnunet(results: Path, folder: Path, card: Mapping[str, Any]) -> None:
    """Make a bundle of an nnU-Net result folder (``fold_*``), its final or else latest checkpoint.

    The checkpoint is the user's own training and is unpickled in full; the bundle made of it is
    not, ever.
    """
    final, latest = results / "checkpoint_final.pth", results / "checkpoint_latest.pth"
    checkpoint = torch.load(
        final if final.exists() else latest, map_location="cpu", weights_only=False
    )
    plans = json.loads((results.parent / "plans.json").read_text(encoding="utf-8"))
    plans["configurations"] = {CONFIGURATION: plans["configurations"][CONFIGURATION]}
    plans.pop("continue_training", None)
    dataset = json.loads((results.parent / "dataset.json").read_text(encoding="utf-8"))
    export_bundle(
        folder,
        checkpoint["network_weights"],
        {
            **card,
            "epochs": int(checkpoint["current_epoch"]),
            "mirror_axes": list(checkpoint["inference_allowed_mirroring_axes"]),
            "configuration": CONFIGURATION,
            "trainer": checkpoint["trainer_name"],
        },
        {"plans.json": plans, "dataset.json": dataset},
    )
