"""Microbleeds through time as a reader has them: as in the tables, and at once on the page."""

import random

import numpy as np
import pytest

from cmb_bidsapp.bids.protocol import Protocol
from cmb_bidsapp.bids.tables import read_table, write_table
from cmb_bidsapp.clinical.decided import Decided, decide_tracks
from cmb_bidsapp.clinical.judged import Judgment
from cmb_bidsapp.clinical.tracks import track_rows
from cmb_bidsapp.lesions.lesion import Grade, Lesion, Region, Side, Status
from cmb_bidsapp.lesions.longitudinal import TrackPoint
from cmb_bidsapp.lesions.presence import Evidence, State, history_of
from cmb_bidsapp.report.changes import badge
from tests.clinical.test_follow_up import SESSIONS, row_of
from tests.group.readers import rating, write_ratings
from tests.report.reviewing import Reader, write_page
from tests.report.test_participant_changes import compared
from tests.report.test_review_counts import FOLLOW, all_found, tracks_data

GRE = Protocol(sequence="GRE")
LESION = Lesion(
    lesion_id=1,
    status=Status.KEPT,
    grade=Grade.DEFINITE,
    region=Region.LOBAR,
    mars_region="frontal",
    side=Side.LEFT,
)
#: Columns of the changes that the page counts as well.
COUNTED = ("persistent", "new", "already_there", "open", "new_since_baseline", "known")


@pytest.fixture
def bare(tmp_path, open_page):
    """A page whose functions are called."""
    return open_page(write_page(tmp_path))


def rows_of(*there):
    """A microbleed that has these states in the three sessions."""
    points = [
        TrackPoint(lesion=0 if one is State.PRESENT else None, place=np.zeros(3), covered=True)
        for one in there
    ]
    history = history_of(points, [Evidence()] * 3, there, [GRE] * 3)
    return list(track_rows([history], {name: [LESION] for name in SESSIONS}, SESSIONS))


@pytest.mark.parametrize("first", [State.NOT_YET, State.BELOW_THRESHOLD, State.NOT_COVERED])
@pytest.mark.parametrize("second", [State.NOT_YET, State.BELOW_THRESHOLD, State.NOT_COMPARABLE])
def test_what_is_new_is_that_of_the_tables_whatever_came_before(bare, first, second):
    tracks = rows_of(first, second, State.PRESENT)
    counts, rows = bare.evaluate(FOLLOW, [tracks_data(tracks), all_found(tracks)])
    assert [(r["state"], r["change"]) for r in rows] == [(r.state, r.change) for r in tracks]
    own = vars(row_of("ses-C", tracks))
    assert {name: counts["ses-C"][name] for name in COUNTED} == {
        name: own[name] for name in COUNTED
    }
    assert bare.evaluate("row => cmbTracks.badge(row)", rows[-1]) == badge(tracks[-1])


def test_words_on_a_microbleed_are_carried_out_as_at_the_group_level(bare):
    """Three states with any words of the reader on both follow-ups."""
    chance = random.Random(5)
    states = [State.PRESENT, State.BELOW_THRESHOLD, State.NOT_COVERED, None]
    for _ in range(60):
        there = chance.choices(states, k=3)
        if State.PRESENT not in there:
            continue
        said = {name: chance.choice([*Judgment]) for name in SESSIONS[1:]}
        tracks = rows_of(*there)
        own = [Decided(name=name, lesions=[LESION], protocol=GRE) for name in SESSIONS]
        decided = decide_tracks(tracks, own, SESSIONS, judgments={1: said})
        judged = {f"{name} 1": str(word) for name, word in said.items()}
        data = [tracks_data(tracks), all_found(tracks), {}, judged]
        counts, rows = bare.evaluate(FOLLOW, data)
        assert [(r["state"], r["change"]) for r in rows] == [(r.state, r.change) for r in decided]
        own = vars(row_of("ses-C", decided))
        assert [counts["ses-C"][name] for name in COUNTED] == [own[name] for name in COUNTED]


class Changes(Reader):
    """Somebody at the changes of two sessions; the second is ses-A."""

    def controls(self, track):
        """What is said of a microbleed in ses-A."""
        return self.page.get_by_role("group", name=f"Your reading of microbleed {track} in ses-A")

    def judge(self, track, word):
        """Say what a microbleed is."""
        self.controls(track).get_by_role("radio", name=word).check()

    @property
    def row(self):
        """The row of ses-A in the table of changes, by column."""
        heads, cells = (
            [" ".join(text.split()) for text in self.page.locator(where).all_inner_texts()]
            for where in ("#changes th", "#changes tbody td")
        )
        return dict(zip(heads, cells, strict=True))

    def badge(self, track):
        """What the list of changes says of a microbleed in ses-A."""
        where = f'#changes .badge[data-track="{track}"][data-session="ses-A"]'
        return self.page.locator(where).inner_text().lower()


@pytest.fixture
def reader(tmp_path, open_page):
    return Changes(open_page(compared(tmp_path), to_read=True))


def test_what_is_said_of_a_microbleed_is_counted_at_once_and_exported(reader, tmp_path):
    before = reader.row
    assert (before["new"], before["counts by"]) == ("1", "the algorithm")
    reader.judge(2, "There before")
    assert reader.badge(2) == "since ses-b, below threshold until now"
    row = reader.row
    assert (row["new"], row["new since ses-B"], row["ARIA-H"][:4]) == ("0", "0", "none")
    assert row["already there, below threshold"] == "1"
    reader.judge(3, "Gone")
    assert (reader.row["gone"], reader.badge(3)) == ("1", "gone")
    rows = read_table(reader.export(tmp_path))
    told = ("session_id", "lesion_id", "track_id", "decision", "x", "y", "z", "seconds", "mode")
    assert [tuple(row[name] for name in told) for row in rows] == [
        ("ses-A", "n/a", track, word, "1", "2", "3", "n/a", "aided")
        for track, word in (("2", "there-before"), ("3", "gone"))
    ]
    reader.button("Undo")
    reader.button("Undo")
    assert reader.row == before


def test_a_no_to_a_persistent_lesion_in_one_session_can_be_told_from_a_new_one(reader):
    reader.rate(1, "Not a CMB", "ses-B")
    page = reader.page
    assert (reader.row["new"], reader.row["ARIA-H"].split()[0]) == ("2", "mild")
    # Nobody takes a reading of one candidate for one of all.
    assert reader.row["counts by"] == "AB; 3 of 4 candidates unrated"
    page.get_by_text("without a change").click()
    reader.judge(1, "There before")
    assert (reader.row["new"], reader.row["already there, below threshold"]) == ("1", "1")
    for lesion, session in ((3, "ses-B"), (1, "ses-A"), (3, "ses-A")):
        reader.rate(lesion, "Definite", session)
    assert reader.row["counts by"] == "AB"


def test_words_that_a_counted_lesion_contradicts_cannot_be_said(reader):
    choices = {
        track: [
            radio.get_attribute("value")
            for radio in reader.controls(track).get_by_role("radio").all()
            if radio.is_enabled()
        ]
        for track in (2, 3)
    }
    assert choices == {
        2: ["new", "there-before", "not-sure"],
        3: ["there-before", "gone", "not-sure"],
    }
    # What is a microbleed in no session has nothing to be said of.
    reader.rate(1, "Not a CMB", "ses-A")
    assert reader.controls(2).is_hidden()


def test_what_was_said_is_there_again_and_read_in(reader, tmp_path):
    reader.judge(2, "Not sure")
    reader.judge(3, "Gone")
    path = reader.export(tmp_path)
    reader.page.reload()
    assert reader.badge(3) == "gone"
    assert reader.controls(2).get_by_role("radio", name="Not sure").is_checked()
    reader.call("CD")
    assert reader.row["counts by"] == "the algorithm"
    # Of other results: another place, and a microbleed that is not on the page.
    rows = [{**row, "rater": "CD"} for row in read_table(path)]
    rows += [{**rows[0], "x": "9"}, {**rows[0], "track_id": "77"}]
    write_table(path, list(rows[0]), rows)
    reader.read_in(path)
    assert reader.message == "2 decisions read in; 2 left out (from other results, or damaged)."
    assert reader.row["gone"] == "1"


def test_readers_who_differ_on_a_microbleed_are_adjudicated(tmp_path, open_page):
    def said(who, second, third):
        rows = [
            rating(None, word, who, place=(1, 2, 3), session_id="ses-A", track_id=track)
            for track, word in ((2, second), (3, third))
        ]
        return write_ratings(tmp_path / "exports", *rows, name=f"sub-01_rater-{who}_ratings.tsv")

    exports = [said("AB", "new", "gone"), said("CD", "there-before", "gone")]
    page = open_page(compared(tmp_path), to_read=True)
    reader = Changes(page, "EF", "Adjudicate", exports)
    assert reader.message == "AB and CD disagree on 1 place."
    assert reader.controls(3).is_hidden()
    assert reader.badge(3) == "gone"
    assert "AB: new; CD: there before" in reader.controls(2).inner_text()
    reader.judge(2, "There before")
    assert reader.progress == "1 of 1 rated"
    rows = {row["track_id"]: row for row in read_table(reader.export(tmp_path))}
    assert rows["2"]["decision"] == "there-before"
    assert (rows["3"]["decision"], rows["3"]["note"]) == ("gone", "agreed: AB, CD")
