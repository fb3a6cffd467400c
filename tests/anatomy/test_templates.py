"""Standard spaces: the packaged one, and those of a TemplateFlow home made up here."""

import socket
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine

from cmb_bidsapp.anatomy.standard import centers
from cmb_bidsapp.anatomy.templates import Space, find_template
from cmb_bidsapp.core.errors import UnavailableError, UsageError
from cmb_bidsapp.core.labels import STANDARD_SPACE
from cmb_bidsapp.preprocess.ants import write_linear

OTHER = "MNI152NLin2009cAsym"
AFFINE = np.array([[2.0, 0, 0, -20], [0, 2, 0, -30], [0, 0, 2, -10], [0, 0, 0, 1]])
#: Voxels of the other space to points of ours.
WAY = np.array([[1.02, 0, 0, 1], [0, 0.98, 0, -2], [0, 0, 1, 3], [0, 0, 0, 1.0]])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that holds one image of another space, and the way there."""
    from templateflow.conf import _cache

    folder = tmp_path / "templateflow" / f"tpl-{OTHER}"
    folder.mkdir(parents=True)
    image = nib.Nifti1Image(np.zeros((20, 30, 10), np.uint8), AFFINE)
    nib.save(image, folder / f"tpl-{OTHER}_res-02_T1w.nii.gz")
    nib.save(image, folder / f"tpl-{OTHER}_res-02_desc-brain_T1w.nii.gz")
    write_linear(WAY, folder / f"tpl-{OTHER}_from-{STANDARD_SPACE}_mode-image_xfm.h5")
    monkeypatch.setattr(_cache.config, "root", folder.parent)
    _cache.__dict__.pop("layout", None)
    yield folder
    _cache.__dict__.pop("layout", None)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("nobody is to be asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_a_space_has_a_name_and_a_resolution():
    assert Space.parse("MNI152NLin2009cAsym:res-02") == Space("MNI152NLin2009cAsym", 2)
    assert Space.parse("MNI152NLin6Asym") == Space("MNI152NLin6Asym", 2)
    assert str(Space.parse("MNI152NLin6Asym:res-1")) == "MNI152NLin6Asym:res-1"


@pytest.mark.parametrize("text", ["", "MNI 152", "MNI152:2", "MNI152:res-", "../tpl", "a:res-0"])
def test_what_is_no_space_is_refused(text: str):
    with pytest.raises(UsageError, match="expected NAME or NAME:res-N"):
        Space.parse(text)


def test_our_own_space_has_two_resolutions():
    with pytest.raises(UsageError, match="has res-1 and res-2"):
        Space.parse("MNI152NLin6Asym:res-3")


@pytest.mark.parametrize(("resolution", "shape"), [(1, (182, 218, 182)), (2, (91, 109, 91))])
def test_our_own_space_needs_no_templateflow(resolution, shape):
    template = find_template(Space(STANDARD_SPACE, resolution))
    assert template.grid.shape == shape
    points = template.points()
    # Both grids have a voxel at the anterior commissure, and reach as far as FSL's.
    assert (np.abs(points).sum(axis=-1) == 0).sum() == 1
    np.testing.assert_allclose(
        points[-1, -1, -1], [90, 90 + (resolution == 1), 108 + (resolution == 1)]
    )


def test_another_space_comes_from_templateflow(home: Path):
    template = find_template(Space(OTHER, 2))
    assert template.grid.shape == (20, 30, 10)
    np.testing.assert_allclose(
        template.points(), apply_affine(WAY, centers(template.grid)), atol=1e-4
    )


@pytest.mark.parametrize("space", [Space(OTHER, 1), Space("OASIS30ANTs", 2)])
def test_what_the_home_does_not_hold_is_said(home: Path, space: Space):
    with pytest.raises(UnavailableError, match=f"{space}: TemplateFlow .* has no T1w image"):
        find_template(space)


def test_what_is_known_but_not_there_is_said_and_not_fetched(home: Path):
    image = home / f"tpl-{OTHER}_res-02_T1w.nii.gz"
    image.write_bytes(b"")
    with pytest.raises(
        UnavailableError, match=rf"{image.name} is not fetched; .* api.get\('{OTHER}'"
    ):
        find_template(Space(OTHER, 2))


def test_a_space_without_a_way_to_it_is_refused(home: Path):
    (home / f"tpl-{OTHER}_from-{STANDARD_SPACE}_mode-image_xfm.h5").unlink()
    with pytest.raises(UnavailableError, match=f"no transform from {STANDARD_SPACE}"):
        find_template(Space(OTHER, 2))


def test_a_damaged_transform_is_named(home: Path):
    path = home / f"tpl-{OTHER}_from-{STANDARD_SPACE}_mode-image_xfm.h5"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UnavailableError, match=f"{path.name} cannot be read; fetch it again"):
        find_template(Space(OTHER, 2)).points()


def test_a_damaged_image_is_named(home: Path):
    path = home / f"tpl-{OTHER}_res-02_T1w.nii.gz"
    path.write_bytes(b"no image")
    with pytest.raises(UnavailableError, match=f"{path.name} cannot be read"):
        find_template(Space(OTHER, 2))
