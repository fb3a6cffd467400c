"""What the report of a participant says of microbleeds through time."""

import re

import numpy as np

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.clinical.follow_up import CHANGE_COLUMNS
from cmb_bidsapp.clinical.tracks import TRACK_COLUMNS
from cmb_bidsapp.report.changes import read_changes
from cmb_bidsapp.report.pages import SizeBudget
from cmb_bidsapp.report.painting import save
from tests.report.heads import finish_session, section, session_of, words, write_report


def compared(tmp_path, **options):
    """Two sessions whose microbleeds were followed; times are not in the order of the labels.

    Options are those of :func:`finish_session`.
    """
    files = finish_session(tmp_path, session="A", **options)
    finish_session(tmp_path, session="B", **options)
    together = type(files)(files.out_dir, "01", None)
    place = {"x": 1, "y": 2, "z": 3, "mars_region": "frontal", "side": "left", "region": "lobar"}
    place |= {"grade": "definite", "contrast": 0.25}
    tracks = [
        {**{"track_id": track, "session_id": f"ses-{session}", "state": state}, **place, **more}
        for track, session, state, more in (
            (1, "B", "present", {"change": "baseline", "lesion_id": 1, "diameter": 3.5}),
            (1, "A", "present", {"change": "persistent", "since": "ses-B", "lesion_id": 3}),
            (2, "B", "not-yet", {"probability_max": 0.02}),
            (2, "A", "present", {"change": "new", "lesion_id": 1, "diameter": 3.5}),
            (3, "B", "present", {"change": "baseline", "diameter": 3.5, "lesion_id": 3}),
            (3, "A", "below-threshold", {"probability_max": 0.998}),
        )
    ]
    change = dict.fromkeys(CHANGE_COLUMNS, 0) | {
        "session_id": "ses-A",
        "baseline_session_id": "ses-B",
        "registration": "good",
        "order": "labels",
        "order_note": None,
        "protocol_note": "field strength <changed>",
        "protocol_changed": True,
        "processing_changed": False,
        "known_boston_deep": False,
        "new": 1,
        "aria_h": "mild",
        "new_at_least_1_probability": 0.625,
        "new_at_least_10_probability": None,
    }
    write_table(together.tracks, list(TRACK_COLUMNS), tracks)
    write_table(together.changes, list(CHANGE_COLUMNS), [change])
    save(np.zeros((20, 60, 3), np.uint8), together.figure("track002"))
    return write_report(tmp_path, *(session_of(tmp_path, session=name) for name in "AB"))


def test_changes_come_with_what_changed_first_and_sessions_in_the_order_of_time(tmp_path):
    page = compared(tmp_path).read_text()
    told = section(page, "changes")
    assert "the protocol changed (field strength &lt;changed&gt;)" in told
    assert "mild" in told
    assert ">0.62<" in told or ">0.63<" in told
    assert "changed" in told.partition("</table>")[0].rpartition("<td>")[2]
    first, _, same = told.partition("<details>")
    assert "Microbleed 2" in first
    assert first.count("data:image/webp") == 1
    assert "ses-B: not yet network 0.02, contrast 0.25" in words(first)
    assert "ses-A: new candidate 1, 3.5 mm, frontal left" in words(first)
    assert "ses-A: below threshold network 0.998, contrast 0.25" in words(first)
    assert "Microbleed 1" not in first
    assert "Microbleed 1" in same
    assert page.index("Summary of ses-B") < page.index("Summary of ses-A")


def test_what_is_known_of_all_sessions_counts_and_says_so(tmp_path):
    page = compared(tmp_path).read_text()
    told = words(page)
    # Of ses-A two are found, and the third is below the threshold there.
    assert "Known from all sessions 3: strictly lobar. Boston v2.0: 3 strictly lobar" in told
    assert "Gone ones do not count." in told


def test_cards_say_what_a_candidate_is_through_time(tmp_path):
    page = compared(tmp_path).read_text()
    found = re.findall(r"<header>.*?</header>", section(page, "lesions"), re.DOTALL)
    cards = [words(card) for card in found]
    told = {card.partition(". ")[0]: card for card in cards if card.startswith("Microbleed")}
    # The number of the candidate is for blinded readers.
    assert "Microbleed 2. Candidate 1. Definite" in told["Microbleed 2"]
    said = {name: card.partition(" Show")[0].split(") ")[-1] for name, card in told.items()}
    assert {name: text.split(". ")[-1] for name, text in said.items()} == {
        "Microbleed 1": "since ses-B",
        "Microbleed 2": "new",
        "Microbleed 3": "baseline",
    }


def test_a_candidate_that_is_not_followed_is_called_by_its_number(tmp_path, open_page):
    """A bare 2 would be taken for microbleed 2."""
    page = open_page(compared(tmp_path))
    heads = page.locator(".cards[data-of='ses-A'] .card h4").all_inner_texts()
    assert set(heads) == {"Microbleed 1.", "Microbleed 2.", "Candidate 2."}


def test_cards_are_in_the_order_of_their_headings_or_of_what_changed(tmp_path, open_page):
    page = open_page(compared(tmp_path))

    def headings():
        heads = page.locator(".cards[data-of='ses-A'] .card h4 [data-verdict]")
        return [head.inner_text() for head in heads.all()]

    # Microbleed 2 is candidate 1.
    assert headings() == ["Microbleed 1.", "Microbleed 2."]
    page.get_by_label("Order").select_option("changes first")
    assert headings() == ["Microbleed 2.", "Microbleed 1."]


def test_an_enlarged_change_is_told_in_words_without_its_controls(tmp_path, open_page):
    page = open_page(compared(tmp_path))
    page.locator(".track .zoom").first.click()
    told = page.locator("#enlarged p").inner_text()
    first = "Microbleed 2; ses-B: NOT YET network 0.02, contrast 0.25; ses-A: NEW candidate 1, "
    assert told == f"{first}3.5 mm, frontal left"


def test_candidates_are_named_in_the_order_of_their_microbleeds(tmp_path):
    compared(tmp_path)
    room = SizeBudget(10**6)
    changes = read_changes(SessionFiles(tmp_path / "out", "01", None), room)
    assert changes.numbered("ses-A", (1, 3)) == [(1, 3), (2, 1)]
    # Candidate 2 is not followed.
    assert changes.numbered("ses-A", (1, 2)) == []


def test_the_first_table_tells_follow_ups_what_is_new_since_the_baseline(tmp_path):
    first = section(compared(tmp_path).read_text(), "summary")
    assert "new new since ses-B ARIA-H below threshold" in words(first)
    row = words(first.partition("<tbody>")[2].partition("</tbody>")[0].split("<tr ")[2])
    assert " mixed 1 0 mild 0 0 3, strictly lobar " in row
    assert row.endswith("no 0.00")


def test_tables_of_changes_that_cannot_be_read_are_told(tmp_path):
    files = finish_session(tmp_path, session="A")
    finish_session(tmp_path, session="B")
    together = type(files)(files.out_dir, "01", None)
    write_table(together.tracks, ["track_id", "change"], [{"track_id": 1, "change": "lost"}])
    write_table(together.changes, ["session_id"], [])
    page = write_report(tmp_path, *(session_of(tmp_path, session=name) for name in "AB"))
    told = words(section(page.read_text(), "changes"))
    assert "The sessions were not compared" in told
    assert "run the participant level again" in told


def test_one_session_has_no_changes(report):
    assert 'id="changes"' not in report
