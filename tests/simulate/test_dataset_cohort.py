"""Whole simulated datasets: participants, sessions, follow-ups."""

import shutil

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.simulate.dataset import SimulatedCohort, simulate_dataset
from cmb_bidsapp.simulate.protocols import PROTOCOLS
from tests.simulate.heads import HEAD

PROTOCOL = PROTOCOLS["gre3t3mm"]

VISITS = ("1", "2", "3")


def cohort(participants=1, **options):
    settings = {"microbleeds": (2, 4), "seed": 4, "sessions": {0: VISITS}, **options}
    return SimulatedCohort(
        heads=[HEAD], participants=participants, protocols=[PROTOCOL], **settings
    )


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """Two participants with two follow-ups each, the second unchanged; other slices later on."""
    folder = tmp_path_factory.mktemp("followed")
    later = PROTOCOLS["gre3t4mm"]
    options = {"sessions": {0: VISITS, 1: VISITS}, "new": (1, 2), "unchanged": 0.5}
    simulate_dataset(cohort(2, follow_up_protocols=[PROTOCOL, later], **options), folder)
    return folder


def lesions(folder, participant, session):
    stem = f"sub-{participant}/ses-{session}/anat/sub-{participant}_ses-{session}"
    return read_table(folder / "derivatives" / "truth" / f"{stem}_label-CMB_lesions.tsv")


def t2star(folder, participant, session):
    stem = f"sub-{participant}/ses-{session}/anat/sub-{participant}_ses-{session}"
    return nib.load(folder / f"{stem}_T2starw.nii.gz")


def places(rows):
    return np.array([[float(row[axis]) for axis in "xyz"] for row in rows])


def test_a_follow_up_has_what_was_there_and_new_microbleeds(followed):
    before = lesions(followed, "01", "1")
    for session in VISITS[1:]:
        after = lesions(followed, "01", session)
        assert 1 <= len(after) - len(before) <= 2
        for old, still in zip(before, after[: len(before)], strict=True):
            assert all(old[name] == still[name] for name in ("source", "chi", "true_diameter"))
        before = after
    assert [row["source"] for row in before] == [str(n + 1) for n in range(len(before))]


def test_an_unchanged_head_gets_none(followed):
    tables = [lesions(followed, "02", session) for session in VISITS]
    assert len({tuple(row["source"] for row in table) for table in tables}) == 1
    assert tables[0]


def test_microbleeds_stay_in_their_place_of_a_head_that_lies_elsewhere(followed):
    first, *later = (places(lesions(followed, "02", session)) for session in VISITS)
    for moved in later:
        assert np.linalg.norm(moved - first, axis=1).max() > 1
        for points in (first, moved):
            points -= points.mean(axis=0)
        # The best rotation brings one onto the other.
        u, _, vt = np.linalg.svd(moved.T @ first)
        np.testing.assert_allclose(moved @ u @ vt, first, atol=1e-3)


def test_new_microbleeds_keep_away_from_those_that_are_there(followed):
    points = places(lesions(followed, "01", "3"))
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    assert distance[~np.eye(len(points), dtype=bool)].min() >= 6


def test_follow_ups_may_be_scanned_otherwise(followed):
    sizes = {
        (participant, session): t2star(followed, participant, session).header.get_zooms()[2]
        for participant in ("01", "02")
        for session in VISITS
    }
    assert sizes == pytest.approx(
        {key: 4.0 if key[0] == "02" and key[1] != "1" else 3.0 for key in sizes}
    )


def test_every_session_has_its_own_noise(followed):
    images = [t2star(followed, "01", session).get_fdata() for session in VISITS]
    for one, other in ((0, 1), (1, 2)):
        a, b = (images[n][:20, :20, :10] for n in (one, other))
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.99
        assert (a != b).any()


def test_a_session_is_the_same_whichever_are_there_already(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    simulate_dataset(cohort(new=(1, 2)), whole)
    shutil.copytree(whole, parts)
    for folder in (parts / "sub-01" / "ses-2", parts / "derivatives/truth/sub-01/ses-2"):
        shutil.rmtree(folder)
    said = []
    simulate_dataset(cohort(new=(1, 2)), parts, progress=said.append)
    assert said == ["sub-01_ses-2"]
    for session in VISITS:
        a, b = (t2star(folder, "01", session).get_fdata() for folder in (whole, parts))
        np.testing.assert_array_equal(a, b)
        assert lesions(whole, "01", session) == lesions(parts, "01", session)


def test_follow_ups_leave_the_first_session_as_it_is_without_them(tmp_path):
    for name, sessions in (("one", ("1",)), ("two", ("1", "2"))):
        simulate_dataset(cohort(sessions={0: sessions}), tmp_path / name)
    a, b = (t2star(tmp_path / name, "01", "1").get_fdata() for name in ("one", "two"))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("share", "changing"), [(0, 6), (0.5, 3), (1 / 3, 4), (1, 0)])
def test_unchanged_participants_are_the_share_that_was_asked_for(share, changing):
    made = cohort(6, unchanged=share)
    assert sum(made.changes(number) for number in range(6)) == changing


def test_a_dataset_is_the_same_however_many_processes_make_it(tmp_path):
    wanted = cohort(2, microbleeds=(1, 3), free=0.5, sessions={0: ("A", "B")})
    for processes in (1, 2):
        simulate_dataset(wanted, tmp_path / str(processes), processes=processes)
    one, two = (sorted((tmp_path / n).rglob("*_T2starw.nii.gz")) for n in ("1", "2"))
    assert [p.name for p in one] == [p.name for p in two]
    assert len([p for p in one if "desc" not in p.name]) == 3
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(nib.load(first).get_fdata(), nib.load(second).get_fdata())


def test_a_dataset_goes_on_where_it_stopped(tmp_path):
    said = []

    def simulate():
        wanted = cohort(microbleeds=(1, 1), sessions={})
        return simulate_dataset(wanted, tmp_path / "bids", progress=said.append)

    truth = simulate()
    assert truth == tmp_path / "bids" / "derivatives" / "truth"
    assert said == ["sub-01"]
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "bids" / "sub-01").rglob("*.nii.gz")}
    assert len(before) == 2
    simulate()
    assert said == ["sub-01"]
    assert before == {p: p.stat().st_mtime_ns for p in before}
