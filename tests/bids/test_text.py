"""Text that people and other programs wrote."""

import os

import pytest

from cmb_bidsapp.bids.text import cause_of, open_text, read_json, read_text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_text(tmp_path, encoding):
    path = tmp_path / "table.tsv"
    path.write_text("größe\t1\n", encoding=encoding)
    assert read_text(path) == "größe\t1\n"


def test_ends_of_lines_are_left_to_the_csv_module(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_bytes(b"a\tb\r\n")
    with open_text(path) as stream:
        assert stream.read() == "a\tb\r\n"


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file") as caught:
        open_text(tmp_path / "pipe")
    assert cause_of(caught.value) == "not a regular file"


def test_the_cause_is_told_without_the_name_of_the_file(tmp_path):
    with pytest.raises(FileNotFoundError) as absent:
        read_text(tmp_path / "absent")
    assert cause_of(absent.value) == "No such file or directory"
    (tmp_path / "latin").write_bytes(b"gr\xf6\xdfe")
    with pytest.raises(UnicodeError) as other:
        read_text(tmp_path / "latin")
    assert cause_of(other.value) == "not UTF-8 text; save it as UTF-8"


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"{", "not valid JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"a":' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_json_object_is_refused_with_its_cause(tmp_path, content, cause):
    path = tmp_path / "sidecar.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=cause):
        read_json(path)


def test_a_json_of_absurd_size_takes_no_memory(tmp_path):
    path = tmp_path / "sidecar.json"
    path.write_bytes(b"{}")
    os.truncate(path, 1_000_000_000)
    with pytest.raises(ValueError, match="too large to be read: 1000 MB"):
        read_json(path)


def test_json_of_old_converters_is_read(tmp_path):
    path = tmp_path / "sidecar.json"
    path.write_bytes('{"InstitutionName": "Köln"}'.encode("latin-1"))
    assert read_json(path) == {"InstitutionName": "Köln"}
