import dataclasses
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from cmb_bidsapp.core.decisions import Decisions
from cmb_bidsapp.settings import (
    Anatomy,
    Clinical,
    Lesions,
    Resources,
    Selection,
    Settings,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
WORDS = st.text("abcXYZ019", min_size=1)
PATHS = st.lists(WORDS, min_size=1).map(lambda parts: Path("/", *parts))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
# The text "null" stands for None in TOML.
ONE = st.none() | TEXT.filter(lambda text: text != "null") | st.integers(0, 99)
FILTER_VALUES = ONE | st.lists(ONE)
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
        proxy_rules=st.sampled_from(["paper", "reference"]),
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
        phase_rule=st.sampled_from(["report", "reject"]),
        min_size=NUMBERS,
    ),
    clinical=st.builds(Clinical, st.integers(0, 99)),
    resources=st.builds(
        Resources, processes=st.integers(1, 99), threads=st.integers(1, 99), device=TEXT
    ),
    keep_workdir=st.sampled_from(["never", "on-failure", "always"]),
    reports_only=st.booleans(),
    verbosity=st.integers(0, 2),
    dry_run=st.booleans(),
    force=st.booleans(),
    seed=st.integers(0, 2**32),
)
quick = effort(max_examples=40)


@pytest.fixture
def settings():
    return Settings(bids_dir=Path("/bids"), out_dir=Path("/out"), levels=("participant",))


@quick
@given(SETTINGS)
def test_what_is_written_is_read(settings):
    assert Settings.from_toml(settings.to_toml()) == settings


def test_a_filter_for_absent_entities_is_in_the_toml(settings):
    filters = {"t1w": {"acquisition": None, "run": [None, 1]}}
    selected = dataclasses.replace(settings, selection=Selection(filters=filters))
    plain = tomllib.loads(selected.to_toml())
    assert plain["selection"]["filters"]["t1w"] == {"acquisition": "null", "run": ["null", 1]}


def test_what_is_not_set_is_left_out(settings):
    plain = settings.to_dict()
    assert "work_dir" not in plain
    assert "reference" not in plain
    assert plain["bids_dir"] == "/bids"


def test_settings_cannot_be_changed(settings):
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.seed = 1


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("seed =", "Invalid value"),
        ('color = "red"', "no setting color"),
        ('seed = "one"', "seed = 'one' is no value of that setting"),
        ("levels = [1]", "levels = 1"),
        ('keep_workdir = "sometimes"', "keep_workdir"),
        ("selection = 3", "selection is not a table"),
        ("[decisions]\nthreshold = true", "decisions.threshold"),
        ("[anatomy]\nbrain = 1", "no setting anatomy.brain"),
    ],
)
def test_what_is_no_setting_is_named(settings, line, named):
    rest = 'bids_dir = "/bids"\nout_dir = "/out"\n'
    rest += "" if line.startswith("levels") else 'levels = ["group"]\n'
    with pytest.raises(ValueError, match=named):
        Settings.from_toml(rest + line)


def test_a_setting_that_has_no_default_must_be_there():
    with pytest.raises(ValueError, match="levels, out_dir is missing"):
        Settings.from_toml('bids_dir = "/bids"')
