"""What an nnU-Net ``plans.json`` may say here.

nnU-Net imports whatever its plans name: the network, parts of the network, preprocessing,
resampling. So every such name is compared with a list before anything of nnU-Net sees the plans.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cmb_bidsapp.core.errors import ModelError
from cmb_bidsapp.models.card import is_axis, is_count, is_list, is_size

_ARCHITECTURES = "dynamic_network_architectures.architectures."
_BLOCKS = "dynamic_network_architectures.building_blocks.residual."
NETWORKS = frozenset(
    _ARCHITECTURES + name
    for name in (
        "unet.PlainConvUNet",
        "unet.ResidualEncoderUNet",
        "unet.ResidualUNet",
        "residual_unet.ResidualEncoderUNet",
    )
)
#: Parts of a network that plans name, and the modules of torch.nn they are in.
_PARTS = {
    "conv": ("Conv2d", "Conv3d"),
    "instancenorm": ("InstanceNorm2d", "InstanceNorm3d"),
    "batchnorm": ("BatchNorm2d", "BatchNorm3d"),
    "dropout": ("Dropout", "Dropout2d", "Dropout3d"),
    "activation": ("LeakyReLU", "ReLU", "PReLU", "ELU", "GELU", "SiLU", "Mish"),
}
PARTS = frozenset(
    [_BLOCKS + "BasicBlockD", _BLOCKS + "BottleneckD"]
    + [
        f"torch.nn.{where}{name}"
        for module, names in _PARTS.items()
        for name in names
        for where in ("", f"modules.{module}.")
    ]
)
#: The same in plans of nnU-Net's first years, which it translates by itself.
OLD_NETWORKS = frozenset({"PlainConvUNet", "ResidualEncoderUNet"})
NORMALIZATIONS = frozenset(
    {
        "ZScoreNormalization",
        "CTNormalization",
        "NoNormalization",
        "RescaleTo01Normalization",
        "RGBTo01Normalization",
    }
)
#: Resampling functions and their arguments.
RESAMPLINGS = {
    "resample_data_or_seg_to_shape": {
        "is_seg",
        "order",
        "order_z",
        "force_separate_z",
        "separate_z_anisotropy_threshold",
    },
    "resample_torch_fornnunet": {
        "is_seg",
        "num_threads",
        "memefficient_seg_resampling",
        "force_separate_z",
        "separate_z_anisotropy_threshold",
        "mode",
        "aniso_axis_mode",
    },
    "no_resampling_hack": set(),
}


def checked_plans(
    plans: Mapping[str, Any], configuration: str, channels: int, path: Path
) -> dict[str, Any]:
    """Plans with one configuration only, all of whose names are known.

    Parameters
    ----------
    plans
        Content of nnU-Net's ``plans.json``.
    configuration
        Such as ``3d_fullres``.
    channels
        Number of input channels.
    path
        Where the plans are from.

    Raises
    ------
    ModelError
        They name something that is not on the lists, or lack something.
    """
    resolved = _resolved(plans.get("configurations"), configuration, path)
    problems = [*_problems(plans, resolved, channels), *_network_problems(resolved)]
    if problems:
        raise ModelError(
            f"{path}: {'; '.join(problems)}; see docs/models.md for the plans that are supported"
        )
    return {**plans, "configurations": {configuration: resolved}}


def _resolved(configurations: Any, wanted: str, path: Path) -> dict[str, Any]:
    """A configuration with what it inherits from others."""
    known = configurations if isinstance(configurations, dict) else {}
    chain: list[dict[str, Any]] = []
    name: Any = wanted
    while name is not None:
        one = known.get(name) if isinstance(name, str) else None
        if not isinstance(one, dict) or len(chain) > len(known):
            raise ModelError(
                f"{path} has no complete configuration {name!r}; restore the file or use another "
                "model"
            )
        chain.append(one)
        name = one.get("inherits_from")
    merged = {key: value for one in reversed(chain) for key, value in one.items()}
    merged.pop("inherits_from", None)
    return merged


def _problems(plans: Mapping[str, Any], one: Mapping[str, Any], channels: int) -> Iterator[str]:
    if one.get("previous_stage"):
        yield "cascades are not supported: use the first stage or 3d_fullres"
    spacing, patch = one.get("spacing"), one.get("patch_size")
    if not (
        is_list(spacing, is_size)
        and is_list(patch, is_count)
        and len(spacing) == len(patch)
        and len(patch) in (2, 3)
    ):
        yield "spacing (mm) and patch_size must both have two or both have three positive values"
    for key in ("transpose_forward", "transpose_backward"):
        if not (is_list(plans.get(key), is_axis) and sorted(plans[key]) == [0, 1, 2]):
            yield f"{key} must be a permutation of the axes 0, 1 and 2"
    if plans.get("label_manager", "LabelManager") != "LabelManager":
        yield f"label_manager {plans['label_manager']!r} is not supported"
    if one.get("preprocessor_name") != "DefaultPreprocessor":
        yield f"preprocessor {one.get('preprocessor_name')!r} is not supported"
    schemes, masked = one.get("normalization_schemes"), one.get("use_mask_for_norm")
    if not (is_list(schemes, is_normalization) and len(schemes) == channels):
        yield f"normalization {schemes!r} is not supported for {channels} channel(s)"
    if not (is_list(masked, lambda m: isinstance(m, bool)) and len(masked) == channels):
        yield "use_mask_for_norm must be true or false for each channel"
    old, new = (f"foreground_intensity_properties_{key}" for key in ("by_modality", "per_channel"))
    intensities = plans.get(new, plans.get(old))
    if not (
        isinstance(intensities, dict)
        and all(isinstance(intensities.get(str(i)), dict) for i in range(channels))
    ):
        yield f"{new} must have an entry for each channel"
    for key in ("data", "seg", "probabilities"):
        function = one.get(f"resampling_fn_{key}")
        given = one.get(f"resampling_fn_{key}_kwargs")
        if not (isinstance(function, str) and function in RESAMPLINGS):
            yield f"resampling function {function!r} is not supported"
        elif not (isinstance(given, dict) and set(given) <= RESAMPLINGS[function]):
            yield f"resampling_fn_{key}_kwargs must hold arguments of {function} only"


def _network_problems(one: Mapping[str, Any]) -> Iterator[str]:
    network = one.get("architecture")
    if network is None:
        if one.get("UNet_class_name") not in OLD_NETWORKS:
            yield f"network {one.get('UNet_class_name')!r} is not supported"
        return
    network = network if isinstance(network, dict) else {}
    name = network.get("network_class_name")
    if not (isinstance(name, str) and name in NETWORKS):
        yield f"network {name!r} is not supported"
    arguments, imported = network.get("arch_kwargs"), network.get("_kw_requires_import")
    if not (isinstance(arguments, dict) and is_list(imported, lambda key: isinstance(key, str))):
        yield "architecture must have arch_kwargs and _kw_requires_import"
        return
    for key in imported:
        part = arguments.get(key)
        if not (part is None or (isinstance(part, str) and part in PARTS)):
            yield f"{key} {part!r} in arch_kwargs is not supported"


def is_normalization(value: Any) -> bool:
    """Whether a value is the name of one of nnU-Net's own normalizations."""
    return isinstance(value, str) and value in NORMALIZATIONS
