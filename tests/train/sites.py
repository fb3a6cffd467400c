"""A made-up site whose vessels its lesion model takes for microbleeds as readily as these."""

import dataclasses

import numpy as np
import torch

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.core.defaults import OPERATING_POINTS
from cmb_bidsapp.lesions.second_look import SecondLook, judge_views
from cmb_bidsapp.lesions.spots import dark_places, relative_brightness
from cmb_bidsapp.lesions.views import Viewer
from cmb_bidsapp.models.card import CARD, read_card, write_card
from cmb_bidsapp.models.registry import load_lesion_model
from cmb_bidsapp.train.export import add_second_look
from tests.models.toys import toy_bundle
from tests.sensitivity.scans import AFFINE, SHAPE, DarkSpots, plain_scan


class Proposer(DarkSpots):
    """In the place of the nnU-Net: proposes every dark spot."""

    def __init__(self, model, device, *, mirror):
        super().__init__(0.3)
        assert model.second_look is None, "the nnU-Net alone proposes"
        assert not mirror, "as the results were made"


def with_vessels(seed):
    """A flat brain with dark lines, along x and along y."""
    scan, rng = plain_scan(), np.random.default_rng(seed)
    for x, y, z in zip(*rng.integers(8, 60, (2, 24)), rng.integers(2, 16, 24), strict=True):
        scan.t2star[x : x + 14, y, z] *= 0.3
        scan.t2star[y, x : x + 14, z] *= 0.3
    return scan


def untrained_bundle(folder):
    """A model whose judges have learned nothing; its threshold marks a fifth of dark places."""
    toy_bundle(folder, license="CC BY-NC-SA 4.0", training_data="nothing")
    torch.manual_seed(3)
    network = SecondLook()
    add_second_look(folder, network.state_dict())
    scan = with_vessels(99)
    viewer = Viewer.of(scan.t2star, scan.voxel)
    spots = dark_places(relative_brightness(scan.t2star, scan.voxel), scan.voxel, 0.9)[:60]
    scores = judge_views(network, viewer.views(spots), viewer.log_voxel())
    threshold = float(np.quantile(scores, 0.8))
    changed = dataclasses.replace(
        read_card(folder / CARD),
        threshold=threshold,
        operating_points={name: {"threshold": threshold} for name in OPERATING_POINTS},
        calibration={"knots": [[threshold - 0.1, 0.2], [0.99, 0.9]], "method": "logistic"},
    )
    write_card(folder / CARD, changed)
    return folder


def write_session(folder, participant, model, seed=0, affine=AFFINE):
    """Outputs of the participant level, in which nothing is suspected."""
    files, scan = SessionFiles(folder, participant, None), with_vessels(seed)
    made = {"Model": model.name, "ModelSHA256": model.sha256, "Mirrored": False}
    nothing = np.zeros(SHAPE, np.uint8)
    write_image(files.t2star, scan.t2star, affine, {"MagneticFieldStrength": 3, "EchoTime": 0.02})
    write_image(files.proxy, scan.regions, affine, {})
    write_image(files.probability, nothing.astype(np.float32), affine, made)
    write_image(files.raw_mask, nothing, affine, {})
    write_image(files.mask, nothing, affine, {})
    return files


def site(folder, bundle, participants=("01", "02", "03")):
    """Sessions of several participants."""
    model = load_lesion_model(str(bundle))
    for seed, participant in enumerate(participants):
        write_session(folder, participant, model, seed)
    return folder
