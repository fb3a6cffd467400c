import dataclasses
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from cmb_bidsapp.settings import (
    Anatomy,
    Clinical,
    Decisions,
    Lesions,
    Resources,
    Selection,
    Settings,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
WORDS = st.text("abcXYZ019", min_size=1)
PATHS = st.lists(WORDS, min_size=1).map(lambda parts: Path("/", *parts))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
FILTER_VALUES = TEXT | st.integers(0, 99) | st.lists(TEXT | st.integers(0, 99))
SELECTIONS = st.builds(
    Selection,
    participants=st.lists(TEXT).map(tuple),
    excluded=st.lists(TEXT).map(tuple),
    sessions=st.lists(TEXT).map(tuple),
    filters=st.dictionaries(
        st.sampled_from(["t1w", "t2starw"]), st.dictionaries(TEXT, FILTER_VALUES)
    ),
)
SETTINGS = st.builds(
    Settings,
    bids_dir=PATHS,
    out_dir=PATHS,
    levels=st.sampled_from([("participant",), ("group",), ("participant", "group")]),
    work_dir=st.none() | PATHS,
    selection=SELECTIONS,
    anatomy=st.builds(
        Anatomy,
        brain_extraction=TEXT,
        parcellation=TEXT,
        model=TEXT,
        jhu_atlas=st.none() | TEXT.map(Path),
        derivatives=st.lists(TEXT.map(Path), max_size=2).map(tuple),
    ),
    lesions=st.builds(Lesions, TEXT, st.booleans(), st.lists(TEXT).map(tuple)),
    decisions=st.builds(
        Decisions,
        threshold=NUMBERS,
        cfpr=st.booleans(),
        cfpr_mode=st.just("reference"),
        cfpr_radius=NUMBERS,
        cfpr_ratio=NUMBERS,
        min_size=NUMBERS,
    ),
    clinical=st.builds(Clinical, st.integers(0, 99)),
    resources=st.builds(
        Resources, processes=st.integers(1, 99), threads=st.integers(1, 99), device=TEXT
    ),
    bids_database_dir=st.none() | PATHS,
    dry_run=st.booleans(),
    force=st.booleans(),
    seed=st.integers(0, 2**32),
)
quick = effort(max_examples=40)


@pytest.fixture
def settings():
    return Settings(Path("/bids"), Path("/out"), ("participant",))


@quick
@given(SETTINGS)
def test_toml_holds_the_same_as_the_plain_dict(settings):
    assert tomllib.loads(settings.to_toml()) == settings.to_dict()


def test_a_filter_for_absent_entities_is_in_the_toml(settings):
    filters = {"t1w": {"acquisition": None, "run": [None, 1]}}
    selected = dataclasses.replace(settings, selection=Selection(filters=filters))
    plain = tomllib.loads(selected.to_toml())
    assert plain["selection"]["filters"]["t1w"] == {"acquisition": "null", "run": ["null", 1]}


def test_what_is_not_set_is_left_out(settings):
    plain = settings.to_dict()
    assert "work_dir" not in plain
    assert "bids_database_dir" not in plain
    assert plain["bids_dir"] == "/bids"


def test_settings_cannot_be_changed(settings):
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.seed = 1
