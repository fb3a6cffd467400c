import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_bidsapp.bids.filters import matches, plain_labels, read_filters, select_participants
from cmb_bidsapp.core.errors import UsageError

quick = settings(max_examples=50)

LABELS = st.text(string.ascii_letters + string.digits, min_size=1, max_size=6)


def test_filter_file_is_read_as_it_is(tmp_path):
    content = {"t1w": {"acquisition": None, "run": [1, 2]}, "t2starw": {"session": "*"}}
    path = tmp_path / "filters.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    assert read_filters(path) == content


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"bold": {}}', "unknown key bold; valid are t1w, t2starw, swi"),
        ('{"t1w": "hi"}', "object of objects"),
        ("[]", "not a JSON object"),
        ("{", "not valid JSON"),
        (None, "No such file"),
        ('{"t1w": {"rec": "norm"}}', "t1w: no entity rec; did you mean reconstruction?"),
        ('{"swi": {"aquisition": null}}', "swi: no entity aquisition; did you mean acquisition?"),
        ('{"t2starw": {"x": 1}}', "no entity x; valid are subject, session"),
        ('{"t2starw": {"run": {"not": 1}}}', "run: expected a string, a number, null, or a list"),
        ('{"t1w": {"run": true}}', "run: expected a string, a number, null, or a list"),
        ('{"t1w": {"run": []}}', "run: expected a string, a number, null, or a list"),
        ('{"t1w": {"acquisition": ""}}', 'acquisition: no image can have ""'),
        ('{"t1w": {"acquisition": "acq-hi"}}', 'no image can have "acq-hi"; labels are'),
        ('{"t1w": {"acquisition": ["lo", "h.*"]}}', 'no image can have "h.\\*"'),
        ('{"t1w": {"extension": "nii"}}', 'no image can have "nii"; write ".nii"'),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_filter_file_with_a_mistake_is_a_usage_error(tmp_path, text, message):
    path = tmp_path / "filters.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message) as caught:
        read_filters(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_filter_file_may_have_a_byte_order_mark(tmp_path, encoding):
    path = tmp_path / "filters.json"
    path.write_text('{"swi": {"run": 1}}', encoding=encoding)
    assert read_filters(path) == {"swi": {"run": 1}}


@quick
@given(st.lists(LABELS), st.data())
def test_labels_are_the_same_however_they_are_spelled(labels, data):
    spelled = [data.draw(st.sampled_from(["", "sub-", " sub-"])) + label for label in labels]
    groups, rest = [], spelled
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        groups.append(",".join(rest[:size]))
        rest = rest[size:]
    assert plain_labels(groups, "sub-") == tuple(dict.fromkeys(labels))


@quick
@given(st.lists(LABELS))
def test_plain_labels_of_plain_labels_change_nothing(labels):
    once = plain_labels(labels, "ses-")
    assert plain_labels(once, "ses-") == once


@quick
@given(st.dictionaries(LABELS, LABELS | st.integers(0, 20)), st.data())
def test_an_image_matches_filters_made_from_its_own_entities(entities, data):
    kinds = [
        lambda value: value,
        lambda value: "*",
        lambda value: [value, None],
        lambda value: ["*"],
        lambda value: [None, str(value)],
    ]
    wanted = {
        key: data.draw(st.sampled_from(kinds))(value)
        for key, value in entities.items()
        if data.draw(st.booleans())
    }
    assert matches(entities, wanted)


@quick
@given(st.dictionaries(LABELS, LABELS), LABELS, LABELS)
def test_what_an_image_lacks_matches_null_only(entities, key, value):
    entities.pop(key, None)
    assert matches(entities, {key: None})
    assert not matches(entities, {key: "*"})
    assert not matches(entities, {key: value})
    assert not matches(entities, {key: [value]})


@quick
@given(st.dictionaries(LABELS, LABELS, min_size=1), st.data())
def test_one_entity_that_differs_is_enough_not_to_match(entities, data):
    key = data.draw(st.sampled_from(sorted(entities)))
    assert not matches(entities, {**entities, key: entities[key] + "x"})
    assert not matches(entities, {**entities, key: []})


@quick
@given(st.integers(0, 999), st.integers(0, 4), st.integers(0, 4))
def test_indices_match_with_any_number_of_leading_zeros(index, left, right):
    assert matches({"run": "0" * left + str(index)}, {"run": "0" * right + str(index)})
    assert not matches({"run": "0" * left + str(index)}, {"run": index + 1})


@quick
@given(st.text("01²a"), st.text("01²a"))
def test_any_text_can_be_compared_and_is_the_same_both_ways(have, want):
    assert matches({"run": have}, {"run": want}) == matches({"run": want}, {"run": have})


PRESENT = ["01", "02", "03"]


@pytest.mark.parametrize(
    ("wanted", "unwanted", "selected"),
    [
        ([], [], {"01", "02", "03"}),
        (["sub-02", "03"], [], {"02", "03"}),
        (["01,02"], ["02"], {"01"}),
        ([], ["sub-01"], {"02", "03"}),
    ],
)
def test_labels_choose_participants(wanted, unwanted, selected):
    assert select_participants(PRESENT, wanted, unwanted) == selected


def test_a_label_that_nobody_has_is_named():
    with pytest.raises(UsageError, match="sub-99"):
        select_participants(PRESENT, ["01", "99"], [])


def test_somebody_must_be_left():
    with pytest.raises(UsageError, match="all participants"):
        select_participants(PRESENT, ["01"], ["01"])


@pytest.mark.parametrize("wanted", [[""], [" ", ","]])
def test_an_empty_label_is_not_everybody(wanted):
    with pytest.raises(UsageError, match="no participant label given"):
        select_participants(PRESENT, wanted, [])
