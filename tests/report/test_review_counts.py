"""Counts that follow the reader: as the group level counts, and at once on the page."""

import dataclasses
import random
import re

import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.protocol import Protocol
from cmb_bidsapp.clinical.follow_up import known_summary
from cmb_bidsapp.clinical.mars import fill, form_rows
from cmb_bidsapp.clinical.summary import CUTOFFS, summarize
from cmb_bidsapp.core.labels import MARS_FORM
from cmb_bidsapp.group.rating_rows import parse
from cmb_bidsapp.group.reader_decisions import decide
from cmb_bidsapp.group.session_records import Record
from cmb_bidsapp.lesions.lesion import Grade, Lesion, Reason, Side, Status
from cmb_bidsapp.lesions.presence import Change, State
from cmb_bidsapp.report.changes import ReportedChanges, TrackView
from cmb_bidsapp.report.reading import candidates, page_data, session_data
from tests.clinical.test_follow_up import SESSIONS, TRACKS, row_of
from tests.group.readers import rating
from tests.report.heads import section, session_of, words, write_report
from tests.report.reviewing import Reader, write_page
from tests.report.test_participant_changes import compared

WORDS = {name: name for name in MARS_FORM}
NO_CHANGES = ReportedChanges(rows=(), tracks=(), order=(), known={}, notes=(), left_out=0)
#: Heads lie alike in ses-A and ses-C; in ses-B 20 mm farther to the right.
WAYS = {
    f"ses-{name}": [1, 0, 0, shift, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    for name, shift in (("A", 0), ("B", -20), ("C", 0))
}

#: Sums, form and cut-offs of a session by what a reader says of it.
COUNT = """([data, said]) => {
  const session = data.sessions["n/a"];
  const read = cmbCounts.read(session, said, data.places);
  return [cmbCounts.summarize(read, session, data), cmbCounts.form(read.found, data.form)];
}"""
FOLLOW = """([data, found, denied = {}, judged = {}]) => {
  const given = [found, denied, judged].map((by) => new Map(Object.entries(by)));
  const { counts, rows } = cmbTracks.follow(data, ...given);
  return [Object.fromEntries(counts), rows];
}"""


@pytest.fixture
def bare(tmp_path, open_page):
    """A page whose functions are called."""
    return open_page(write_page(tmp_path))


# As at the group level


def any_table(chance, size):
    """A lesion table of anything that can be in one."""

    def lesion(number):
        mars = chance.choice([*MARS_FORM, "unassigned"])
        group = MARS_FORM[mars][1] if mars in MARS_FORM else chance.choice(["deep", "unassigned"])
        return Lesion(
            lesion_id=number,
            status=chance.choice([*Status]),
            reason=Reason.PARENCHYMA,
            grade=chance.choice([*Grade]),
            region=group,
            mars_region=mars,
            side=chance.choice([*Side]),
            border=chance.random() < 0.2,
            x=float(number),
            y=0.0,
            z=0.0,
            diameter=0.5,
            calibrated_probability=chance.choice([None, 0.2, 0.9]) if size < 6 else 0.6,
        )

    return [lesion(number) for number in range(1, size + 1)]


def test_a_reading_counts_on_the_page_as_at_the_group_level(bare, tmp_path):
    for seed in range(60):
        agree(bare, tmp_path, random.Random(seed))


def agree(bare, tmp_path, chance):
    table = any_table(chance, chance.choice([0, 1, 3, 5, 12, 25]))
    choices = ["definite", "possible", "not-cmb", None]
    said = {one.lesion_id: chance.choice(choices) for one in table}
    rows = [
        rating(str(number), word, place=(number, 0, 0)) for number, word in said.items() if word
    ]
    record = Record(
        files=SessionFiles(tmp_path, "01", None),
        lesions=tuple(table),
        protocol=Protocol(sequence="GRE"),
    )
    ratings = [parse(tmp_path / "x.tsv", as_text(row))[1] for row in rows]
    read, reading = decide(record, ratings)
    assert reading.problems == ()
    summary, form = summarize(read.lesions), form_rows(fill(read.lesions))
    rejected = sum(not one.kept for one in table)
    own = session_data(candidates(table, table), rejected, summarize(table), "")
    told = [{"lesion": row["lesion_id"], "decision": row["decision"]} for row in rows]
    data = page_data({"n/a": own}, NO_CHANGES, WORDS, {})
    sums, lines = bare.evaluate(COUNT, [data, told])
    for name, value in vars(summary).items():
        if name in sums:
            assert (name, sums[name]) == (name, value)
    assert [cut["answer"] != "no" for cut in sums["cutoffs"]] == [
        getattr(summary, name) or cut["answer"] == "uncertain"
        for name, cut in zip(CUTOFFS, sums["cutoffs"], strict=True)
    ]
    assert [cut["chance"] for cut in sums["cutoffs"]] == [
        pytest.approx(share) if share == share else None for _, _, share in summary.crossed()
    ]
    assert lines == [{**row, "abbreviation": row["abbreviation"] or None} for row in form]


def as_text(row):
    return {name: "n/a" if value is None else str(value) for name, value in row.items()}


def tracks_data(rows=TRACKS):
    """The follow-up of the clinical tests, candidates with the numbers of their tracks."""
    numbered = [
        dataclasses.replace(r, lesion_id=r.track_id if r.state is State.PRESENT else None)
        for r in rows
    ]
    tracks = [
        TrackView([r for r in numbered if r.track_id == n], None)
        for n in sorted({r.track_id for r in numbered})
    ]
    known = {name: known_summary(rows, name) for name in SESSIONS}
    return page_data(
        {},
        ReportedChanges(rows=(), tracks=tracks, order=(), known=known, notes=(), left_out=0),
        WORDS,
        WAYS,
    )


def all_found(rows=TRACKS):
    """Counted lesions by session, as the page has them."""
    return {
        name: [
            {"lesion": r.track_id, "group": r.region, "region": r.mars_region}
            for r in rows
            if r.session_id == name and r.state is State.PRESENT
        ]
        for name in SESSIONS
    }


def test_who_agrees_with_the_algorithm_counts_its_changes(bare):
    counts, rows = bare.evaluate(FOLLOW, [tracks_data(), all_found()])
    for session in SESSIONS[1:]:
        own = vars(row_of(session))
        for name, value in counts[session].items():
            if name in own:
                assert (session, name, value) == (session, name, own[name])
    assert [(r["state"], r["change"]) for r in rows] == [(r.state, r.change) for r in TRACKS]


def without(*taken, **more):
    """What is found when a reader takes (track, session) away, and adds some in a session."""
    found = all_found()
    for track, session in taken:
        found[session] = [one for one in found[session] if one["lesion"] != track]
    for session, group in more.items():
        name = f"ses-{session}"
        found[name] = [*found[name], {"lesion": None, "group": group, "region": "frontal"}]
    return found


def states(rows, track):
    return [r["change"] or r["state"] for r in rows if r["track"] == track]


def test_changes_follow_what_a_reader_makes_of_each_session(bare):
    data = tracks_data()
    # What was new is no microbleed in one session: it is new in the next one.
    counts, rows = bare.evaluate(FOLLOW, [data, without((2, "ses-B"))])
    assert states(rows, 2) == [State.NOT_YET, State.NOT_YET, Change.NEW]
    assert [counts[name]["new"] for name in SESSIONS] == [0, 0, 1]
    # What persists is none at baseline: it is new. None at the follow-up: it is gone.
    counts, rows = bare.evaluate(FOLLOW, [data, without((1, "ses-A"))])
    assert states(rows, 1) == [State.NOT_YET, Change.NEW, State.BELOW_THRESHOLD]
    assert counts["ses-B"]["new_since_baseline"] == 2
    assert counts["ses-B"]["aria_h"] == "mild"
    counts, rows = bare.evaluate(FOLLOW, [data, without((1, "ses-B"))])
    assert states(rows, 1) == [Change.BASELINE, State.GONE, State.BELOW_THRESHOLD]
    assert counts["ses-B"]["gone"] == 2
    # What is a microbleed in no session is not followed.
    counts, rows = bare.evaluate(FOLLOW, [data, without((5, "ses-A"))])
    assert states(rows, 5) == []
    assert [counts[name]["gone"] for name in SESSIONS] == [0, 0, 0]
    assert counts["ses-C"]["known_category"] == "strictly deep"


def test_what_only_the_reader_counts_is_open(bare):
    counts, _ = bare.evaluate(FOLLOW, [tracks_data(), without(A="lobar", B="lobar")])
    before = vars(row_of("ses-B"))
    assert counts["ses-B"]["open"] == before["open"] + 1
    assert counts["ses-B"]["new"] == before["new"]
    assert counts["ses-B"]["known_category"] == "mixed"
    assert [counts[name]["alone"] for name in SESSIONS] == [0, 1, 0]


def added(session, at):
    """A lesion that a reader added, as the page has it, in a session."""
    own = {"lesion": None, "group": "lobar", "region": "frontal", "at": at}
    return {session: [*all_found()[session], own]}


def test_what_only_the_reader_counts_is_followed_by_its_place(bare):
    data = tracks_data()
    # The same place in two sessions, by the registration, is one microbleed; the image of ses-C
    # is not looked at.
    both = all_found() | added("ses-A", [50, 0, 0]) | added("ses-B", [72, 0, 0])
    counts, rows = bare.evaluate(FOLLOW, [data, both])
    last = max(r["track"] for r in rows)
    assert last == 1 + max(r.track_id for r in TRACKS)
    assert states(rows, last) == [Change.BASELINE, Change.PERSISTENT, "unknown"]
    own = vars(row_of("ses-B"))
    assert (counts["ses-B"]["open"], counts["ses-B"]["alone"]) == (own["open"], 0)
    assert counts["ses-C"]["known"] == row_of("ses-C").known + 1
    # Too far apart they are two, and the second may be new or not.
    both = all_found() | added("ses-A", [50, 0, 0]) | added("ses-B", [50, 0, 0])
    counts, rows = bare.evaluate(FOLLOW, [data, both])
    assert states(rows, last + 1) == ["unknown", Change.OPEN, "unknown"]
    assert counts["ses-B"]["alone"] == 1
    # Where the reader says that nothing is there before, it is new.
    denied = {"ses-A": [{"lesion": 99, "at": [51, 0, 0]}]}
    later = all_found() | added("ses-B", [72, 0, 0])
    counts, rows = bare.evaluate(FOLLOW, [data, later, denied])
    assert states(rows, last) == [State.NOT_YET, Change.NEW, "unknown"]
    assert counts["ses-B"]["new"] == own["new"] + 1


def test_a_lesion_added_at_the_place_of_a_microbleed_is_that(bare):
    row = next(r for r in TRACKS if r.session_id == "ses-C" and r.state is State.BELOW_THRESHOLD)
    data = tracks_data(
        [dataclasses.replace(r, x=5.0, y=6.0, z=7.0) if r == row else r for r in TRACKS]
    )
    counts, rows = bare.evaluate(FOLLOW, [data, all_found() | added("ses-C", [5, 6, 9])])
    assert states(rows, row.track_id)[-1] == Change.PERSISTENT
    own = vars(row_of("ses-C"))
    assert counts["ses-C"]["persistent"] == own["persistent"] + 1
    assert counts["ses-C"]["below_threshold"] == own["below_threshold"] - 1
    # And one that the reader denies there is gone.
    denied = {"ses-C": [{"lesion": 99, "at": [5, 6, 9]}]}
    _, rows = bare.evaluate(FOLLOW, [data, all_found(), denied])
    assert states(rows, row.track_id)[-1] == State.GONE


# At once on the page


@pytest.fixture
def reader(tmp_path, finished, open_page):
    return Reader(open_page(write_report(tmp_path, session_of(tmp_path)), to_read=True))


def told(page, name="summary"):
    return words(section(page.content(), name))


def visible(page, selector):
    return " ".join(page.locator(selector).inner_text().split())


def test_summary_and_form_are_redrawn_from_the_decisions(reader):
    page = reader.page
    before = visible(page, "#summary"), visible(page, "#forms")
    assert page.get_by_role("group", name="Counts by").is_hidden()
    reader.rate(1, "Not a CMB")
    summary, form = visible(page, "#summary"), visible(page, "#forms")
    assert re.search(r"1 microbleed \d", summary)
    assert "lobar 0 deep 1 infratentorial 0" in summary
    assert "2 candidates rejected. By AB, aided; 1 candidate not rated, as the algo" in summary
    assert "strictly deep" in summary
    assert "frontal F 0 0 0 0 0 0 0" in form
    assert re.search("thalamus Th 0 (1 0 0 1 0|0 0 1 0 1) 1", form)
    assert "Filled in by AB (aided) in cmb_bidsapp" in form
    # Rejected by the algorithm, definite to the reader.
    reader.rate(2, "Definite")
    assert "2 microbleeds" in visible(page, "#summary")
    reader.button("Undo")
    reader.button("Undo")
    assert (visible(page, "#summary"), visible(page, "#forms")) == before


def test_the_reader_switches_to_the_counts_of_the_algorithm_and_back(reader):
    page = reader.page
    before = visible(page, "#summary"), visible(page, "#forms")
    reader.rate(1, "Not a CMB")
    by_reader = visible(page, "#summary"), visible(page, "#forms")
    switch = page.get_by_role("group", name="Counts by")
    assert switch.get_by_role("radio", name="AB").is_checked()
    switch.get_by_role("radio", name="the algorithm").check()
    assert (visible(page, "#summary"), visible(page, "#forms")) == before
    reader.rate(3, "Not a CMB")
    assert (visible(page, "#summary"), visible(page, "#forms")) == before
    reader.button("Undo")
    switch.get_by_role("radio", name="AB").check()
    assert (visible(page, "#summary"), visible(page, "#forms")) == by_reader


def test_an_added_lesion_counts_where_it_lies_once_the_volume_has_told_it(reader):
    page = reader.page
    reader.click_volume(0, 15, 4)
    reader.button("Add as definite")
    assert "3 microbleeds" in visible(page, "#summary")
    if "unassigned 1" in visible(page, "#summary"):  # the volume is not open yet
        assert "1 added lesion unassigned, because the page does not know" in visible(
            page, "#summary"
        )
        page.locator("#viewer").scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('.viewer-message').hidden")
    assert "lobar 2 deep 1 infratentorial 0" in visible(page, "#summary")
    assert "unassigned" not in visible(page, "#summary")
    page.reload()
    assert "lobar 2 deep 1 infratentorial 0" in visible(page, "#summary")


def test_a_side_that_nobody_knows_has_its_column_and_a_region_its_line(reader):
    page = reader.page
    reader.click_volume(300, 0, 0)
    reader.button("Add as possible")
    form = visible(page, ".form table")
    assert form.count("no side") == 2
    assert "Unassigned unassigned 0 0 0 0 0 1 0 1 1" in form
    columns = page.locator(".form tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.querySelectorAll('td')].length)"
    )
    assert set(columns) == {9}
    reader.button("Undo")
    assert "no side" not in visible(page, ".form table")


def test_changes_are_redrawn_with_their_badges(tmp_path, open_page):
    reader = Reader(open_page(compared(tmp_path), to_read=True))
    page = reader.page
    before = visible(page, "#changes")
    change = page.locator("#changes tbody tr td").all_inner_texts()
    assert change[4] == "1"
    # The new one is none, after all.
    reader.rate(1, "Not a CMB", "ses-A")
    change = page.locator("#changes tbody tr td").all_inner_texts()
    assert [change[k] for k in (2, 3, 4)] == ["1", "1", "0"]
    assert change[12].startswith("none")
    assert change[13:16] == ["n/a"] * 3
    tracks = visible(page, "#changes .tracks >> nth=0")
    assert "not a microbleed" in tracks.lower()
    overview = page.locator(".overview tbody tr").nth(1).locator("td").all_inner_texts()
    assert overview[0] == "1"
    # Who takes away what is persistent in the session before makes it new here.
    reader.rate(1, "Not a CMB", "ses-B")
    assert reader.card(3, "ses-A").locator(".badge").inner_text().lower() == "new"
    reader.button("Undo")
    reader.button("Undo")
    assert visible(page, "#changes") == before


def test_blinded_counts_stay_covered_and_are_the_readers_afterwards(tmp_path, finished, open_page):
    page = open_page(write_report(tmp_path, session_of(tmp_path)), to_read=True)
    reader = Reader(page, "AB", "Blinded")
    for lesion, word in ((1, "Not a CMB"), (2, "Not a CMB"), (3, "Possible")):
        reader.rate(lesion, word)
    assert page.get_by_role("group", name="Counts by").is_hidden()
    reader.export(tmp_path)
    assert "1 microbleed 0 definite, 1 possible" in visible(page, "#summary")
    assert page.get_by_role("radio", name="AB", exact=True).is_checked()
