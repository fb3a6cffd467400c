"""Training of the lesion network with nnU-Net v2: dataset, planning, preprocessing, training."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import torch

from cmb_bidsapp.bids.images import open_image, read_derivative, read_labels
from cmb_bidsapp.bids.outputs import write_json
from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.core.labels import PROXY
from cmb_bidsapp.lesions.axes import NOMINAL_SLICE_MM, network_order, ras_zooms, slice_distance
from cmb_bidsapp.lesions.slabs import label_slabs, slices_in_slab, to_slabs
from cmb_bidsapp.models.nnunet import LesionModel
from cmb_bidsapp.models.weights import load_into
from cmb_bidsapp.train.cases import TrainingCase, check_fold, chosen_cases, split_participants

DATASET = "Dataset001_CMB"
CONFIGURATION = "3d_fullres"
PLANS = "nnUNetPlans"
IN_PLANE_MM = 0.4286
#: Learning rate of a training that starts from a trained model.
FINE_TUNE_LR = 1e-3


def class_labels(cases: Sequence[TrainingCase], *, proxy: bool, mimics: bool) -> dict[str, int]:
    """Classes of a training by name, background first, as nnU-Net's ``dataset.json`` wants them.

    Parameters
    ----------
    cases
        All of the training.
    proxy, mimics
        Whether regions and mimics are classes.

    Raises
    ------
    UsageError
        Mimics are asked for and a case does not name them.
    """
    if mimics and (lacking := next((c for c in cases if c.mimics is None), None)) is not None:
        raise UsageError(f"{lacking.name} has no *_desc-mimics_dseg; train without --mimics")
    names = [*(PROXY if proxy else ["background"]), "CMB", *(["mimic"] if mimics else [])]
    if any(case.ignore is not None for case in cases):
        names.append("ignore")
    return {name: value for value, name in enumerate(names)}


def training_labels(case: TrainingCase, classes: Mapping[str, int]) -> npt.NDArray[np.uint8]:
    """Label image of a case, T2*w grid: lesions over mimics over regions.

    Parameters
    ----------
    case
        Where its labels lie.
    classes
        Label by name, see :func:`class_labels`.
    """
    regions = read_labels(case.proxy).data
    labels = np.zeros(regions.shape, np.uint8)
    for name, value in PROXY.items():
        labels[regions == value] = classes.get(name, 0)
    if "mimic" in classes and case.mimics is not None:
        labels[read_derivative(case.mimics).data > 0] = classes["mimic"]
    if case.ignore is not None:
        labels[read_derivative(case.ignore).data > 0] = classes["ignore"]
    labels[read_derivative(case.lesions).data > 0] = classes["CMB"]
    return labels


def write_raw_dataset(
    cases: Sequence[TrainingCase], raw: Path, *, proxy: bool = True, mimics: bool = False
) -> None:
    """Write the nnU-Net raw dataset: two channels, classes as asked for, nominal slice distance.

    Thin slices are averaged as they are when the network is used.

    Parameters
    ----------
    cases
        All of the training.
    raw
        Folder of the dataset.
    proxy, mimics
        Whether regions and mimics are classes.
    """
    folder = raw / DATASET
    classes = class_labels(cases, proxy=proxy, mimics=mimics)
    _claim(folder, {"classes": classes, "masks": [str(c.lesions.absolute()) for c in cases]})
    for sub in ("imagesTr", "labelsTr"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    for case in cases:
        label_path = folder / "labelsTr" / f"{case.name}.nii.gz"
        if label_path.exists():
            continue
        affine = open_image(case.t2star).affine
        slices = slices_in_slab(slice_distance(affine))
        for channel, path in enumerate((case.t2star, case.t1w)):
            data, spacing = network_order(read_derivative(path).data, affine)
            means = to_slabs(data[None], slices, 0)[0]
            _save(folder / "imagesTr" / f"{case.name}_{channel:04d}.nii.gz", means, spacing)
        data, spacing = network_order(training_labels(case, classes), affine)
        _save(label_path, label_slabs(data, slices, 0), spacing)
    write_json(
        folder / "dataset.json",
        {
            "channel_names": {"0": "T2starw", "1": "T1w"},
            "labels": classes,
            "numTraining": len(cases),
            "file_ending": ".nii.gz",
            **_voxels(cases),
        },
    )


def _claim(folder: Path, training: dict[str, Any]) -> None:
    """Refuse to go on with the images of another training."""
    claim = folder / "training.json"
    if claim.exists() and json.loads(claim.read_text(encoding="utf-8")) != training:
        raise UsageError(
            f"{folder} belongs to another training (different scans, masks or classes); choose "
            "an empty --work-dir"
        )
    write_json(claim, training)


def _voxels(cases: Sequence[TrainingCase]) -> dict[str, list[float]]:
    """Smallest and largest voxel size, which the app compares with those it is given."""
    zooms = [ras_zooms(open_image(case.t2star).affine) for case in cases]
    in_plane = [max(x, y) for x, y, _ in zooms]
    across = [z for *_, z in zooms]
    return {"in_plane_mm": [min(in_plane), max(in_plane)], "slice_mm": [min(across), max(across)]}


def _save(path: Path, data: npt.NDArray[Any], spacing: Sequence[float]) -> None:
    # nnU-Net reads arrays as (z, y, x); the file is (x, y, z).
    nib.save(nib.Nifti1Image(data.transpose(2, 1, 0), np.diag([*spacing[::-1], 1.0])), path)


def set_folders(work: Path) -> None:
    """Point nnU-Net at ``work``; it takes its folders from the environment only."""
    for name in ("raw", "preprocessed", "results"):
        folder = work / name
        folder.mkdir(parents=True, exist_ok=True)
        os.environ[f"nnUNet_{name}"] = str(folder)
    os.environ.setdefault("nnUNet_n_proc_DA", "1")


def plan_and_preprocess(work: Path, *, memory_gb: float, processes: int) -> None:
    """nnU-Net's own fingerprint, planning (compact: 16 base features) and preprocessing.

    Parameters
    ----------
    work
        Folder with nnU-Net's ``raw``, ``preprocessed`` and ``results``.
    memory_gb
        GPU memory that the plans may assume.
    processes
        How many work at a time.
    """
    # As below: only this training needs them.
    from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import (
        DatasetFingerprintExtractor,
    )
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
        ExperimentPlanner,
    )
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor

    set_folders(work)
    preprocessed = work / "preprocessed" / DATASET
    done = preprocessed / "preprocessed"
    if done.exists():
        return
    DatasetFingerprintExtractor(DATASET, num_processes=processes).run()
    planner = ExperimentPlanner(
        DATASET,
        gpu_memory_target_in_gb=memory_gb,
        overwrite_target_spacing=[NOMINAL_SLICE_MM, IN_PLANE_MM, IN_PLANE_MM],
        suppress_transpose=True,
    )
    planner.UNet_base_num_features = 16
    planner.UNet_max_features_3d = 160
    planner.plan_experiment()
    DefaultPreprocessor().run(DATASET, CONFIGURATION, PLANS, num_processes=processes)
    done.touch()


def train_lesions(
    derivatives: Path,
    work: Path,
    *,
    truth: Path | None = None,
    epochs: int,
    loss: str = "topk",
    proxy: bool = True,
    mimics: bool = False,
    device: str = "cpu",
    memory_gb: float = 0.9,
    processes: int = 2,
    start_from: LesionModel | None = None,
    patch_size: Sequence[int] | None = None,
    fold: int | None = None,
    folds: int = 5,
    seed: int = 0,
    participants: Sequence[str] = (),
    excluded: Sequence[str] = (),
) -> Path:
    """Train on all sessions of a derivative folder; an interrupted training goes on.

    Parameters
    ----------
    derivatives
        Output of this app with corrected masks, or truth written by ``simulate``.
    work
        Folder of nnU-Net's raw, preprocessed and results folders.
    truth
        Where the CMB masks are, if not in ``derivatives``.
    epochs
        Epochs of 50 steps.
    loss
        One of :data:`cmb_bidsapp.train.request.LOSSES`.
    proxy, mimics
        Whether the regions, and veins with calcifications, are classes beside the microbleeds.
    device
        Device of torch, such as ``cpu`` or ``cuda:0``.
    memory_gb
        nnU-Net's planning target; it decides the patch size.
    processes
        Number of processes of nnU-Net's preprocessing.
    start_from
        Model whose weights training starts from; its network and patch size are kept, its classes
        are matched by name.
    patch_size
        Slices, rows and columns of the training patches, instead of the planned ones. Smaller ones
        take less time a step.
    fold, folds
        Part of the participants (from 0) that is left out for testing, and number of parts; all are
        trained on where ``fold`` is ``None``.
    seed
        Decides who is in which fold, and the order of the training.
    participants, excluded
        Labels of those who are trained on, and of those who are not; all are where neither names
        any.

    Returns
    -------
    folder
        nnU-Net's result folder, to be exported with :mod:`cmb_bidsapp.train.export`.
    """
    # nnU-Net's own training takes seconds to import, which the other trainings do without.
    from cmb_bidsapp.train.trainer import TRAINERS

    set_folders(work)
    cases = chosen_cases(derivatives, truth, participants=participants, excluded=excluded)
    write_raw_dataset(cases, work / "raw", proxy=proxy, mimics=mimics)
    plan_and_preprocess(work, memory_gb=memory_gb, processes=processes)
    preprocessed = work / "preprocessed" / DATASET
    dataset = json.loads((preprocessed / "dataset.json").read_text())
    plans = _plans(preprocessed / f"{PLANS}.json", start_from, patch_size)
    which: int | str = "all"
    if fold is not None:
        check_fold(fold, folds)
        splits = split_participants([case.name for case in cases], folds, seed)
        write_json(preprocessed / "splits_final.json", splits)
        which = fold
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002  nnU-Net draws from the legacy generator
    trainer = TRAINERS[loss](plans, CONFIGURATION, which, dataset, torch.device(device))
    trainer.num_epochs = epochs
    if start_from is not None:
        trainer.trained = tuple(start_from.card.labels)
        trainer.initial_lr = FINE_TUNE_LR
    trainer.initialize()
    if trainer.last_checkpoint is not None:
        trainer.load_checkpoint(str(trainer.last_checkpoint))
    elif start_from is not None:
        start_network(trainer.network, start_from, dataset["labels"])
    trainer.run_training()
    return Path(trainer.output_folder)


def _plans(
    path: Path, start_from: LesionModel | None, patch_size: Sequence[int] | None
) -> dict[str, Any]:
    """Plans of a training: nnU-Net's own, but for what the start and the caller decide."""
    plans: dict[str, Any] = json.loads(path.read_text())
    plans["continue_training"] = False
    configuration = plans["configurations"][CONFIGURATION]
    if start_from is not None:
        # Other scans plan another patch and other strides: the network stays what it was.
        for key in ("architecture", "patch_size", "batch_size"):
            configuration[key] = start_from.configuration[key]
    if patch_size is not None:
        refuse_patch(patch_size, configuration)
        configuration["patch_size"] = list(patch_size)
    return plans


def refuse_patch(patch_size: Sequence[int], configuration: Mapping[str, Any]) -> None:
    """Refuse patches that the network cannot halve as often as it does.

    Parameters
    ----------
    patch_size
        Voxels of a patch: slices, rows, columns.
    configuration
        Of nnU-Net's plans.

    Raises
    ------
    UsageError
        Names what the sides have to be multiples of.
    """
    strides = configuration["architecture"]["arch_kwargs"]["strides"]
    factors = np.prod(strides, axis=0).tolist()
    if any(size % factor for size, factor in zip(patch_size, factors, strict=True)):
        given, needed = (" ".join(map(str, sizes)) for sizes in (patch_size, factors))
        raise UsageError(
            f"--patch-size {given}: this network halves its patches several times; slices, rows "
            f"and columns have to be multiples of {needed}"
        )


def start_network(
    network: torch.nn.Module, start_from: LesionModel, classes: Mapping[str, int]
) -> None:
    """Give a network the weights of a model, its output layers class by class as they are named.

    Of several folds the first is taken.

    Parameters
    ----------
    network
        Changed in place.
    start_from
        Model of the same architecture but for the output layers.
    classes
        Output channel of the network by name.

    Raises
    ------
    ModelError
        Something else than the output layers differs.
    """
    known = start_from.card.labels
    pairs = [(known[name], value) for name, value in classes.items() if name in known]
    own = network.state_dict()
    path, weights = next(iter(start_from.weights.items()))
    fitted = dict(weights)
    for name, given in weights.items():
        if ".seg_layers." in name and name in own and given.shape != own[name].shape:
            filled = own[name].clone()
            for there, here in pairs:
                filled[here] = given[there]
            fitted[name] = filled
    load_into(network, fitted, path)
