"""The app's inference beside ``nnUNetv2_predict``: same weights, case, threads and mirroring.

Usage: python benchmarks/inference.py OUTPUT_DIR LABEL [--model NAME] [--no-tta] [--crop X Y Z]

LABEL is a finished session of the app, ``sub-01`` or ``sub-01_ses-A``; its preprocessed images
are the case. Both read the same files, begin with a new process and end with the probabilities of
all classes on the disk. The second look, which nnU-Net has none of, is left out. Threads are as
many as there are cores: ``nnUNetv2_predict`` takes these whatever it is told.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from costs import timed

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.images import read_derivative
from cmb_bidsapp.core.labels import CMB, PROXY
from cmb_bidsapp.evaluation.matching import in_common, pieces_of
from cmb_bidsapp.evaluation.metrics import Overlap
from cmb_bidsapp.lesions.axes import network_order
from cmb_bidsapp.lesions.segment import LesionNetwork, class_map
from cmb_bidsapp.lesions.tiles import make_predictor
from cmb_bidsapp.models.nnunet import LesionModel
from cmb_bidsapp.models.registry import load_lesion_model

#: A lesion is a piece of the CMB class that is at least this probable.
EXTENT = 0.5
CASE = "case"


def write_case(files: SessionFiles, model: LesionModel, folder: Path, crop: Sequence[int]) -> None:
    """Write the channels as nnU-Net wants them, with the slice distance that the app tells it."""
    folder.mkdir()
    paths = {"T2starw": files.t2star, "T1w": files.t1w_on_t2star}
    blank = np.zeros(1, np.float32)
    for number, contrast in enumerate(model.card.channels):
        there = paths[contrast].exists()
        read = read_derivative(paths[contrast] if there else files.t2star)
        data = read.data if there else blank * read.data
        ordered, spacing = network_order(data, read.affine, model.card.nominal_slice_mm)
        middle = [
            slice(max(0, (size - wanted) // 2), max(0, (size - wanted) // 2) + wanted)
            for size, wanted in zip(
                ordered.shape, reversed(crop or ordered.shape[::-1]), strict=True
            )
        ]
        image = nib.Nifti1Image(ordered[tuple(middle)].T, np.diag([*spacing[::-1], 1.0]))
        nib.save(image, folder / f"{CASE}_{number:04d}.nii.gz")


def write_model(model: LesionModel, results: Path) -> tuple[str, str]:
    """Write the model as a training of nnU-Net leaves it; returns dataset and plans."""
    dataset, plans = "Dataset001_CMB", model.plans["plans_name"]
    folder = results / dataset / f"nnUNetTrainer__{plans}__{model.card.configuration}"
    (folder / "fold_0").mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(model.plans), encoding="utf-8")
    described = {"file_ending": ".nii.gz", **model.dataset}
    (folder / "dataset.json").write_text(json.dumps(described), encoding="utf-8")
    predictor = make_predictor(model, torch.device("cpu"), mirror=False)
    checkpoint = {
        "network_weights": predictor.list_of_parameters[0],
        "trainer_name": "nnUNetTrainer",
        "init_args": {"configuration": model.card.configuration},
        "inference_allowed_mirroring_axes": model.card.mirror_axes,
    }
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")
    return dataset, plans


def predict(case: Path, model_name: str, out: Path, *, tta: bool) -> None:
    """What the app does with a case: the body of its own process."""
    torch.set_num_threads(os.cpu_count() or 1)
    model = replace(load_lesion_model(model_name), second_look=None)
    network = LesionNetwork(model, mirror=tta)
    channels = {}
    for number, contrast in enumerate(model.card.channels):
        channels[contrast] = read_derivative(case / f"{CASE}_{number:04d}.nii.gz")
    t2star = channels["T2starw"]
    stack = np.stack(
        [network_order(channels[name].data, t2star.affine)[0] for name in model.card.channels]
    )
    _, spacing = network_order(t2star.data, t2star.affine, model.card.nominal_slice_mm)
    np.savez_compressed(out, probabilities=network._in_slabs(stack, spacing, 1, None))


def compare(ours: np.ndarray, theirs: np.ndarray, model: LesionModel) -> list[str]:
    """Dice of each class, and lesions that both find; probabilities ``(classes, z, y, x)``."""
    labels = [class_map(one, model.classes) for one in (theirs, ours)]
    names = {name: number for name, number in PROXY.items() if number} | {"CMB": CMB}
    lines = [
        f"Dice {name:16s} {Overlap.of(labels[0] == number, labels[1] == number).dice:.4f}"
        for name, number in names.items()
    ]
    found = [pieces_of(one[model.classes.cmb] >= EXTENT, np.eye(4)) for one in (theirs, ours)]
    both = len(in_common(*found, ours.shape[1:]).pairs)
    lines.append(
        f"lesions of both: {both}, of nnU-Net alone: {len(found[0]) - both}, "
        f"of the app alone: {len(found[1]) - both}"
    )
    return lines


def main() -> None:
    """Run both on one case, and print what each took and what they agree in."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("label")
    parser.add_argument("--model", default="lesions")
    parser.add_argument("--no-tta", action="store_true")
    parser.add_argument("--crop", type=int, nargs=3, default=(), metavar="N")
    parser.add_argument("--predict", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.predict:
        predict(given.folder, given.model, given.predict, tta=not given.no_tta)
        return
    labels = dict(part.split("-", 1) for part in given.label.split("_"))
    files = SessionFiles(given.folder, labels["sub"], labels.get("ses"))
    model = load_lesion_model(given.model)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_case(files, model, root / "in", given.crop)
        dataset, plans = write_model(model, root / "results")
        (root / "theirs").mkdir()
        plain = [] if not given.no_tta else ["--disable_tta"]
        commands = {
            "nnUNetv2_predict": [
                *(str(Path(sys.executable).parent / "nnUNetv2_predict"), "-d", dataset, "-f", "0"),
                *("-i", str(root / "in"), "-o", str(root / "theirs"), "-device", "cpu", *plain),
                *("-c", model.card.configuration, "-p", plans, "-tr", "nnUNetTrainer"),
                *("-npp", "1", "-nps", "1", "--save_probabilities", "--disable_progress_bar"),
            ],
            "cmb_bidsapp": [
                *(sys.executable, __file__, str(root / "in"), given.label, "--model", given.model),
                *("--predict", str(root / "ours.npz"), *(["--no-tta"] if given.no_tta else [])),
            ],
        }
        folders = {key: str(root / "results") for key in ("nnUNet_raw", "nnUNet_preprocessed")}
        environment = {**os.environ, **folders, "nnUNet_results": str(root / "results")}
        print(f"{'':18s} {'wall s':>8s} {'CPU s':>8s} {'peak MB':>8s}")
        costs = []
        for who, command in commands.items():
            costs.append(timed(command, environment))
            one = costs[-1]
            print(f"{who:18s} {one.wall:8.1f} {one.cpu:8.1f} {one.peak_mb:8.0f}", flush=True)
        ratios = [
            getattr(costs[0], key) / getattr(costs[1], key) for key in ("wall", "cpu", "peak_mb")
        ]
        print(f"{'ratio':18s} {ratios[0]:8.2f} {ratios[1]:8.2f} {ratios[2]:8.2f}")
        theirs = np.load(root / "theirs" / f"{CASE}.npz")["probabilities"]
        ours = np.load(root / "ours.npz")["probabilities"]
        print("\n".join(compare(ours, theirs, model)))


if __name__ == "__main__":
    main()
