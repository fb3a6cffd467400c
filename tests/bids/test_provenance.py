"""How results came about, from the sidecars of a session."""

import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import sidecar_of, write_json
from cmb_bidsapp.bids.provenance import (
    Provenance,
    read_notes,
    read_provenance,
    read_seconds,
    write_seconds,
)


@pytest.fixture
def files(tmp_path):
    return SessionFiles(tmp_path, "01", "A")


def test_of_a_session_without_sidecars_nothing_is_known(files):
    made = read_provenance(files)
    assert made == Provenance()
    assert not made.complete


def test_every_phase_adds_what_it_did_and_its_notes_in_their_order(files):
    write_json(
        sidecar_of(files.t2star),
        {"VoxelSize": [0.5, 0.5, 4], "AnatomyModel": "anatomy-3", "Notes": ["first"]},
    )
    assert not read_provenance(files).complete
    write_json(sidecar_of(files.probability), {"Model": "lesions-6", "Notes": ["second"]})
    write_json(sidecar_of(files.mask), {"Decisions": {"cfpr": True}, "Notes": ["third"]})
    made = read_provenance(files)
    assert made.complete
    assert (made.voxel_size, made.decisions) == ((0.5, 0.5, 4), {"cfpr": True})
    assert made.notes == read_notes(files) == ("first", "second", "third")


def test_a_damaged_sidecar_is_a_note_with_its_name(files):
    path = sidecar_of(files.mask)
    path.parent.mkdir(parents=True)
    path.write_text("{")
    (note,) = read_notes(files)
    assert path.name in note


def test_times_of_one_phase_take_the_place_of_its_own_alone(files):
    assert read_seconds(files) == {}
    write_seconds(files, "prepare", {"stripping": 3.0, "registration": 2.0})
    write_seconds(files, "segment", {"segmentation": 9.0})
    write_seconds(files, "prepare", {"stripping": 4.0})
    assert read_seconds(files) == {"stripping": 4.0, "segmentation": 9.0}
    files.seconds.write_text("no JSON")
    assert read_seconds(files) == {}
