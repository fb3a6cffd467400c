"""Plans name code that nnU-Net imports: only what is known gets through."""

import copy
import sys
from pathlib import Path

import pytest

from cmb_bidsapp.core.errors import ExitCode, ModelError
from cmb_bidsapp.models import plans as module
from cmb_bidsapp.models.plans import checked_plans
from cmb_bidsapp.models.registry import check_lesion_model, load_lesion_model
from tests.models.toys import CONFIGURATION, toy_bundle, toy_folder, toy_plans

PATH = Path("model/plans.json")


def changed(where, value, plans=None):
    """Plans with one value exchanged; ``where`` begins inside the configuration or with ``/``."""
    plans = copy.deepcopy(plans or toy_plans())
    *folders, last = where.strip("/").split("/")
    place = plans if where.startswith("/") else plans["configurations"][CONFIGURATION]
    for folder in folders:
        place = place[folder]
    place[last] = value
    return plans


def test_known_plans_pass_with_the_wanted_configuration_only():
    plans = toy_plans()
    plans["configurations"]["2d"] = {"preprocessor_name": "os.system"}
    checked = checked_plans(plans, CONFIGURATION, 2, PATH)
    assert checked == toy_plans()


def test_inherited_values_are_checked_too():
    plans = toy_plans()
    plans["configurations"]["bs4"] = {"inherits_from": CONFIGURATION, "batch_size": 4}
    checked = checked_plans(plans, "bs4", 2, PATH)["configurations"]["bs4"]
    assert checked["batch_size"] == 4
    assert checked["architecture"] == toy_plans()["configurations"][CONFIGURATION]["architecture"]
    hostile = changed("architecture/network_class_name", "os.mkdir", plans)
    with pytest.raises(ModelError, match="mkdir"):
        checked_plans(hostile, "bs4", 2, PATH)


@pytest.mark.parametrize("parent", ["bs4", "absent", 7, ["bs4"]])
def test_inheritance_without_an_end_is_refused(parent):
    plans = toy_plans()
    plans["configurations"]["bs4"] = {"inherits_from": parent}
    with pytest.raises(ModelError, match="no complete configuration"):
        checked_plans(plans, "bs4", 2, PATH)


DNA = "dynamic_network_architectures.architectures.unet"


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("architecture/network_class_name", "subprocess.Popen"),
        ("architecture/network_class_name", f"{DNA}.torch.os.mkdir"),
        ("architecture/network_class_name", f"{DNA}.PlainConvUNet.__init__"),
        ("architecture/network_class_name", f"../{DNA}.PlainConvUNet"),
        ("architecture/network_class_name", None),
        ("architecture/network_class_name", [f"{DNA}.PlainConvUNet"]),
        ("architecture/arch_kwargs/conv_op", "os.mkdir"),
        ("architecture/arch_kwargs/conv_op", "torch.hub.load"),
        ("architecture/arch_kwargs/nonlin", "torch.nn.modules.module.torch.os.mkdir"),
        ("architecture/arch_kwargs/norm_op", "torch.nn.modules.conv.InstanceNorm3d"),
        ("architecture/arch_kwargs/norm_op", {"torch": "nn"}),
        ("architecture/arch_kwargs/n_stages", None),
        ("architecture/arch_kwargs", None),
        ("architecture/_kw_requires_import", ["conv_op", "n_stages"]),
        ("architecture/_kw_requires_import", "conv_op"),
        ("architecture", None),
        ("UNet_class_name", "Hostile"),
        ("preprocessor_name", "shutil"),
        ("resampling_fn_data", "os"),
        ("resampling_fn_seg", ["os"]),
        ("resampling_fn_probabilities_kwargs", {"device": "cuda"}),
        ("normalization_schemes", ["ZScoreNormalization"]),
        ("normalization_schemes", ["ZScoreNormalization", "torch"]),
        ("use_mask_for_norm", [True]),
        ("patch_size", [4, 16]),
        ("patch_size", [4, 16, 1.5]),
        ("spacing", [5, 1, 0]),
        ("previous_stage", "3d_lowres"),
        ("/label_manager", "os"),
        ("/transpose_forward", [0, 1, 1]),
        ("/transpose_backward", None),
        ("/foreground_intensity_properties_per_channel", {"0": {}}),
        ("/configurations", []),
    ],
)
def test_anything_else_is_refused_in_one_line(where, value):
    plans = changed(where, value)
    if where == "UNet_class_name":
        del plans["configurations"][CONFIGURATION]["architecture"]
    if where.endswith("n_stages"):
        plans["configurations"][CONFIGURATION]["architecture"]["_kw_requires_import"] = 1
    with pytest.raises(ModelError) as caught:
        checked_plans(plans, CONFIGURATION, 2, PATH)
    assert caught.value.code == ExitCode.CONFIG
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(PATH))


def test_everything_on_the_lists_is_there_to_import():
    import pydoc

    for name in module.PARTS:
        assert isinstance(pydoc.locate(name), type), name
    located = [pydoc.locate(name) for name in module.NETWORKS]
    # nnU-Net finds the one that has moved by its last name.
    assert sum(isinstance(one, type) for one in located) == len(module.NETWORKS) - 1


@pytest.mark.parametrize(
    "where", ["architecture/network_class_name", "architecture/arch_kwargs/conv_op"]
)
@pytest.mark.parametrize("make", [toy_folder, toy_bundle])
def test_a_module_named_in_hostile_plans_is_not_imported(tmp_path, monkeypatch, where, make):
    trace = tmp_path / "was-imported"
    (tmp_path / "hostile_module.py").write_text(f"import os\nos.mkdir({str(trace)!r})\nNet = int\n")
    monkeypatch.syspath_prepend(tmp_path)
    folder = make(tmp_path / "model", plans=changed(where, "hostile_module.Net"))
    with pytest.raises(ModelError, match=r"hostile_module\.Net"):
        load_lesion_model(str(folder))
    assert not trace.exists()
    assert "hostile_module" not in sys.modules
    with pytest.raises(ModelError, match=r"hostile_module\.Net"):
        check_lesion_model(str(folder))
