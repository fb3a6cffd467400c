"""The backend freesurfer; recon-all is a stand-in that writes labels."""

import numpy as np
import pytest

from cmb_bidsapp.anatomy.reuse import read_parcellation
from cmb_bidsapp.core.errors import DataError, LicenseError
from tests.anatomy.subjects import LAYOUTS, head, write


def cut_off(folder, done=None):
    """A FreeSurfer subject that has its cortex, but whose run has not ended well."""
    dseg = write(folder / "mri" / "aparc+aseg.mgz")
    write(folder / "mri" / "orig" / "001.mgz")
    write(folder / "scripts" / "recon-all.log")
    if done is not None:
        (folder / "scripts" / "recon-all.done").write_text(done)
    return dseg


def test_where_recon_all_may_not_run_the_folders_are_named(
    machine, install_recon_all, tmp_path, backend, obtain
):
    install_recon_all()
    own, other = tmp_path / "freesurfer", tmp_path / "other"
    with pytest.raises(DataError) as error:
        obtain(backend("freesurfer", own, other, run=False), "A")
    message = str(error.value)
    assert f"no FreeSurfer output of sub-01_ses-A in {own}, {other}, and" in message
    assert "--fs-no-reconall" in message
    assert "--parcellation atlas" in message
    assert machine.runs == []


def test_the_license_is_asked_for_where_recon_all_is_to_run_only(
    install_recon_all, tmp_path, backend, obtain
):
    install_recon_all()
    with pytest.raises(LicenseError):
        obtain(backend("freesurfer", license_file=None))
    write(tmp_path / "given" / LAYOUTS["sMRIPrep"])
    found, _ = obtain(backend("freesurfer", tmp_path / "given", license_file=None))
    assert found.kind == "sMRIPrep"


# Made here
@pytest.mark.parametrize(
    ("session", "name"), [(None, "sub-01"), ("A", "sub-01_ses-A")], ids=["one", "several"]
)
def test_recon_all_labels_the_head_and_its_subject_is_found(
    machine, install_recon_all, tmp_path, t1w, backend, obtain, session, name
):
    install_recon_all()
    # What does not satisfy the choice does not stand in its way.
    write(tmp_path / "given" / LAYOUTS["SynthSeg"])
    asked = backend("freesurfer", tmp_path / "given")
    found, steps = obtain(asked, session)
    folder = tmp_path / "freesurfer" / name
    assert (found.kind, found.subject_dir) == ("FreeSurfer", folder)
    assert (found.dseg, found.white) == (
        folder / "mri" / "aparc+aseg.mgz",
        folder / "mri" / "wmparc.mgz",
    )
    assert steps == ["FreeSurfer (recon-all)"]
    (run,) = machine.runs
    assert run.argv[run.argv.index("-i") + 1] == str(t1w)
    assert run.argv[run.argv.index("-openmp") + 1] == "2"
    labeled = read_parcellation(found)
    assert labeled.source == "FreeSurfer"
    np.testing.assert_array_equal(labeled.dseg[labeled.dseg > 0], head()[head() > 0])
    # The second time nothing is run, and nothing told.
    assert obtain(asked, session) == (found, [])
    assert len(machine.runs) == 1


# A recon-all that has not ended
@pytest.mark.parametrize("done", [None, "1\n"], ids=["cut off", "failed"])
def test_recon_all_goes_on_though_the_cortex_is_labeled(
    machine, install_recon_all, tmp_path, backend, obtain, done
):
    install_recon_all()
    cut_off(tmp_path / "freesurfer" / "sub-01", done)
    found, _ = obtain(backend("freesurfer"))
    (run,) = machine.runs
    assert "-i" not in run.argv
    assert found.white is not None


def test_going_on_can_be_forbidden_and_then_the_subject_is_named(
    machine, install_recon_all, tmp_path, backend, obtain
):
    install_recon_all()
    cut_off(tmp_path / "freesurfer" / "sub-01")
    with pytest.raises(DataError, match="sub-01 is not finished"):
        obtain(backend("freesurfer", resume=False))
    assert machine.runs == []


def test_what_recon_all_is_not_to_finish_is_used_as_it_is(
    machine, install_recon_all, tmp_path, backend, obtain
):
    install_recon_all()
    own = cut_off(tmp_path / "freesurfer" / "sub-01")
    other = cut_off(tmp_path / "other" / "sub-01")
    for asked, dseg in (
        (backend("freesurfer", run=False), own),
        (backend("auto", tmp_path / "freesurfer"), own),
        (backend("freesurfer", tmp_path / "other"), other),
    ):
        assert obtain(asked)[0].dseg == dseg
    assert machine.runs == []


def test_labels_that_were_copied_without_their_logs_are_used(machine, tmp_path, backend, obtain):
    dseg = write(tmp_path / "freesurfer" / "sub-01" / "mri" / "aparc+aseg.mgz")
    assert obtain(backend("freesurfer"))[0].dseg == dseg
    # So are those of a run that ended well and lost what is not read.
    write(tmp_path / "freesurfer" / "sub-01" / "scripts" / "recon-all.log")
    done = tmp_path / "freesurfer" / "sub-01" / "scripts" / "recon-all.done"
    done.write_text("SUBJECT sub-01\n")
    assert obtain(backend("freesurfer"))[0].dseg == dseg


def test_fastsurfers_runs_are_not_recon_alls(machine, tmp_path, backend, obtain):
    folder = tmp_path / "freesurfer" / "sub-01"
    cut_off(folder)
    dseg = write(folder / "mri" / "aparc.DKTatlas+aseg.mapped.mgz")
    assert obtain(backend("freesurfer"))[0].dseg == dseg
