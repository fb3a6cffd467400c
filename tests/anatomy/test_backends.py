"""Which parcellation a session gets; recon-all and mri_synthseg are stand-ins that write labels."""

from dataclasses import replace
from types import MappingProxyType

import pytest

from cmb_bidsapp.anatomy.backend import existing
from cmb_bidsapp.anatomy.backends import (
    BACKENDS,
    find_parcellation,
    references_of,
)
from cmb_bidsapp.anatomy.existing import ExistingParcellation, Telltale
from cmb_bidsapp.anatomy.reuse import read_parcellation
from cmb_bidsapp.cli import main
from cmb_bidsapp.core.errors import CommandMissingError, DataError
from cmb_bidsapp.core.reference import Reference
from cmb_bidsapp.options.resolve import read_settings
from cmb_bidsapp.options.version import long_version
from cmb_bidsapp.phases.regions import request_of
from tests.anatomy.subjects import LAYOUTS, head, save, write

FAILS = "sys.exit('the head is upside down')"


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


def test_the_session_has_its_own_or_the_participants(tmp_path, backend):
    shared = write(tmp_path / "freesurfer" / "sub-01" / "mri" / "aparc+aseg.mgz")
    own = write(tmp_path / "freesurfer" / "sub-01_ses-A" / "mri" / "aparc+aseg.mgz")
    assert find_parcellation(backend("freesurfer"), "01", "A").dseg == own
    assert find_parcellation(backend("freesurfer"), "01", "B").dseg == shared
    assert find_parcellation(backend("freesurfer"), "02", "A") is None


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


# A backend of somebody's own
class Toy:
    """Labels a head by copying the T1w."""

    help = "a toy"
    cite = MappingProxyType({"Toy": (Reference("Maker, 2031", "Maker M. A toy. J Toys 2031."),)})
    program = "toy-labels"
    licensed = False

    def outputs(self, folder, participant, session):
        path = folder / f"sub-{participant}.nii.gz"
        if session is None and path.exists():
            yield ExistingParcellation(dseg=path, kind="Toy")

    def find(self, request, participant, session):
        folders = (*request.given, request.sourcedata / "toy")
        return next(existing(self, folders, participant, session), None)

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
    told = " ".join(capsys.readouterr().out.split())
    assert "toy: a toy" in told
    assert "reuse: FreeSurfer, FastSurfer, sMRIPrep, SynthSeg, Toy" in told
    asked = replace(request_of(settings), sourcedata=tmp_path)
    found, steps = obtain(asked)
    assert (found.kind, steps) == ("Toy", ["toy"])
    assert obtain(asked) == (found, [])
    assert references_of("Toy")[0].short == "Maker, 2031"
    assert BACKENDS["auto"].cite["Toy"] == Toy.cite["Toy"]
    assert f"{Toy.program}: not installed" in long_version().splitlines()
    assert main(["doctor", "--parcellation", "toy"]) != 0
    assert "lacking  parcellation, toy: not installed" in capsys.readouterr().out


def test_what_others_made_with_a_new_backend_is_reused(monkeypatch, tmp_path, backend):
    labels = write(tmp_path / "given" / "sub-01.nii.gz")
    assert find_parcellation(backend("auto", tmp_path / "given"), "01", None) is None
    monkeypatch.setitem(BACKENDS, "toy", Toy())
    for wanted in ("auto", "toy"):
        for session in (None, "A"):
            found = find_parcellation(backend(wanted, tmp_path / "given"), "01", session)
            assert found == ExistingParcellation(dseg=labels, kind="Toy")
    assert find_parcellation(backend("freesurfer", tmp_path / "given"), "01", None) is None
    assert find_parcellation(backend("atlas", tmp_path / "given"), "01", None) is None


def test_the_labels_of_a_new_backend_bear_its_name(monkeypatch, tmp_path):
    labels = save(tmp_path / "toy.nii.gz", head(full=False))
    found = ExistingParcellation(dseg=labels, kind="Toy")
    assert read_parcellation(found).source == "Toy"


def test_a_new_backend_says_by_which_ids_and_files_its_labels_are_known(tmp_path):
    found = ExistingParcellation(
        dseg=save(tmp_path / "toy.nii.gz", head()),
        kind="Toy",
        telltale=Telltale(ids=(253,), present="Toy with a callosum", absent="Toy"),
        version_file=write(tmp_path / "version.txt", "2.1 of May"),
    )
    assert read_parcellation(found).source == "Toy with a callosum (2.1)"
    save(found.dseg, head(full=False))
    assert read_parcellation(found).source == "Toy (2.1)"
