"""Bad inputs by kind: a cause in one line with the file, a code, and nobody else is harmed.

Each kind is a participant beside a good one. A session is taken as far as the first step takes it:
chosen by names, sidecars and headers, refused where these tell, else read.
"""

import contextlib
import gzip
import hashlib
import json
import os
import struct

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_bidsapp.bids.images import read_image
from cmb_bidsapp.bids.inputs import choose
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.bids.text import read_json
from cmb_bidsapp.cli import main
from cmb_bidsapp.clinical.follow_up import CHANGE_COLUMNS
from cmb_bidsapp.clinical.tracks import TRACK_COLUMNS
from cmb_bidsapp.core.errors import DataError, NoInputError, classify
from cmb_bidsapp.group.changes import read_changes
from cmb_bidsapp.group.people import read_people
from cmb_bidsapp.group.tables import read_tracks
from cmb_bidsapp.lesions.table import COLUMNS as LESIONS
from cmb_bidsapp.lesions.table import read_lesions
from cmb_bidsapp.phases.prepare import refuse_unusable
from tests.skeletons import build_dataset, image_path, result_of, write_head

NAME = "sub-bad_T2starw"


def content(change):
    """The bytes of the file, changed."""
    return lambda path: path.write_bytes(change(path.read_bytes()))


def unpacked(change):
    """The bytes of the image without its compression, changed."""
    return content(lambda data: gzip.compress(change(bytearray(gzip.decompress(data))), mtime=0))


def field(form, at, *values):
    """A field of the header, see the definition of NIfTI-1."""

    def change(data):
        struct.pack_into("<" + form, data, at, *values)
        return bytes(data)

    return unpacked(change)


def image(make):
    """Another image in the place of the good one."""

    def change(path):
        nib.save(make(nib.load(path)), path)

    return change


def voxels(change):
    """Other values."""

    def make(good):
        data = change(np.array(good.dataobj, dtype=np.float32))
        return nib.Nifti1Image(data, good.affine)

    return image(make)


def scaled(by, units="mm"):
    def make(good):
        made = nib.Nifti1Image(np.asarray(good.dataobj), good.affine @ np.diag([by] * 3 + [1]))
        made.header.set_xyzt_units(units)
        return made

    return image(make)


def forms(sform, qform, sheared=0.0):
    """Codes of the two geometries; ``sheared`` tilts the axes of the sform."""

    def make(good):
        tilt = np.eye(4)
        tilt[0, 1] = sheared
        made = nib.Nifti1Image(np.asarray(good.dataobj), None, good.header)
        made.set_sform(good.affine @ tilt if sheared else good.affine, sform)
        made.set_qform(good.affine, qform)
        return made

    return image(make)


def mirrored(good):
    made = nib.Nifti1Image(np.asarray(good.dataobj), good.affine)
    made.set_sform(good.affine, 1)
    made.set_qform(np.diag([-1, 1, 1, 1]) @ good.affine, 1)
    return made


def shows(shape, side):
    """So many voxels of ``side`` mm."""

    def make(good):
        data = np.resize(np.asarray(good.dataobj), shape)
        return nib.Nifti1Image(data, np.diag([side, side, side, 1.0]))

    return image(make)


def replaced(make):
    """Something else in the place of the file."""

    def change(path):
        path.unlink()
        make(path)

    return change


def flipped(at):
    def change(data):
        bad = bytearray(data)
        bad[at if at >= 0 else len(bad) + at] ^= 1
        return bytes(bad)

    return content(change)


def resized(*shape):
    return voxels(lambda data: np.broadcast_to(np.resize(data, shape), shape).copy())


UNREADABLE, GEOMETRY = "cannot be read", "which no head scan has"

#: Kind of damage to the T2*w: what is done, and words of the cause.
REFUSED = {
    "empty file": (content(lambda _: b""), UNREADABLE),
    "text": (content(lambda _: b"<html>404 not found</html>" * 50), UNREADABLE),
    "git-annex pointer": (content(lambda _: b"/annex/objects/MD5E-s1--x.nii.gz"), "datalad get"),
    "Git LFS pointer": (content(lambda _: b"version https://git-lfs.github.com/"), "git lfs pull"),
    "another format": (content(lambda _: b"\x89PNG\r\n\x1a\n" + bytes(500)), UNREADABLE),
    "zip archive": (content(lambda _: b"PK\x03\x04" + bytes(500)), UNREADABLE),
    "gz of nothing": (content(lambda _: gzip.compress(b"")), UNREADABLE),
    "gz of text": (content(lambda _: gzip.compress(b"hello" * 200)), UNREADABLE),
    "cut in the header of gz": (content(lambda data: data[:5]), UNREADABLE),
    "cut in the header": (content(lambda data: data[:60]), UNREADABLE),
    "cut in the middle": (content(lambda data: data[: len(data) // 2]), UNREADABLE),
    "cut before the checksum": (content(lambda data: data[:-8]), UNREADABLE),
    "cut in the checksum": (content(lambda data: data[:-3]), UNREADABLE),
    "checksum differs": (flipped(-6), UNREADABLE),
    "length differs": (flipped(-2), UNREADABLE),
    "voxels cut off": (unpacked(lambda data: bytes(data[:1000])), UNREADABLE),
    "header cut off": (unpacked(lambda data: bytes(data[:200])), UNREADABLE),
    "no dimensions": (field("h", 40, 0), ""),
    "nine dimensions": (field("h", 40, 9), ""),
    "negative size": (field("h", 42, -24), ""),
    "size of zero": (field("h", 42, 0), ""),
    "one slice": (resized(24, 24, 1), "one 3D volume is needed"),
    "two dimensions": (resized(24, 24), "one 3D volume is needed"),
    "two volumes": (resized(24, 24, 24, 2), "one 3D volume is needed"),
    "1 GB in a small file": (field("4h", 40, 3, 1200, 1200, 800), "more than the file has"),
    "3000 each side": (field("4h", 40, 3, 3000, 3000, 3000), "more than the file has"),
    "32767 each side": (field("4h", 40, 3, 32767, 32767, 32767), "more than the file has"),
    "type of data unknown": (field("h", 70, 999), UNREADABLE),
    "colors": (field("2h", 70, 128, 24), "is a color image"),
    "voxels begin after the end": (field("f", 108, 1e6), UNREADABLE),
    "voxels begin in the header": (field("f", 108, 0.0), UNREADABLE),
    "voxels begin nowhere": (field("f", 108, float("nan")), UNREADABLE),
    "voxel size of zero": (field("f", 84, 0.0), "voxel size of"),
    "voxel size not a number": (field("f", 84, float("nan")), "voxel size of"),
    "voxel size infinite": (field("f", 84, float("inf")), "voxel size of"),
    "sform not a number": (field("f", 280, float("nan")), "no usable affine"),
    "sform of zeros": (field("12f", 280, *[0.0] * 12), "no usable affine"),
    "values scaled beyond reckoning": (field("f", 112, 1e38), "correct its scl_slope"),
    "values scaled to nothing": (field("f", 112, 1e-38), "correct its scl_slope"),
    "neither sform nor qform": (forms(0, 0), "does not say where left and right are"),
    "sform and qform contradict": (image(mirrored), "disagree on its axes"),
    "sform and voxel size contradict": (field("f", 84, 2.0), "by its pixdim"),
    "ten kilometers away": (field("f", 292, 1e7), "from the center of the scanner"),
    "sheared": (forms(1, 0, sheared=0.7), "sheared sform"),
    "meters": (scaled(1, "meter"), "in meters"),
    "micrometers": (scaled(1, "micron"), "in micrometers"),
    "voxels of 40 mm": (scaled(10), GEOMETRY),
    "voxels of 4 m": (scaled(1000), GEOMETRY),
    "voxels of 4 um": (scaled(0.001), GEOMETRY),
    "a head of 0.8 m": (shows((48, 24, 24), 16.0), GEOMETRY),
    "a field of 0.5 m each way": (shows((28, 28, 28), 18.0), GEOMETRY),
    "all zero": (voxels(lambda data: data * 0), "every voxel has the same value"),
    "all one value": (voxels(lambda data: data * 0 + 7), "every voxel has the same value"),
    "all not a number": (voxels(lambda data: data * np.nan), "every voxel has the same value"),
    "all infinite": (voxels(lambda data: data * np.inf), "every voxel has the same value"),
    "link to nothing": (replaced(lambda p: p.symlink_to("gone")), "datalad get"),
    "link to itself": (replaced(lambda p: p.symlink_to(p.name)), "leads back to itself"),
    "folder": (replaced(lambda p: p.mkdir()), ""),
    "pipe": (replaced(os.mkfifo), "not a regular file"),
    "device": (replaced(lambda p: p.symlink_to("/dev/null")), "not a regular file"),
}

#: Kind of damage to the sidecar: its bytes. The session goes on without it and says so.
SIDECARS = {
    "broken": b'{"EchoTime": 0.02',
    "empty": b"",
    "binary": bytes(range(256)),
    "a list": b"[1, 2]",
    "a text": b'"0.02"',
    "null": b"null",
    "a number": b"3",
    "echo time in words": b'{"EchoTime": "long"}',
    "echo time negative": b'{"EchoTime": -0.02}',
    "echo time a list": b'{"EchoTime": [0.01, 0.02]}',
    "echo time an object": b'{"EchoTime": {"value": 0.02}}',
    "echo time in ms": b'{"EchoTime": 20}',
    "a number beyond reckoning": b'{"EchoTime": 1' + b"0" * 400 + b"}",
    "too deep": b"[" * 100_000,
}

#: Path of an image below the dataset whose owner is in doubt, and words of the cause.
NAMES = {
    "another participant": ("sub-bad/anat/sub-other_T2starw.nii.gz", "its name says sub-other"),
    "no participant": ("sub-bad/anat/T2starw.nii.gz", ""),
    "two participants": ("sub-bad/anat/sub-bad_sub-other_T2starw.nii.gz", "sub-bad sub-other"),
    "another format": ("sub-bad/anat/sub-bad_T2starw.nii.bz2", "is no .nii or .nii.gz"),
    "another session": (
        "sub-bad/ses-1/anat/sub-bad_ses-2_T2starw.nii.gz",
        "its name says sub-bad ses-2",
    ),
    "a dash in the label": ("sub-a-b/anat/sub-a-b_T2starw.nii.gz", "is no BIDS label"),
    "a line in the label": ("sub-a_b/anat/sub-a_b_T2starw.nii.gz", "is no BIDS label"),
    "a blank in the label": ("sub-a b/anat/sub-a b_T2starw.nii.gz", "is no BIDS label"),
    "an umlaut in the label": ("sub-ä/anat/sub-ä_T2starw.nii.gz", "is no BIDS label"),
    "dots in the label": ("sub-../anat/sub-.._T2starw.nii.gz", "is no BIDS label"),
    "markup in the label": ("sub-<b>/anat/sub-<b>_T2starw.nii.gz", "is no BIDS label"),
    "a formula in the label": ("sub-=1+1/anat/sub-=1+1_T2starw.nii.gz", "is no BIDS label"),
    "a session's label": ("sub-bad/ses-a-b/anat/sub-bad_ses-a-b_T2starw.nii.gz", "no BIDS label"),
}

#: Content of the description of the dataset.
DESCRIPTIONS = {
    "absent": None,
    "broken": b"{",
    "empty": b"",
    "a list": b"[]",
    "binary": bytes(range(200, 256)),
}


@pytest.fixture
def dataset(tmp_path):
    """A good participant and one that is to be damaged."""
    return build_dataset(
        tmp_path / "bids", {"sub-good_T2starw": {"EchoTime": 0.02}, NAME: {"EchoTime": 0.02}}
    )


def checksums(root):
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def taken(root):
    """By participant: the error its first step ends with, or the session; none is lost."""
    before = checksums(root)
    choice = choose(root, participants=(), excluded=(), sessions=(), filters={})
    found = {}
    for one in (*choice.failed, *choice.skipped):
        found[one.path.parts[0]] = DataError(f"{one.path}: {one.reason}")
    for session in choice.sessions:
        try:
            refuse_unusable(session)
            read_image(session.t2star.path)
            found[f"sub-{session.participant}"] = session
        except Exception as error:  # noqa: BLE001 (of whatever kind)
            found[f"sub-{session.participant}"] = error
    assert checksums(root) == before
    return found


@pytest.mark.parametrize("kind", REFUSED)
def test_an_image_that_is_bad_fails_alone_with_its_cause(dataset, kind):
    damage, words = REFUSED[kind]
    damage(image_path(dataset, NAME))
    found = taken(dataset)
    assert found["sub-good"].participant == "good"
    code, message = classify(found["sub-bad"])
    assert code == 65
    assert words in message
    assert "sub-bad" in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("kind", SIDECARS)
def test_a_sidecar_that_is_bad_costs_itself_and_is_told(dataset, kind):
    (image_path(dataset, NAME).parent / f"{NAME}.json").write_bytes(SIDECARS[kind])
    found = taken(dataset)
    assert found["sub-good"].participant == "good"
    assert any("EchoTime" in n or f"{NAME}.json" in n for n in found["sub-bad"].notes)


@pytest.mark.parametrize("kind", NAMES)
def test_an_image_whose_owner_is_in_doubt_is_nobodys(tmp_path, kind):
    path, words = NAMES[kind]
    root = build_dataset(tmp_path / "bids", {"sub-good_T2starw": {}})
    write_head(root / path)
    found = taken(root)
    assert found.pop("sub-good").participant == "good"
    ((_, error),) = found.items()
    assert classify(error)[0] == 65
    assert words in str(error)


@pytest.mark.parametrize("kind", DESCRIPTIONS)
def test_a_folder_whose_description_is_bad_is_refused(dataset, tmp_path, capsys, kind):
    path = dataset / "dataset_description.json"
    path.unlink()
    if DESCRIPTIONS[kind] is not None:
        path.write_bytes(DESCRIPTIONS[kind])
    assert main([str(dataset), str(tmp_path / "out"), "participant", "--dry-run"]) == 65
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 1
    assert "dataset_description.json" in captured.err
    assert result_of(captured.out) == (0, 0, 0, 65)


def test_there_are_as_many_kinds_as_are_promised():
    assert sum(map(len, (REFUSED, SIDECARS, NAMES, DESCRIPTIONS))) >= 80


@settings(max_examples=150)
@given(at=st.integers(0, 347), value=st.binary(min_size=1, max_size=8))
def test_any_header_is_read_or_refused(tmp_path_factory, at, value):
    path = tmp_path_factory.mktemp("any") / "image.nii.gz"
    write_head(path)
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[at : at + len(value)] = value
    path.write_bytes(gzip.compress(bytes(data), compresslevel=1))
    with contextlib.suppress(DataError):
        read = read_image(path)
        assert read.data.ndim == 3
        assert np.isfinite(read.data).all()
        assert np.isfinite(read.affine).all()


@settings(max_examples=150)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda t: json.dumps({t: t}).encode()))
def test_any_json_is_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "any.json"
    path.write_bytes(data)
    with contextlib.suppress(ValueError):
        assert isinstance(read_json(path), dict)


#: Readers of tables, and columns that they look at.
TABLES = {
    "lesions": (read_lesions, LESIONS),
    "changes": (read_changes, CHANGE_COLUMNS),
    "tracks": (read_tracks, TRACK_COLUMNS),
    "participants": (read_people, ("participant_id", "age", "sex", "group")),
    "plain": (read_table, ("a", "b")),
}
CELLS = st.sampled_from(
    ["n/a", "", "1", "-1", "nan", "1e400", "true", "kept", "definite", "present", "good", "ses-A"]
) | st.text(max_size=6)


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.lists(CELLS, max_size=12), max_size=4),
    kept=st.integers(0, 12),
    junk=st.binary(max_size=8),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe"]),
)
def test_any_table_is_read_or_refused(tmp_path_factory, name, rows, kept, junk, mark):
    read, columns = TABLES[name]
    head = list(columns)[:kept] if kept < 12 else list(columns)
    text = "\n".join("\t".join(row) for row in [head, *rows])
    path = tmp_path_factory.mktemp("any") / "any.tsv"
    path.write_bytes(mark + text.encode("utf-8", "surrogatepass") + junk)
    with contextlib.suppress(ValueError):
        assert len(read(path)) <= len(text.splitlines()) + len(junk)


def test_a_dataset_of_nothing_usable_has_no_input(tmp_path):
    root = build_dataset(tmp_path / "bids", {"sub-01_T1w": {}})
    with pytest.raises(NoInputError):
        choose(root, participants=(), excluded=(), sessions=(), filters={})
