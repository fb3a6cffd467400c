"""What is refused before microbleeds are drawn into a session."""

import numpy as np
import pytest

from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.core.decisions import Decisions
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.models.registry import load_lesion_model
from cmb_bidsapp.phases.sensitivity import chain_of, decisions_of, read_scan
from cmb_bidsapp.settings import Settings
from tests.levels.test_sensitivity import DECISIONS
from tests.models.toys import toy_bundle
from tests.sensitivity.scans import plain_scan


def test_slices_that_are_not_axial_are_refused(files):
    image = np.ones((20, 6, 20), np.float32)
    write_image(files.t2star, image, np.diag([1.0, 5.0, 1.0, 1.0]), {})
    with pytest.raises(DataError, match=r"T2starw.*coronal"):
        read_scan(files)


def test_decisions_are_those_of_the_session_not_of_the_run(files, tmp_path):
    nothing = np.zeros((2, 2, 2), np.uint8)
    write_image(files.mask, nothing, np.eye(4), {})
    with pytest.raises(DataError, match="Decisions"):
        decisions_of(files)
    decided = {**DECISIONS, "threshold": 0.77, "min_size": 3.0}
    write_image(files.mask, nothing, np.eye(4), {"Decisions": decided})
    write_image(files.probability, nothing, np.eye(4), {"Mirrored": False})
    model = load_lesion_model(str(toy_bundle(tmp_path / "bundle")))
    settings = Settings(
        bids_dir=tmp_path, out_dir=tmp_path / "out", levels=("participant",), sensitivity=1
    )
    chain = chain_of(model, plain_scan(), files, settings)
    assert chain.decisions == Decisions.written(decided)
    assert (chain.decisions.threshold, chain.own_regions) == (0.77, True)
