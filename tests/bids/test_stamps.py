import hashlib
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_bidsapp.bids.stamps import (
    FileState,
    Stamp,
    current,
    key_of,
    read_stamp,
    refreshed,
    state_of,
    states,
    write_stamp,
)

quick = settings(max_examples=20)

STATES = st.builds(FileState, st.integers(0), st.integers(0), st.text("0123456789abcdef"))
PLAIN = st.none() | st.booleans() | st.integers() | st.text()


@pytest.fixture
def finished(tmp_path):
    outputs = {}
    for name in ("a.txt", "sub/b.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
        outputs[name] = state_of(path)
    return Stamp("key", {}, outputs)


def test_state_holds_the_hash_of_the_content(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    state = state_of(path)
    assert state.size == 7
    assert state.mtime_ns == path.stat().st_mtime_ns
    assert state.sha256 == hashlib.sha256(b"content").hexdigest()


def test_a_file_of_known_size_and_time_is_not_hashed_again(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    stat = path.stat()
    known = FileState(stat.st_size, stat.st_mtime_ns, "as known")
    assert state_of(path, known) is known
    os.utime(path, ns=(0, stat.st_mtime_ns + 1))
    assert state_of(path, known).sha256 == hashlib.sha256(b"content").hexdigest()


def test_states_are_keyed_by_path_and_use_what_is_known(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    stat = path.stat()
    known = {str(path): FileState(stat.st_size, stat.st_mtime_ns, "as known")}
    assert states([path], known) == known
    assert states([], known) == {}


@quick
@given(
    st.text(),
    st.dictionaries(st.text(), STATES),
    st.dictionaries(st.text(), STATES),
)
def test_stamps_read_back(tmp_path_factory, key, inputs, outputs):
    path = tmp_path_factory.getbasetemp() / "stamps" / "stamp.json"
    stamp = Stamp(key, inputs, outputs)
    write_stamp(path, stamp)
    assert read_stamp(path) == stamp


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"key": "a"}',
        '{"key": "a", "inputs": {"f": {"size": 1}}, "outputs": {}}',
        '{"key": "a", "inputs": {"f": 1}, "outputs": {}}',
        '{"key": "a", "inputs": [], "outputs": {}}',
    ],
)
def test_a_damaged_stamp_is_no_stamp(tmp_path, text):
    path = tmp_path / "stamp.json"
    path.write_text(text)
    assert read_stamp(path) is None


def test_a_missing_stamp_is_no_stamp(tmp_path):
    assert read_stamp(tmp_path / "stamp.json") is None


def test_a_stamp_vouches_for_untouched_outputs(finished, tmp_path):
    assert current(finished, "key", tmp_path)


def test_a_stamp_vouches_for_outputs_that_were_copied_elsewhere(finished, tmp_path):
    moved = tmp_path / "moved"
    for name in finished.outputs:
        (moved / name).parent.mkdir(parents=True, exist_ok=True)
        (moved / name).write_text(name)
    assert current(finished, "key", moved)


def test_a_stamp_of_another_key_vouches_for_nothing(finished, tmp_path):
    assert not current(finished, "other", tmp_path)
    assert not current(None, "key", tmp_path)


@pytest.mark.parametrize("text", ["longer than before", "same l"])
def test_a_stamp_does_not_vouch_for_altered_outputs(finished, tmp_path, text):
    path = tmp_path / "sub" / "b.txt"
    before = path.stat().st_mtime_ns
    path.write_text(text)
    os.utime(path, ns=(before + 1, before + 1))
    assert not current(finished, "key", tmp_path)


def test_a_stamp_does_not_vouch_for_deleted_outputs(finished, tmp_path):
    (tmp_path / "a.txt").unlink()
    assert not current(finished, "key", tmp_path)
    (tmp_path / "a.txt").mkdir()
    assert not current(finished, "key", tmp_path)


@quick
@given(st.dictionaries(st.text(), PLAIN), st.dictionaries(st.text(), STATES), st.randoms())
def test_keys_do_not_depend_on_order_or_times(parameters, inputs, random):
    shuffled = list(parameters.items())
    random.shuffle(shuffled)
    touched = {n: FileState(s.size, s.mtime_ns + 1, s.sha256) for n, s in inputs.items()}
    assert key_of(dict(shuffled), touched) == key_of(parameters, inputs)


@quick
@given(
    st.dictionaries(st.text(), st.integers(), min_size=1),
    st.dictionaries(st.text(), STATES, min_size=1),
    st.data(),
)
def test_keys_depend_on_every_parameter_and_every_content(parameters, inputs, data):
    key = key_of(parameters, inputs)
    name = data.draw(st.sampled_from(sorted(parameters)))
    assert key_of({**parameters, name: parameters[name] + 1}, inputs) != key
    name = data.draw(st.sampled_from(sorted(inputs)))
    state = inputs[name]
    changed = {**inputs, name: FileState(state.size, state.mtime_ns, state.sha256 + "0")}
    assert key_of(parameters, changed) != key


def test_stamps_are_plain_json(finished, tmp_path):
    write_stamp(tmp_path / "stamp.json", finished)
    plain = json.loads((tmp_path / "stamp.json").read_text())
    assert set(plain) == {"key", "inputs", "outputs"}
    assert set(plain["outputs"]) == {"a.txt", "sub/b.txt"}


def test_a_refreshed_stamp_has_the_times_of_now_and_the_key_of_then(tmp_path):
    made = tmp_path / "made.txt"
    made.write_text("made")
    stamp = Stamp("key", {}, {"made.txt": state_of(made)})
    os.utime(made, ns=(1, 1))
    now = refreshed(stamp, {}, tmp_path)
    assert now.key == "key"
    assert now.outputs["made.txt"].mtime_ns == 1
    assert now.outputs["made.txt"].sha256 == stamp.outputs["made.txt"].sha256
