"""A small made-up head, scanned once per variant."""

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine

from cmb_bidsapp.anatomy.proxy import UNNAMED_LOBE, to_proxy
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.simulate.acquisition import Grid, scan_t2star
from cmb_bidsapp.simulate.case import simulate_case
from cmb_bidsapp.simulate.dataset import (
    describe_dataset,
    write_case,
)
from cmb_bidsapp.simulate.person import Person
from cmb_bidsapp.simulate.physics import Source
from cmb_bidsapp.simulate.protocols import PROTOCOLS
from cmb_bidsapp.simulate.sites import Sites
from cmb_bidsapp.simulate.sources import choose_microbleeds, choose_mimics
from cmb_bidsapp.simulate.truth import (
    LESION_COLUMNS,
    LESION_LOSS,
    MIMIC_COLUMNS,
    VISIBLE_DIAMETER_MM,
)
from tests.simulate.heads import HEAD, SIZE

PROTOCOL = PROTOCOLS["gre3t3mm"]


SITES = Sites(HEAD)
CENTRE = np.argwhere(HEAD.brain).mean(axis=0)


def case_of(seed=0, count=6, veins=5, microbleeds=None):
    rng = np.random.default_rng(seed)
    microbleeds = microbleeds or choose_microbleeds(SITES, count, rng)
    person = Person.of(HEAD, microbleeds, choose_mimics(SITES, rng, veins))
    return simulate_case(person, PROTOCOL, rng)


@pytest.fixture(scope="module")
def case():
    return case_of()


@pytest.fixture(scope="module")
def empty():
    return case_of(count=0)


@pytest.fixture(scope="module")
def strong():
    """One strong microbleed at a known point of the head, in subcortical white matter."""
    point = np.array([20.0, 35.0, 40.0])
    source = Source("cmb", 2.0, (1.5, 1.5, 1.5), point[None])
    return point, case_of(count=0, veins=0, microbleeds=[source])


def images(case):
    return {
        name: getattr(case, name)
        for name in ("t2star", "t1w_on_t2star", "brain", "proxy", "instances", "ignore")
    }


def test_the_toy_head_has_what_the_simulation_looks_for():
    rng = np.random.default_rng(0)
    sites = (
        "junction",
        "subcortical",
        "sulcus",
        "periventricular",
        "choroid",
        "basal-ganglia",
        "thalamus",
        "cerebellum",
        "brainstem",
    )
    for site in sites:
        assert SITES.draw(site, rng) is not None, site


def test_everything_is_on_the_t2star_grid(case):
    assert len({image.shape for image in images(case).values()}) == 1
    np.testing.assert_allclose(np.diag(case.affine)[:3], PROTOCOL.voxel)
    assert case.t1w.shape == HEAD.dseg.shape


def test_the_grid_covers_the_brain(case):
    grid = Grid.around(HEAD, PROTOCOL)
    assert grid.shape == case.t2star.shape
    inside = np.argwhere(HEAD.brain)
    index = (inside - np.array(grid.origin)) / np.array(grid.voxel)
    assert (index >= -0.5).all()
    assert (index <= np.array(grid.shape) - 0.5).all()
    volume = case.brain.sum() * np.prod(PROTOCOL.voxel)
    assert volume == pytest.approx(HEAD.brain.sum(), rel=0.05)


def test_magnitudes_are_plausible(case):
    assert np.isfinite(case.t2star).all()
    assert case.t2star.min() >= 0
    inside = case.brain > 0
    assert np.median(case.t2star[inside]) > 5 * np.median(case.t2star[:3])
    assert np.median(case.t1w_on_t2star[inside]) > 3 * np.median(case.t1w_on_t2star[:3])


def test_lesions_lie_inside_the_brain(case):
    assert (case.instances > 0).any()
    assert not (case.instances[case.brain == 0]).any()
    assert not case.ignore[case.brain == 0].any()
    assert not case.proxy[case.brain == 0].any()


def test_the_table_and_the_mask_hold_the_same_lesions(case):
    assert len(case.lesions) == 6
    visible = [row for row in case.lesions if row["visible"]]
    assert visible
    numbers = [row["lesion_id"] for row in visible]
    assert numbers == list(range(1, len(visible) + 1))
    assert np.unique(case.instances[case.instances > 0]).tolist() == numbers
    for row in visible:
        mask = case.instances == row["lesion_id"]
        assert row["volume"] == pytest.approx(mask.sum() * np.prod(PROTOCOL.voxel))
        assert row["apparent_diameter"] >= VISIBLE_DIAMETER_MM
        voxels = apply_affine(case.affine, np.argwhere(mask))
        distance = np.linalg.norm(voxels - [row["x"], row["y"], row["z"]], axis=1)
        assert distance.min() < 3
    for row in case.lesions:
        assert set(row) == set(LESION_COLUMNS)
        if not row["visible"]:
            assert (row["lesion_id"], row["volume"], row["apparent_diameter"]) == (None,) * 3


def test_what_is_too_faint_is_to_be_ignored_and_never_counted(case):
    assert set(np.unique(case.ignore)) <= {0, 1}
    assert not case.ignore[case.instances > 0].any()


def test_proxy_classes_of_the_case(case):
    assert set(np.unique(case.proxy)) == {0, 1, 2, 3}
    half = case.proxy.shape[2] // 2
    assert not (case.proxy[:, :, half:] == 3).any()  # the head stands upright
    assert (case.proxy == 1).sum() > (case.proxy == 2).sum()


def test_the_mars_map_agrees_with_the_proxy_classes_and_knows_no_lobes(case):
    known = case.mars > 0
    assert (to_proxy(case.mars)[known] == case.proxy[known]).all()
    assert set(np.unique(case.mars[known] % 100)) <= {*range(1, 9), UNNAMED_LOBE}
    assert known[case.proxy > 0].mean() > 0.95
    x = (np.indices(case.mars.shape)[0] * case.affine[0, 0] + case.affine[0, 3])[known]
    right = case.mars[known] >= 200
    assert x[right].mean() > 5 > -5 > x[~right].mean()  # mm, RAS


def test_lesions_tell_their_side(case):
    for row in case.lesions:
        assert row["side"] in ("left", "right", None)
        if abs(row["x"]) > 10:
            assert row["side"] in (("right" if row["x"] > 0 else "left"), None)


def test_a_microbleed_lies_where_it_was_put(strong):
    point, case = strong
    (row,) = case.lesions
    np.testing.assert_allclose([row["x"], row["y"], row["z"]], point - CENTRE, atol=1e-6)
    assert row["visible"]
    assert row["region"] == "lobar"
    assert row["true_diameter"] == pytest.approx(3.0)
    assert row["apparent_diameter"] > 3.0
    mask = case.instances == 1
    middle = apply_affine(case.affine, np.argwhere(mask).mean(axis=0))
    assert np.linalg.norm(middle - (point - CENTRE)) < 2


def test_a_microbleed_is_dark(strong):
    _, case = strong
    mask = case.instances == 1
    around = case.proxy == 1
    darkest = case.t2star[mask].min()
    assert darkest < 0.5 * np.median(case.t2star[around])
    assert case.t2star[mask].mean() < (1 - LESION_LOSS) * np.median(case.t2star[around])


def test_the_t1w_image_does_not_show_it(strong):
    point, case = strong
    i, j, k = np.round(point).astype(int)
    nearby = case.t1w[i - 1 : i + 2, j - 1 : j + 2, k - 1 : k + 2].mean()
    assert nearby == pytest.approx(np.median(case.t1w[np.isin(HEAD.dseg, (2, 41))]), rel=0.15)


def test_the_transform_leads_from_t1w_to_t2star(case):
    """Voxel (i, j, k) of the T1w is at (i, j, k) mm of the head; its centre is T2*w's origin."""
    both = case.t1w_to_t2star @ case.t1w_affine
    np.testing.assert_allclose(apply_affine(both, CENTRE), 0, atol=1e-9)
    np.testing.assert_allclose(both[:3, :3], np.eye(3), atol=1e-9)
    assert np.abs(case.t1w_affine[:3, :3] - np.eye(3)).max() > 1e-3


def test_t1w_on_the_t2star_grid_is_the_t1w_image(case):
    """Up to the misregistration that is put in."""
    pull = np.linalg.inv(case.t1w_affine) @ np.linalg.inv(case.t1w_to_t2star) @ case.affine
    index = np.round(apply_affine(pull, np.argwhere(case.brain))).astype(int)
    direct = case.t1w[tuple(np.clip(index, 0, SIZE - 1).T)]
    assert np.corrcoef(direct, case.t1w_on_t2star[case.brain > 0])[0, 1] > 0.7


def test_the_same_seed_gives_the_same_case(case):
    again = case_of()
    for name, image in images(case).items():
        np.testing.assert_array_equal(images(again)[name], image, err_msg=name)
    np.testing.assert_array_equal(again.t1w, case.t1w)
    np.testing.assert_array_equal(again.t1w_to_t2star, case.t1w_to_t2star)
    assert (again.lesions, again.mimics) == (case.lesions, case.mimics)


def test_another_seed_gives_another_case(case):
    other = case_of(seed=1)
    for name in ("t2star", "t1w_on_t2star", "instances"):
        assert (images(other)[name] != images(case)[name]).any(), name
    np.testing.assert_array_equal(other.brain, case.brain)
    np.testing.assert_array_equal(other.proxy, case.proxy)


def test_no_lesions_give_an_empty_mask(empty):
    assert empty.lesions == []
    assert not empty.instances.any()
    assert empty.brain.any()
    assert empty.mimics  # veins and calcifications are no lesions


def test_no_lesions_leave_nothing_to_ignore(empty):
    assert not empty.ignore.any()


def test_without_microbleeds_no_signal_is_lost():
    rng = np.random.default_rng(0)
    grid = Grid.around(HEAD, PROTOCOL)
    scan = scan_t2star(HEAD, PROTOCOL, grid, [], choose_mimics(SITES, rng, 5), rng)
    assert scan.loss.max() == 0


def files_below(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def assert_files(folder, expected):
    found = files_below(folder)
    assert not expected - found, f"Expected but not found: {sorted(expected - found)}"
    assert not found - expected, f"Found but not expected: {sorted(found - expected)}"


def with_sidecars(*stems):
    return {name for stem in stems for name in (f"{stem}.nii.gz", f"{stem}.json")}


@pytest.mark.parametrize("session", [None, "A"])
def test_a_case_is_written_as_these_files(case, tmp_path, session):
    write_case(tmp_path / "raw", tmp_path / "truth", {"sub": "01", "ses": session}, case)
    folder = "sub-01/ses-A/anat" if session else "sub-01/anat"
    stem = f"{folder}/sub-01_ses-A" if session else f"{folder}/sub-01"
    assert_files(tmp_path / "raw", with_sidecars(f"{stem}_T2starw", f"{stem}_T1w"))
    assert_files(
        tmp_path / "truth",
        with_sidecars(
            f"{stem}_desc-preproc_T2starw",
            f"{stem}_space-T2starw_desc-preproc_T1w",
            f"{stem}_space-T2starw_desc-brain_mask",
            f"{stem}_space-T1w_desc-brain_mask",
            f"{stem}_space-T2starw_desc-proxy_dseg",
            f"{stem}_space-T2starw_desc-CMBinstances_dseg",
            f"{stem}_space-T2starw_label-CMB_mask",
            f"{stem}_space-T2starw_label-CMB_desc-ignore_mask",
        )
        | {f"{stem}_label-CMB_{t}.{e}" for t in ("lesions", "mimics") for e in ("tsv", "json")}
        | {
            f"{stem}_space-T2starw_desc-{desc}_dseg.{extension}"
            for desc in ("mars", "mimics")
            for extension in ("nii.gz", "json", "tsv")
        }
        | {f"{stem}_from-T1w_to-T2starw_mode-image_xfm.json"},
    )


def test_the_files_hold_the_case(case, tmp_path):
    raw, truth = tmp_path / "raw", tmp_path / "truth"
    write_case(raw, truth, {"sub": "01", "ses": None}, case)

    def read(folder, name):
        return nib.load(folder / "sub-01" / "anat" / f"sub-01_{name}.nii.gz")

    t2star = read(raw, "T2starw")
    np.testing.assert_allclose(t2star.affine, case.affine, atol=1e-4)
    np.testing.assert_allclose(t2star.get_fdata(), case.t2star, atol=0.51)
    np.testing.assert_allclose(read(raw, "T1w").affine, case.t1w_affine, atol=1e-4)
    for name, image in (
        ("space-T2starw_desc-CMBinstances_dseg", case.instances),
        ("space-T2starw_label-CMB_mask", case.instances > 0),
        ("space-T2starw_desc-proxy_dseg", case.proxy),
        ("space-T2starw_desc-mars_dseg", case.mars),
        ("space-T2starw_desc-mimics_dseg", case.mimic_dseg),
        ("space-T2starw_desc-brain_mask", case.brain),
        ("space-T1w_desc-brain_mask", HEAD.brain),
    ):
        np.testing.assert_array_equal(np.asarray(read(truth, name).dataobj), image)
    stripped = read(truth, "desc-preproc_T2starw").get_fdata()
    assert not stripped[case.brain == 0].any()

    anat = raw / "sub-01" / "anat"
    sidecar = json.loads((anat / "sub-01_T2starw.json").read_text())
    assert (sidecar["MagneticFieldStrength"], sidecar["EchoTime"]) == (3.0, 0.02)
    rows = read_table(truth / "sub-01" / "anat" / "sub-01_label-CMB_lesions.tsv")
    assert [row["visible"] for row in rows] == [
        "true" if lesion["visible"] else "false" for lesion in case.lesions
    ]
    assert list(rows[0]) == list(LESION_COLUMNS)
    mimics = read_table(truth / "sub-01" / "anat" / "sub-01_label-CMB_mimics.tsv")
    assert [row["kind"] for row in mimics] == [mimic["kind"] for mimic in case.mimics]
    assert list(mimics[0]) == list(MIMIC_COLUMNS)
    transform = truth / "sub-01" / "anat" / "sub-01_from-T1w_to-T2starw_mode-image_xfm.json"
    np.testing.assert_allclose(json.loads(transform.read_text())["Matrix"], case.t1w_to_t2star)


def test_the_phase_is_written_as_a_part_of_its_own(case, tmp_path):
    write_case(tmp_path / "raw", tmp_path / "truth", {"sub": "01", "ses": None}, case, phase=True)
    anat = tmp_path / "raw" / "sub-01" / "anat"
    assert not (anat / "sub-01_T2starw.nii.gz").exists()
    assert (anat / "sub-01_part-mag_T2starw.nii.gz").exists()
    phase = nib.load(anat / "sub-01_part-phase_T2starw.nii.gz").get_fdata()
    assert -np.pi <= phase.min() < -1
    assert 1 < phase.max() <= np.pi + 1e-6
    sidecar = json.loads((anat / "sub-01_part-phase_T2starw.json").read_text())
    assert (sidecar["Units"], sidecar["ProtocolName"]) == ("rad", "gre3t3mm")


def test_an_swi_is_named_as_such_and_has_no_phase_beside_it(case, tmp_path):
    weighted = replace(case, protocol=replace(case.protocol, swi=True))
    entities = {"sub": "01", "ses": None}
    write_case(tmp_path / "raw", tmp_path / "truth", entities, weighted, phase=True)
    names = sorted(p.name for p in (tmp_path / "raw" / "sub-01" / "anat").glob("*.nii.gz"))
    assert names == ["sub-01_T1w.nii.gz", "sub-01_acq-swi_T2starw.nii.gz"]
    sidecar = tmp_path / "truth/sub-01/anat/sub-01_desc-preproc_T2starw.json"
    reference = json.loads(sidecar.read_text())["SpatialReference"]
    assert reference == "bids:raw:sub-01/anat/sub-01_acq-swi_T2starw.nii.gz"


def test_descriptions_of_the_dataset_and_its_truth(tmp_path):
    describe_dataset(tmp_path / "raw", "Toy")
    describe_dataset(tmp_path / "truth", "Toy truth", derivative_of=tmp_path / "raw")
    assert_files(tmp_path / "raw", {"dataset_description.json", "README.md"})
    assert_files(tmp_path / "truth", {"dataset_description.json", "README.md", ".bidsignore"})
    raw, truth = (
        json.loads((tmp_path / name / "dataset_description.json").read_text())
        for name in ("raw", "truth")
    )
    assert (raw["DatasetType"], truth["DatasetType"]) == ("raw", "derivative")
    assert truth["DatasetLinks"]["raw"] == str(tmp_path / "raw")
