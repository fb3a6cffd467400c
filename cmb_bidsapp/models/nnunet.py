"""Lesion models: from a bundle, or from a trained model folder of nnU-Net v2 as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmb_bidsapp.bids.stamps import sha256_of
from cmb_bidsapp.core.errors import ModelError
from cmb_bidsapp.models.card import (
    CARD,
    SECOND_LOOK,
    UNSTATED,
    WEIGHTS,
    Card,
    is_list,
    is_size,
    read_json,
)
from cmb_bidsapp.models.classes import Classes, channels_of, classes_of, labels_of
from cmb_bidsapp.models.plans import checked_plans
from cmb_bidsapp.models.weights import Checkpoint, Tensors, read_checkpoint, read_tensors

PLANS, DATASET = "plans.json", "dataset.json"
#: Smallest and largest voxel size of the training (mm); our own trainings add them.
VOXEL_RANGES = ("in_plane_mm", "slice_mm")
#: The finished training is taken before its best moment.
CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth")


@dataclass(frozen=True, kw_only=True)
class LesionModel:
    """A lesion model, checked: nothing in it is imported or executed by name.

    Attributes
    ----------
    plans, dataset
        As nnU-Net has them; the plans with the one configuration that is used.
    classes
        Which output channel is what.
    weights
        Tensors by the file they are from, one entry per fold.
    notes
        What a person must be told.
    second_look
        Tensors of the network that judges candidates, with the file they are from; ``None`` where
        the model has none.
    """

    card: Card
    plans: Mapping[str, Any]
    dataset: Mapping[str, Any]
    classes: Classes
    weights: Mapping[Path, Tensors]
    notes: tuple[str, ...] = ()
    second_look: tuple[Path, Tensors] | None = None

    @property
    def name(self) -> str:
        """Name and version, as written into sidecars."""
        return f"{self.card.name}-{self.card.version}"

    @property
    def sha256(self) -> str:
        """Checksum of the weights; of several folds joined by ``+``."""
        files = self.card.files
        return "+".join(files[name] for name in files if name not in (PLANS, DATASET))

    @property
    def configuration(self) -> Mapping[str, Any]:
        """The part of the plans that is used: architecture, patch size, spacing."""
        chosen: Mapping[str, Any] = self.plans["configurations"][self.card.configuration]
        return chosen

    @property
    def training_voxels(self) -> Mapping[str, Any] | None:
        """Ranges of voxel sizes (mm) of the training, where the model states them."""
        return self.dataset if all(key in self.dataset for key in VOXEL_RANGES) else None


@dataclass(frozen=True)
class ResultFolder:
    """A trained model folder of nnU-Net: ``dataset.json``, ``plans.json``, ``fold_*``.

    Attributes
    ----------
    checkpoints
        The chosen file of each chosen fold.
    unfinished
        Folds that are left out, because others have finished.
    """

    folder: Path
    checkpoints: Mapping[str, Path]
    unfinished: tuple[str, ...] = ()

    @property
    def configuration(self) -> str | None:
        """Configuration that the folder's name (``TRAINER__PLANS__CONFIGURATION``) tells."""
        parts = self.folder.resolve().name.split("__")
        return parts[2] if len(parts) == 3 else None

    @property
    def files(self) -> list[Path]:
        """All files the model consists of."""
        return [self.folder / DATASET, self.folder / PLANS, *self.checkpoints.values()]

    def check(self) -> None:
        """Refuse what can be refused without the weights.

        Raises
        ------
        ModelError
            The plans or the dataset are not ones this app can run.
        """
        channels, _, _ = dataset_facts(read_json(self.folder / DATASET), self.folder / DATASET)
        plans = read_json(self.folder / PLANS)
        if self.configuration is not None:
            checked_plans(plans, self.configuration, len(channels), self.folder / PLANS)

    def load(self) -> LesionModel:
        """Read plans and weights.

        Raises
        ------
        ModelError
            A file is damaged, hostile or of another kind of model.
        """
        self.check()
        dataset = read_json(self.folder / DATASET)
        channels, labels, classes = dataset_facts(dataset, self.folder / DATASET)
        raw = read_json(self.folder / PLANS)
        read = {path: read_checkpoint(path) for path in self.checkpoints.values()}
        first = self._agreed(read)
        plans = checked_plans(raw, first.configuration, len(channels), self.folder / PLANS)
        card = Card(
            name=" ".join(self.folder.resolve().name.split()),
            version="+".join(f"fold_{fold}" for fold in self.checkpoints),
            task="lesions",
            license=UNSTATED,
            training_data=UNSTATED,
            trainer=first.trainer,
            spacing=tuple(plans["configurations"][first.configuration]["spacing"]),
            channels=channels,
            labels=labels,
            files={str(path.relative_to(self.folder)): sha256_of(path) for path in self.files},
            configuration=first.configuration,
            mirror_axes=first.mirror_axes,
        )
        weights = {path: checkpoint.weights for path, checkpoint in read.items()}
        notes = [
            f"skipping fold {fold} of the lesion model, because its training is not finished"
            for fold in self.unfinished
        ]
        return LesionModel(
            card=card,
            plans=plans,
            dataset=dataset,
            classes=classes,
            weights=weights,
            notes=tuple(notes),
        )

    def _agreed(self, read: Mapping[Path, Checkpoint]) -> Checkpoint:
        """Any of the checkpoints, all being of one training apart from the fold."""
        first = next(iter(read.values()))
        for path, other in read.items():
            said = (other.configuration, other.trainer, other.mirror_axes)
            if said != (first.configuration, first.trainer, first.mirror_axes):
                raise ModelError(f"{path} is from a different training than the other folds")
            if self.configuration not in (None, other.configuration):
                raise ModelError(
                    f"{path} was trained with configuration {other.configuration!r}, but its "
                    f"folder's name says {self.configuration!r}; rename the folder, or choose "
                    "another model"
                )
        return first


def is_result_folder(folder: Path) -> bool:
    """Whether a folder looks like a trained model of nnU-Net."""
    return any(folder.glob("fold_*"))


def open_result_folder(folder: Path, folds: Sequence[str] = ()) -> ResultFolder:
    """Choose the checkpoints of a trained model folder.

    Parameters
    ----------
    folder
        The one that holds ``fold_0`` and so on, or ``fold_all``.
    folds
        Numbers or ``all``. Without any: every numbered fold, or else ``all``, as nnU-Net does;
        where some have finished, those that have not are left out.

    Raises
    ------
    ModelError
        There is no such fold, or none with a checkpoint.
    """
    found: dict[str, Path] = {}
    for place in sorted(folder.glob("fold_*")):
        named = re.fullmatch(r"fold_([0-9]+|all)", place.name)
        for name in CHECKPOINTS:
            if named is not None and (place / name).is_file():
                found.setdefault(named.group(1), place / name)
    for fold in folds:
        if fold not in found:
            raise ModelError(
                f"{folder}: there is no fold {fold!r} with a {' or '.join(CHECKPOINTS)}; "
                f"there are {', '.join(found) or 'none'}"
            )
    if folds:
        return ResultFolder(folder, {fold: found[fold] for fold in dict.fromkeys(folds)})
    numbered = {fold: path for fold, path in found.items() if fold != "all"} or found
    finished = {fold: path for fold, path in numbered.items() if path.name == CHECKPOINTS[0]}
    chosen = finished or numbered
    if not chosen:
        raise ModelError(f"{folder}: no fold has a {' or '.join(CHECKPOINTS)}")
    return ResultFolder(folder, chosen, tuple(fold for fold in numbered if fold not in chosen))


def check_bundle(folder: Path, card: Card) -> tuple[dict[str, Any], dict[str, Any], Classes]:
    """Plans, dataset and classes of a bundle.

    Parameters
    ----------
    folder
        The bundle.
    card
        Its ``model.json``.

    Raises
    ------
    ModelError
        They are something else than the card says, or what this app cannot run.
    """
    if card.task != "lesions":
        raise ModelError(f"{folder} is a model for {card.task}, not for lesions")
    dataset, path = read_json(folder / DATASET), folder / PLANS
    channels, labels, classes = dataset_facts(dataset, folder / DATASET)
    plans = checked_plans(read_json(path), card.configuration, len(channels), path)
    spacing = tuple(plans["configurations"][card.configuration]["spacing"])
    for what, stated, used, where in (
        ("channels", card.channels, channels, DATASET),
        ("labels", dict(card.labels), labels, DATASET),
        ("spacing", card.spacing, spacing, PLANS),
    ):
        if stated != used:
            raise ModelError(
                f"{folder / CARD} states {what} {stated}, but {where} has {used}; correct the "
                "card, or install the model again"
            )
    return plans, dataset, classes


def model_of_bundle(folder: Path, card: Card) -> LesionModel:
    """Make a lesion model of a bundle whose checksums hold.

    Parameters
    ----------
    folder
        The bundle.
    card
        Its ``model.json``.

    Raises
    ------
    ModelError
        As :func:`check_bundle`, or the weights are no plain tensors.
    """
    plans, dataset, classes = check_bundle(folder, card)
    path, judge = folder / WEIGHTS, folder / SECOND_LOOK
    return LesionModel(
        card=card,
        plans=plans,
        dataset=dataset,
        classes=classes,
        weights={path: read_tensors(path)},
        second_look=(judge, read_tensors(judge)) if SECOND_LOOK in card.files else None,
    )


def dataset_facts(
    dataset: Mapping[str, Any], path: Path
) -> tuple[tuple[str, ...], dict[str, int], Classes]:
    """Channels, labels and what they mean, of a ``dataset.json``.

    Parameters
    ----------
    dataset
        Content of nnU-Net's ``dataset.json``.
    path
        Where it is from, for messages.

    Raises
    ------
    ModelError
        They are not what a lesion model of this app has.
    """
    for key in VOXEL_RANGES:
        pair = dataset.get(key, [1, 1])
        if not (is_list(pair, is_size) and len(pair) == 2 and pair[0] <= pair[1]):
            raise ModelError(f"{path}: {key} must be the smallest and largest size in mm")
    labels = labels_of(dataset, path)
    return channels_of(dataset, path), labels, classes_of(labels, path)
