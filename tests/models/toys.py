"""Lesion models of a few weights, as bundles and as nnU-Net v2 writes them."""

import json
import os
from pathlib import Path

import numpy as np
import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

from cmb_bidsapp.core.labels import CMB, PROXY
from cmb_bidsapp.train.export import export_bundle

FIVE = {**PROXY, "CMB": CMB}
TWO = {"0": "T2starw", "1": "T1w"}
CONFIGURATION = "3d_fullres"
SPACING = [5.0, 1.0, 1.0]
STATED = {"name": "toy", "version": "1", "license": "Apache-2.0", "training_data": "none"}


def architecture():
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": 2,
            "features_per_stage": [3, 4],
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[1, 3, 3], [3, 3, 3]],
            "strides": [[1, 1, 1], [1, 2, 2]],
            "n_conv_per_stage": [1, 1],
            "n_conv_per_stage_decoder": [1],
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def toy_plans(channels=2, spacing=SPACING):
    resampling = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    functions = {
        f"resampling_fn_{key}{ending}": value
        for key in ("data", "seg", "probabilities")
        for ending, value in (("", "resample_data_or_seg_to_shape"), ("_kwargs", resampling))
    }
    return {
        "plans_name": "nnUNetPlans",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {str(i): {} for i in range(channels)},
        "configurations": {
            CONFIGURATION: {
                "preprocessor_name": "DefaultPreprocessor",
                "patch_size": [4, 16, 16],
                "spacing": list(spacing),
                "normalization_schemes": ["ZScoreNormalization"] * channels,
                "use_mask_for_norm": [False] * channels,
                **functions,
                "architecture": architecture(),
            }
        },
    }


def toy_dataset(names=TWO, labels=FIVE):
    return {"channel_names": dict(names), "labels": dict(labels), "file_ending": ".nii.gz"}


def toy_network(channels=2, classes=5, seed=0, plan=None):
    """Weights that half precision holds exactly; the last layer is strong, so that many win."""
    torch.manual_seed(seed)
    given = plan["architecture"] if plan else architecture()
    network = get_network_from_plans(
        given["network_class_name"],
        given["arch_kwargs"],
        given["_kw_requires_import"],
        channels,
        classes,
        deep_supervision=False,
    )
    with torch.no_grad():
        for name, value in network.named_parameters():
            if "seg_layers" in name:
                value.normal_(std=2) if "weight" in name else value.zero_()
            value.copy_(value.half().float())
    return network


def checkpoint(network, **other):
    """What nnU-Net saves, numbers of numpy and the optimizer's state included."""
    return {
        "network_weights": network.state_dict(),
        "optimizer_state": {"state": {0: {"momentum_buffer": torch.zeros(3)}}},
        "grad_scaler_state": None,
        "logging": {"mean_fg_dice": [np.float64(0.5)], "train_losses": [np.float32(0.1)]},
        "_best_ema": np.float64(0.4),
        "current_epoch": 7,
        "init_args": {"configuration": CONFIGURATION, "device": torch.device("cuda")},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (2,),
        **other,
    }


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def toy_folder(
    parent,
    folds=("0",),
    *,
    plans=None,
    dataset=None,
    name=f"nnUNetTrainer__nnUNetPlans__{CONFIGURATION}",
    file="checkpoint_final.pth",
    **other,
):
    """A trained model folder; the seed of a fold's weights is its position."""
    folder = Path(parent) / name
    dataset = dataset or toy_dataset()
    channels = len(dataset["channel_names"])
    write(folder / "dataset.json", dataset)
    write(folder / "plans.json", plans or toy_plans(channels))
    classes = len(set(dataset["labels"]) - {"ignore"})
    for seed, fold in enumerate(folds):
        (folder / f"fold_{fold}").mkdir(exist_ok=True)
        network = toy_network(channels, classes, seed)
        torch.save(checkpoint(network, **other), folder / f"fold_{fold}" / file)
    return folder


def toy_bundle(folder, *, plans=None, dataset=None, **card):
    dataset = dataset or toy_dataset()
    channels = list(dataset["channel_names"].values())
    facts = {
        "task": "lesions",
        "trainer": "nnUNetTrainer",
        "spacing": SPACING,
        "channels": channels,
        "labels": dataset["labels"],
        "nominal_slice_mm": SPACING[0],
        "configuration": CONFIGURATION,
        "mirror_axes": [2],
    }
    network = toy_network(len(channels), len(dataset["labels"]))
    files = {"plans.json": plans or toy_plans(len(channels)), "dataset.json": dataset}
    export_bundle(Path(folder), network.state_dict(), {**STATED, **facts, **card}, files)
    return Path(folder)


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)
