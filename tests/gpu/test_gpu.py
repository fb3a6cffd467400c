"""The networks on a GPU: as on the processor, and one process at a time.

``pytest -m gpu`` on a machine with one runs them; elsewhere they skip.
"""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import ndimage

from cmb_bidsapp.anatomy.atlas import load_atlas
from cmb_bidsapp.anatomy.network import AnatomyNetwork
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.core.contrast import Contrast
from cmb_bidsapp.evaluation.matching import in_common, pieces_of
from cmb_bidsapp.evaluation.metrics import Overlap
from cmb_bidsapp.lesions.segment import LesionNetwork
from cmb_bidsapp.models.registry import load_bundle, load_lesion_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]

#: The last of the GPUs that are there; its number is part of what is tested.
GPU = f"cuda:{max(torch.cuda.device_count() - 1, 0)}"
AFFINE = np.diag([1.0, 1.0, 3.0, 1.0])


@pytest.fixture(scope="module")
def head():
    """Brain of the atlas as a T2*w of thick slices, with round dark spots."""
    dseg = load_atlas().data[:, :, ::3]
    rng = np.random.default_rng(5)
    image = np.where(dseg > 0, 300, 0) + 40 * (dseg > 1000) + rng.normal(0, 8, dseg.shape)
    inside = np.argwhere(ndimage.binary_erosion(dseg > 0, iterations=6))
    for place in inside[rng.choice(len(inside), 12, replace=False)]:
        x, y, z = place
        image[x - 2 : x + 3, y - 2 : y + 3, z] *= 0.3
    return np.where(dseg > 0, np.maximum(image, 1), 0).astype(np.float32)


@pytest.mark.parametrize("name", ["lesions", "lesions-valdo"])
def test_a_gpu_finds_the_lesions_and_regions_that_the_processor_finds(head, name):
    model = replace(load_lesion_model(name), second_look=None)
    cpu, gpu = (LesionNetwork(model, device)(head, None, AFFINE) for device in ("cpu", GPU))
    for label in np.unique(cpu.labels):
        assert Overlap.of(cpu.labels == label, gpu.labels == label).dice > 0.999
    own, found = (pieces_of(one.cmb_probability >= 0.5, AFFINE) for one in (cpu, gpu))
    assert len(own) == len(found) == len(in_common(own, found, head.shape).pairs)


def test_a_gpu_sees_the_anatomy_that_the_processor_sees(head):
    bundle = load_bundle("anatomy")
    cpu, gpu = (
        AnatomyNetwork(bundle, device)(Volume(head, AFFINE), Contrast.T2STARW)
        for device in ("cpu", GPU)
    )
    one, other = (seen.structures for seen in (cpu, gpu))
    assert Overlap.of(one > 0, other > 0).dice > 0.999
    assert (one == other).mean() > 0.999


def test_processes_take_turns_on_a_gpu(tmp_path):
    code = f"""
import pathlib, sys, time, torch
from cmb_bidsapp.models.device import inference_on
with inference_on(torch.device({GPU!r})):
    began = time.time()
    torch.ones(1000, 1000, device={GPU!r}) @ torch.ones(1000, 1000, device={GPU!r})
    time.sleep(0.5)
    pathlib.Path(sys.argv[1]).write_text(f"{{began}} {{time.time()}}")
"""
    files = [tmp_path / str(number) for number in range(3)]
    running = [subprocess.Popen([sys.executable, "-c", code, str(file)]) for file in files]
    assert [process.wait() for process in running] == [0, 0, 0]
    times = sorted(tuple(map(float, file.read_text().split())) for file in files)
    assert all(ended <= began for (_, ended), (began, _) in pairwise(times))
