"""Which parcellation a session is given, what its stamp depends on, what a person is told."""

import dataclasses

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.phases.regions import find_or_make, request_of, reused_files
from cmb_bidsapp.workflow import PREPARE
from tests.anatomy.subjects import write
from tests.skeletons import rescanned


def alone(session):
    return rescanned(session, t1w=None)


# What a stamp depends on


def test_without_anything_to_reuse_the_scans_are_all(session, settings, tmp_path):
    assert reused_files(settings(), session) == []
    assert reused_files(settings(derivatives=(tmp_path / "nothing",)), session) == []


def test_a_stamp_depends_on_all_files_of_a_subject_that_are_read(session, settings, tmp_path):
    folder = tmp_path / "fs" / "sub-01" / "mri"
    dseg = write(folder / "aparc+aseg.mgz")
    asked = settings(derivatives=(tmp_path / "fs",))
    assert reused_files(asked, session) == [dseg]
    white, xfm = write(folder / "wmparc.mgz"), write(folder / "transforms" / "talairach.xfm")
    write(folder / "aseg.mgz")
    write(folder / "transforms" / "talairach.m3z")
    assert set(reused_files(asked, session)) == {dseg, white}
    files = SessionFiles(tmp_path / "out", "01", None)
    scans = {session.t2star.path, session.t1w.path}
    assert set(PREPARE.inputs(session, files, asked)) == {dseg, white} | scans
    # The way to MNI305 is read for the capsules alone.
    jhu = write(tmp_path / "jhu.nii.gz")
    with_capsules = settings(derivatives=(tmp_path / "fs",), jhu_atlas=jhu)
    assert set(reused_files(with_capsules, session)) == {dseg, white, xfm, jhu}
    # Another choice reads none of them.
    for wanted in ("atlas", "synthseg"):
        other = settings(derivatives=(tmp_path / "fs",), parcellation=wanted)
        assert reused_files(other, session) == []


def test_a_longitudinal_run_depends_on_its_way_from_the_template(session, settings, tmp_path):
    name = "sub-01_ses-A.long.sub-01"
    dseg = write(tmp_path / "fs" / name / "mri" / "aparc+aseg.mgz")
    transforms = tmp_path / "fs" / "sub-01" / "mri" / "transforms"
    way = write(transforms / "sub-01_ses-A_to_sub-01.lta")
    write(transforms / "sub-01_ses-B_to_sub-01.lta")
    own = dataclasses.replace(session.t1w, entities={"suffix": "T1w", "session": "A"})
    found = reused_files(settings(derivatives=(tmp_path / "fs",)), rescanned(session, t1w=own))
    assert found == [dseg, way]


def test_it_is_the_session_of_the_t1w_that_counts(session, settings, tmp_path):
    own = write(tmp_path / "fs" / "sub-01_ses-A" / "mri" / "aparc+aseg.mgz")
    write(tmp_path / "fs" / "sub-01_ses-B" / "mri" / "aparc+aseg.mgz")
    borrowed = dataclasses.replace(session.t1w, entities={"suffix": "T1w", "session": "A"})
    later = dataclasses.replace(rescanned(session, t1w=borrowed), session="B")
    asked = settings(derivatives=(tmp_path / "fs",))
    assert reused_files(asked, later) == [own]
    assert find_or_make(later, asked, lambda text: None, []).dseg == own


def test_the_white_matter_atlas_counts_with_and_without_a_t1w(session, settings, tmp_path):
    jhu = write(tmp_path / "jhu.nii.gz")
    dseg = write(tmp_path / "fs" / "sub-01" / "mri" / "aparc+aseg.mgz")
    asked = settings(jhu_atlas=jhu, derivatives=(tmp_path / "fs",))
    assert set(reused_files(asked, session)) == {jhu, dseg}
    assert reused_files(asked, alone(session)) == [jhu]


def test_the_subjects_folder_goes_before_other_outputs(settings, tmp_path):
    asked = settings(subjects_dir=tmp_path / "subjects", derivatives=(tmp_path / "fs",))
    assert request_of(asked).given == (tmp_path / "subjects", tmp_path / "fs")
    assert request_of(asked).subjects_dir == tmp_path / "subjects"
    plain = request_of(settings())
    assert plain.given == ()
    assert plain.subjects_dir == tmp_path / "out" / "sourcedata" / "freesurfer"
    assert plain.sourcedata / "synthseg" == tmp_path / "out" / "sourcedata" / "synthseg"


# What a person is told


def notes_of(session, settings):
    notes = []
    assert find_or_make(session, settings, lambda text: None, notes) is None
    return notes


def test_a_t2star_alone_is_labeled_by_the_embedded_parcellation_and_it_is_said(
    session, settings, tmp_path, monkeypatch
):
    # Nothing that is there is taken, and no program is started.
    write(tmp_path / "fs" / "sub-01" / "mri" / "aparc+aseg.mgz")
    monkeypatch.setenv("PATH", str(tmp_path))
    given = {"derivatives": (tmp_path / "fs",)}
    for wanted in ("freesurfer", "synthseg"):
        (note,) = notes_of(alone(session), settings(parcellation=wanted, **given))
        assert note.startswith("no T1w")
        assert wanted in note
        assert "embedded" in note
    (note,) = notes_of(alone(session), settings(**given))
    assert note.startswith("no T1w")
    assert "embedded" in note


def test_who_asks_for_nothing_else_is_told_nothing(session, settings, tmp_path):
    assert notes_of(alone(session), settings()) == []
    assert notes_of(session, settings()) == []
    given = (tmp_path / "fs",)
    assert notes_of(session, settings(parcellation="atlas", derivatives=given)) == []
    assert notes_of(alone(session), settings(parcellation="atlas", derivatives=given)) == []


def test_folders_in_which_nothing_was_found_are_named(session, settings, tmp_path):
    given = tmp_path / "one", tmp_path / "other"
    (note,) = notes_of(session, settings(derivatives=given))
    assert f"{given[0]}, {given[1]}" in note
    assert "embedded" in note
    dseg = write(given[1] / "sub-01" / "mri" / "aparc+aseg.mgz")
    notes = []
    found = find_or_make(session, settings(derivatives=given), lambda text: None, notes)
    assert (found.dseg, notes) == (dseg, [])
