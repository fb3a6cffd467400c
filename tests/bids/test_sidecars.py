"""Metadata: inheritance, damaged files, numbers in other units."""

import json

import pytest

from cmb_bidsapp.bids.inputs import choose
from cmb_bidsapp.bids.sidecars import Sidecars
from tests.skeletons import build_dataset, image_path


def write_bytes(content):
    return lambda path: path.write_bytes(content)


def link_to_nothing(path):
    path.unlink()
    path.symlink_to("../../.git/annex/objects/key")


def pipe(path):
    import os

    path.unlink()
    os.mkfifo(path)


#: Damages of a sidecar, and words of the note on it.
DAMAGES = {
    "trailing comma": (write_bytes(b'{"EchoTime": 0.02,}'), "not valid JSON"),
    "empty": (write_bytes(b""), "not valid JSON"),
    "binary": (write_bytes(b"\x80\x00\xff"), "not valid JSON"),
    "list": (write_bytes(b"[1, 2]"), "not a JSON object"),
    "null": (write_bytes(b"null"), "not a JSON object"),
    "text": (write_bytes(b'"x"'), "not a JSON object"),
    "nested": (write_bytes(b"[" * 100_000), "nested too deeply"),
    "link to nothing": (link_to_nothing, "datalad get sub-02_T2starw.json"),
    "pipe": (pipe, "not a regular file"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_sidecar_costs_its_own_content_and_is_told(tmp_path, damage):
    stems = ("sub-01_T2starw", "sub-02_T2starw")
    root = build_dataset(tmp_path, {stem: {"EchoTime": 0.02} for stem in stems})
    path = image_path(root, "sub-02_T2starw").with_name("sub-02_T2starw.json")
    spoil, words = DAMAGES[damage]
    spoil(path)
    whole, damaged = choose(root).sessions
    assert whole.t2star.metadata == {"EchoTime": 0.02}
    assert not any(str(path) in note for note in whole.notes)
    assert damaged.t2star.metadata == {}
    (note,) = [note for note in damaged.notes if str(path) in note]
    assert words in note


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_does_no_harm(tmp_path, encoding):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {"EchoTime": 1}})
    sidecar = image_path(root, "sub-01_T2starw").with_name("sub-01_T2starw.json")
    sidecar.write_text('{"EchoTime": 0.02}', encoding=encoding)
    (session,) = choose(root).sessions
    assert session.t2star.metadata == {"EchoTime": 0.02}


def test_letters_of_latin_1_cost_nothing(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {"EchoTime": 1}})
    sidecar = image_path(root, "sub-01_T2starw").with_name("sub-01_T2starw.json")
    sidecar.write_bytes('{"EchoTime": 0.02, "InstitutionName": "Tübingen"}'.encode("latin-1"))
    (session,) = choose(root).sessions
    assert session.t2star.metadata["EchoTime"] == 0.02


def test_sidecars_do_not_say_whose_an_image_is_or_which_run(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_run-01_T2starw": {"run": 7, "subject": "02"}})
    (root / "participants.json").write_text("{")
    (root / "participants.tsv").write_bytes(b"\xff")
    (session,) = choose(root).sessions
    assert (session.participant, session.t2star.entities["run"]) == ("01", "01")


def test_metadata_come_from_all_levels_the_nearest_first(tmp_path):
    image = tmp_path / "sub-01/ses-A/anat/sub-01_ses-A_acq-hi_echo-2_MEGRE.nii.gz"
    image.parent.mkdir(parents=True)
    texts = {
        "MEGRE.json": {"a": "root", "b": "root"},
        "acq-hi_MEGRE.json": {"b": "root, closer"},
        "acq-lo_MEGRE.json": {"a": "another acquisition"},
        "T2starw.json": {"a": "another suffix"},
        "sub-01/sub-01_MEGRE.json": {"c": "participant", "d": "participant"},
        "sub-01/ses-A/sub-01_ses-A_echo-1_MEGRE.json": {"c": "another echo"},
        "sub-01/ses-A/anat/sub-01_ses-A_acq-hi_echo-2_MEGRE.json": {"d": "image"},
    }
    for name, content in texts.items():
        (tmp_path / name).write_text(json.dumps(content))
    metadata, notes = Sidecars(tmp_path).of(image)
    assert metadata == {"a": "root", "b": "root, closer", "c": "participant", "d": "image"}
    assert notes == ()


@pytest.mark.parametrize(
    ("echo", "seconds", "words"),
    [
        (0.02, 0.02, None),
        (20, 0.02, "milliseconds"),
        (4.9, 0.0049, "milliseconds"),
        (-0.02, None, "not a plausible echo time"),
        (0, None, "not a plausible echo time"),
        (0.7, None, "not a plausible echo time"),
        (25_000, None, "not a plausible echo time"),
        (float("nan"), None, "not a plausible echo time"),
        (10**400, None, "not a plausible echo time"),
        (True, None, "not a plausible echo time"),
        ("0.02", None, "not a plausible echo time"),
        ([0.01, 0.02], None, "not a plausible echo time"),
        ({"a": 1}, None, "not a plausible echo time"),
    ],
)
def test_echo_times_are_seconds_or_told(tmp_path, echo, seconds, words):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {"EchoTime": echo}})
    (session,) = choose(root).sessions
    assert session.t2star.metadata.get("EchoTime") == pytest.approx(seconds)
    said = [note for note in session.notes if "EchoTime" in note]
    assert [words in note for note in said] == ([True] if words else [])


def test_a_field_that_is_no_field_is_left_out_and_told(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {"MagneticFieldStrength": 30000}})
    (session,) = choose(root).sessions
    assert "MagneticFieldStrength" not in session.t2star.metadata
    assert any("30000" in note for note in session.notes)


def test_a_sidecar_of_an_entity_that_nobody_knows_is_that_of_its_own_image(tmp_path):
    files = {"sub-01_T2starw": {"EchoTime": 0.02}, "sub-01_foo-1_T2starw": {"EchoTime": 0.03}}
    root = build_dataset(tmp_path, files)
    found = [Sidecars(root).of(image_path(root, stem))[0]["EchoTime"] for stem in files]
    assert found == [0.02, 0.03]
