"""Which parcellation a session gets; recon-all and mri_synthseg are stand-ins that write labels."""

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from cmb_bidsapp.anatomy.backend import ParcellationRequest, Source
from cmb_bidsapp.anatomy.backends import (
    BACKENDS,
    find_parcellation,
    obtain_parcellation,
    references_of,
)
from cmb_bidsapp.anatomy.existing import ExistingParcellation
from cmb_bidsapp.anatomy.reuse import has_lobes, read_parcellation
from cmb_bidsapp.cli import main
from cmb_bidsapp.core.errors import CommandMissingError, DataError, LicenceError
from cmb_bidsapp.core.reference import Reference
from cmb_bidsapp.options.resolve import read_settings
from cmb_bidsapp.phases.regions import request_of
from tests.anatomy.subjects import head, save, write

#: What makes a folder of outputs be of a kind.
LAYOUTS = {
    "FreeSurfer": "sub-01/mri/aparc+aseg.mgz",
    "FastSurfer": "sub-01/mri/aparc.DKTatlas+aseg.mapped.mgz",
    "sMRIPrep": "sub-01/anat/sub-01_desc-aparcaseg_dseg.nii.gz",
    "SynthSeg": "sub-01/anat/sub-01_desc-synthseg_dseg.nii.gz",
}

#: Leaves what the real one leaves and is read here.
SYNTHSEG = """
import shutil
shutil.copyfile({labels!r}, sys.argv[sys.argv.index("--o") + 1])
"""
FAILS = "sys.exit('the head is upside down')"


@pytest.fixture
def backend(tmp_path, licence_file):
    """Ask for a backend; its own folders are ``freesurfer`` and ``synthseg``."""

    def make(wanted, *given, **options):
        options = {"licence_file": licence_file, **options}
        return ParcellationRequest(
            wanted=wanted,
            given=given,
            subjects_dir=tmp_path / "freesurfer",
            sourcedata=tmp_path,
            **options,
        )

    return make


@pytest.fixture
def obtain(t1w):
    """Ask a backend; returns what it gave and the steps it told of."""

    def ask(backend, session=None):
        steps = []
        source = Source(
            t1w=t1w, participant="01", session=session, threads=2, device="cpu", step=steps.append
        )
        return obtain_parcellation(backend, source), steps

    return ask


def cut_off(folder, done=None):
    """A FreeSurfer subject that has its cortex, but whose run has not ended well."""
    dseg = write(folder / "mri" / "aparc+aseg.mgz")
    write(folder / "mri" / "orig" / "001.mgz")
    write(folder / "scripts" / "recon-all.log")
    if done is not None:
        (folder / "scripts" / "recon-all.done").write_text(done)
    return dseg


# Finding


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [
        ("auto", {"FreeSurfer", "FastSurfer", "sMRIPrep", "SynthSeg"}),
        ("freesurfer", {"FreeSurfer", "FastSurfer", "sMRIPrep"}),
        ("synthseg", {"SynthSeg"}),
        ("atlas", set()),
    ],
)
def test_what_is_asked_for_decides_whose_outputs_do(tmp_path, backend, wanted, kinds):
    accepted = set()
    for kind, name in LAYOUTS.items():
        file = write(tmp_path / kind / name)
        found = find_parcellation(backend(wanted, tmp_path / kind), "01", None)
        if found is not None:
            assert (found.dseg, found.kind) == (file, kind)
            accepted.add(kind)
    assert accepted == kinds


@pytest.mark.parametrize(
    ("wanted", "kind"), [("freesurfer", "FreeSurfer"), ("synthseg", "SynthSeg")]
)
def test_other_kinds_in_the_same_folder_hide_nothing(tmp_path, backend, wanted, kind):
    for layout in LAYOUTS.values():
        write(tmp_path / "all" / layout)
    (tmp_path / "all" / LAYOUTS["FastSurfer"]).unlink()
    found = find_parcellation(backend(wanted, tmp_path / "all"), "01", None)
    assert found.kind == kind


def test_the_first_folder_with_what_is_wanted_wins(tmp_path, backend):
    folders = {kind: write(tmp_path / kind / name) for kind, name in LAYOUTS.items()}
    for kinds in (
        ("SynthSeg", "FreeSurfer"),
        ("FreeSurfer", "SynthSeg"),
        ("sMRIPrep", "FastSurfer"),
    ):
        given = [tmp_path / "nothing", *(tmp_path / kind for kind in kinds)]
        assert find_parcellation(backend("auto", *given), "01", None).dseg == folders[kinds[0]]
    given = [tmp_path / kind for kind in ("SynthSeg", "sMRIPrep", "FreeSurfer")]
    assert find_parcellation(backend("freesurfer", *given), "01", None).kind == "sMRIPrep"
    assert find_parcellation(backend("synthseg", *given[::-1]), "01", None).kind == "SynthSeg"


def test_what_was_made_here_comes_after_what_is_given(tmp_path, backend):
    own = write(tmp_path / "freesurfer" / LAYOUTS["FreeSurfer"])
    labels = write(tmp_path / "synthseg" / "sub-01_desc-synthseg_dseg.nii.gz")
    assert find_parcellation(backend("freesurfer"), "01", None).dseg == own
    assert find_parcellation(backend("synthseg"), "01", None).dseg == labels
    given = write(tmp_path / "given" / LAYOUTS["FastSurfer"])
    assert find_parcellation(backend("freesurfer", tmp_path / "given"), "01", None).dseg == given
    assert find_parcellation(backend("synthseg", tmp_path / "given"), "01", None).dseg == labels


@pytest.mark.parametrize("wanted", ["auto", "atlas"])
def test_what_another_choice_made_here_is_not_taken_unasked(tmp_path, backend, wanted):
    write(tmp_path / "freesurfer" / LAYOUTS["FreeSurfer"])
    write(tmp_path / "synthseg" / "sub-01_desc-synthseg_dseg.nii.gz")
    assert find_parcellation(backend(wanted), "01", None) is None


def test_the_session_has_its_own_or_the_participants(tmp_path, backend):
    shared = write(tmp_path / "freesurfer" / "sub-01" / "mri" / "aparc+aseg.mgz")
    own = write(tmp_path / "freesurfer" / "sub-01_ses-A" / "mri" / "aparc+aseg.mgz")
    assert find_parcellation(backend("freesurfer"), "01", "A").dseg == own
    assert find_parcellation(backend("freesurfer"), "01", "B").dseg == shared
    assert find_parcellation(backend("freesurfer"), "02", "A") is None


# Nothing to be found


@pytest.mark.parametrize("wanted", ["auto", "atlas"])
def test_the_embedded_backend_needs_no_program(machine, tmp_path, backend, obtain, wanted):
    assert obtain(backend(wanted, tmp_path / "nothing")) == (None, [])


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


@pytest.mark.parametrize(
    ("wanted", "name"), [("freesurfer", "recon-all"), ("synthseg", "mri_synthseg")]
)
def test_a_program_that_is_not_there_or_fails_is_named(machine, backend, obtain, wanted, name):
    with pytest.raises(CommandMissingError, match=name):
        obtain(backend(wanted))
    machine.install(name, FAILS)
    with pytest.raises(DataError, match="upside down"):
        obtain(backend(wanted))
    assert find_parcellation(backend(wanted), "01", None) is None


def test_the_licence_is_asked_for_where_recon_all_is_to_run_only(
    install_recon_all, tmp_path, backend, obtain
):
    install_recon_all()
    with pytest.raises(LicenceError):
        obtain(backend("freesurfer", licence_file=None))
    write(tmp_path / "given" / LAYOUTS["sMRIPrep"])
    found, _ = obtain(backend("freesurfer", tmp_path / "given", licence_file=None))
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
    labelled = read_parcellation(found)
    assert labelled.source == "FreeSurfer"
    np.testing.assert_array_equal(labelled.dseg[labelled.dseg > 0], head()[head() > 0])
    # The second time nothing is run, and nothing told.
    assert obtain(asked, session) == (found, [])
    assert len(machine.runs) == 1


@pytest.mark.parametrize(("session", "name"), [(None, "sub-01"), ("A", "sub-01_ses-A")])
def test_synthseg_labels_the_head_and_its_image_is_found(
    machine, tmp_path, t1w, backend, obtain, session, name
):
    labels = save(tmp_path / "labels.nii.gz", head(full=False))
    machine.install("mri_synthseg", SYNTHSEG.format(labels=str(labels)))
    write(tmp_path / "given" / LAYOUTS["FreeSurfer"])
    asked = backend("synthseg", tmp_path / "given", licence_file=None)
    found, steps = obtain(asked, session)
    assert found.kind == "SynthSeg"
    assert found.dseg == tmp_path / "synthseg" / f"{name}_desc-synthseg_dseg.nii.gz"
    assert steps == ["SynthSeg"]
    (run,) = machine.runs
    assert run.argv[run.argv.index("--i") + 1] == str(t1w)
    assert run.argv[run.argv.index("--threads") + 1] == "2"
    assert "--cpu" in run.argv
    labelled = read_parcellation(found)
    assert labelled.source == "SynthSeg"
    assert has_lobes(labelled.dseg)
    assert obtain(asked, session) == (found, [])
    assert len(machine.runs) == 1


# A recon-all that has not ended


@pytest.mark.parametrize("done", [None, "1\n"], ids=["cut off", "failed"])
def test_recon_all_goes_on_though_the_cortex_is_labelled(
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


# A backend of somebody's own


class Toy:
    """Labels a head by copying the T1w."""

    help = "a toy"
    cite = MappingProxyType({"Toy": (Reference("Maker, 2031", "Maker M. A toy. J Toys 2031."),)})
    makes = True
    licensed = False

    def find(self, request, participant, session):
        path = request.sourcedata / "toy" / f"sub-{participant}.nii.gz"
        return ExistingParcellation(path, "Toy") if path.exists() else None

    def make(self, request, source):
        source.step("toy")
        path = request.sourcedata / "toy" / f"{source.label}.nii.gz"
        path.parent.mkdir()
        path.write_bytes(source.t1w.read_bytes())


def test_a_new_backend_is_its_class_and_its_place_in_the_table(
    monkeypatch, tmp_path, machine, backend, obtain, capsys
):
    monkeypatch.setitem(BACKENDS, "toy", Toy())
    bids, out = tmp_path / "bids", tmp_path / "out"
    bids.mkdir()
    settings = read_settings([str(bids), str(out), "participant", "--parcellation", "toy"])
    assert settings.anatomy.parcellation == "toy"
    assert main(["--help"]) == 0
    assert "toy: a toy" in " ".join(capsys.readouterr().out.split())
    asked = replace(request_of(settings), sourcedata=tmp_path)
    found, steps = obtain(asked)
    assert (found.kind, steps) == ("Toy", ["toy"])
    assert obtain(asked) == (found, [])
    assert references_of("Toy")[0].short == "Maker, 2031"


def test_the_labels_of_a_new_backend_bear_its_name(monkeypatch, tmp_path):
    labels = save(tmp_path / "toy.nii.gz", head(full=False))
    assert read_parcellation(ExistingParcellation(labels, "Toy")).source == "Toy"
