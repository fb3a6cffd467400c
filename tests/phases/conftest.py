"""Fixtures of the tests of regions."""

import pytest

from cmb_bidsapp.anatomy.parcellation import Parcellation
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.inputs import Scan
from cmb_bidsapp.preprocess.resampling import Grid
from cmb_bidsapp.settings import Anatomy, Settings
from tests.phases.heads import AFFINE, ellipsoid, shifted
from tests.skeletons import rescanned, write_nifti
from tests.skeletons import session as session_of


@pytest.fixture(scope="session")
def labeled():
    """A head in MNI152 that is labeled."""
    dseg = ellipsoid()
    return Parcellation(
        dseg=dseg,
        grid=Grid(dseg.shape, AFFINE),
        source="FreeSurfer (7.4.1)",
        standard=shifted((0, 0, 0)),
    )


@pytest.fixture
def files(tmp_path):
    return SessionFiles(tmp_path / "out", "01", None)


@pytest.fixture
def session(tmp_path):
    raw = write_nifti(tmp_path / "bids" / "T2starw.nii.gz")
    t1w = Scan(
        path=write_nifti(tmp_path / "bids" / "T1w.nii.gz"),
        entities={"suffix": "T1w"},
        metadata={},
        voxel_mm3=1.0,
    )
    return rescanned(session_of("01", None, raw), t1w=t1w)


@pytest.fixture
def settings(tmp_path):
    def make(**options):
        return Settings(
            bids_dir=tmp_path / "bids",
            out_dir=tmp_path / "out",
            levels=("participant",),
            anatomy=Anatomy(**options),
        )

    return make
