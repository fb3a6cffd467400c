"""Who changes what computes the results of a phase must say whether they are others now."""

from dataclasses import replace

import pytest

from cmb_bidsapp.workflow import DECIDE
from tests.phases import reached
from tests.phases.reached import (
    RECORD,
    State,
    changed,
    current,
    main,
    question,
    read_record,
    states,
    undecided,
    write_record,
)

WORKFLOW = '''
from cmb_bidsapp.rules import rule


def decide(session):
    """Decide."""
    return rule(session)


def other():
    return 1
'''
RULES = '''
from cmb_bidsapp.core import limits

def rule(x: int) -> int:
    """Say something."""
    from cmb_bidsapp.core.table import rows  # late
    return x + len(rows()) + limits.LIMIT + FACTOR * 2

def unrelated():
    return 3

FACTOR = 5
'''
SOURCES = {
    "workflow.py": WORKFLOW,
    "rules.py": RULES,
    "core/__init__.py": "",
    "core/limits.py": "LIMIT = 7\nUNUSED = 1\n",
    "core/table.py": 'def rows():\n    return "labels.tsv"\n',
    "core/labels.tsv": "a\n",
}


@pytest.fixture
def read(tmp_path):
    """Read a small package, some words of whose sources are replaced."""

    def made(name="rules.py", old="", new=""):
        for path, text in SOURCES.items():
            file = tmp_path / "cmb_bidsapp" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            assert path != name or old in text
            file.write_text(text.replace(old, new) if path == name and old else text)
        return states(tmp_path, {"decide": 1})["decide"]

    return made


def test_the_record_is_of_the_code_as_it_is():
    now, then = current(), read_record(RECORD)
    left = [question(name, now[name].version, what) for name, what in undecided(now, then).items()]
    assert left == [], "\n".join(left)
    assert now == then, "versions were raised: run python -m tests.phases.reached"


def test_what_a_phase_names_is_followed(read):
    assert {"workflow", "rules", "core.limits", "core.table", "labels.tsv"} == set(read().hashes)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("workflow.py", '"""Decide."""', '"""Decide on every candidate."""'),
        ("rules.py", '"""Say something."""', '"""Say."""'),
        ("rules.py", "# late", "# not at the top: it is slow"),
        ("rules.py", "x: int) -> int", "x: float) -> float"),
        ("rules.py", "x + len(rows())", "(x\n        + len(rows()))"),
        ("rules.py", "return 3", "return 4"),
        ("workflow.py", "return 1", "return 2"),
        ("core/limits.py", "UNUSED = 1", "UNUSED = 2"),
    ],
)
def test_what_computes_nothing_of_it_does_not_count(read, name, old, new):
    assert read() == read(name, old, new)


@pytest.mark.parametrize(
    ("name", "old", "new", "where"),
    [
        ("workflow.py", "rule(session)", "rule(session) + 1", "workflow"),
        ("rules.py", "* 2", "* 3", "rules"),
        ("rules.py", "FACTOR = 5", "FACTOR = 6", "rules"),
        ("core/limits.py", "LIMIT = 7", "LIMIT = 8", "core.limits"),
        ("core/table.py", "return", "yield", "core.table"),
        ("core/labels.tsv", "a", "b", "labels.tsv"),
    ],
)
def test_what_computes_a_part_of_it_counts(read, name, old, new, where):
    assert changed(read(), read(name, old, new)) == [where]


def test_a_higher_version_decides():
    then = {"decide": State(1, {"rules": "a"}), "segment": State(4, {"rules": "a"})}
    now = {"decide": State(2, {"rules": "b"}), "segment": State(4, {"rules": "b"})}
    assert undecided(now, then) == {"segment": ["rules"]}
    assert undecided(then, then) == {}


def test_the_record_is_read_as_it_was_written(tmp_path):
    made = {"decide": State(1, {"rules": "a", "b": "c"}), "segment": State(4, {"rules": "d"})}
    write_record(tmp_path / "record.tsv", made)
    assert read_record(tmp_path / "record.tsv") == made


def test_the_record_is_not_renewed_before_it_is_decided(tmp_path, monkeypatch):
    record = tmp_path / "record.tsv"
    write_record(record, {"decide": State(1, {"rules": "a"})})
    now = {"decide": State(1, {"rules": "b"})}
    monkeypatch.setattr(reached, "RECORD", record)
    monkeypatch.setattr(reached, "current", lambda: now)
    monkeypatch.setattr("sys.argv", ["reached"])
    with pytest.raises(SystemExit, match=r"rules compute otherwise.*--same decide"):
        main()
    assert read_record(record) != now
    monkeypatch.setattr("sys.argv", ["reached", "--same", "decide"])
    main()
    assert read_record(record) == now


def test_the_version_is_part_of_what_a_stamp_is_made_of():
    phase = replace(DECIDE, parameters=lambda *_: {"threshold": 0.5})
    assert phase.depends_on(None, None) == {"version": DECIDE.version, "threshold": 0.5}
