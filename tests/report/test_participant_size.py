"""However much there is to show, the report keeps its size and says what is left out."""

import re

import pytest

from cmb_bidsapp.bids.tables import read_table, write_table
from cmb_bidsapp.lesions.table import COLUMNS
from cmb_bidsapp.report import participant as page_module
from cmb_bidsapp.report import sessions as sessions_module
from cmb_bidsapp.report.pages import picture
from tests.report.heads import finish_session, session_of, write_report

ROOM = 430_000

CARD, VOLUME = '<article class="card"', '<script type="text/plain" data-volume='


@pytest.fixture
def small(monkeypatch):
    """Reports of which all but the viewer's script has to fit in 430 kB; text may take most."""
    script = page_module.script()
    monkeypatch.setattr(page_module, "LIMIT", len(script.packed) + ROOM)
    monkeypatch.setattr(page_module, "TEXT", 120_000)
    return monkeypatch


def left_out(page):
    return set(re.findall(r"To stay below 15 MB</dt><dd>([^<]*)<", page))


def counts(page):
    """Cards, pictures, and volumes."""
    return tuple(page.count(what) for what in (CARD, "data:image/", VOLUME))


def test_a_usual_page_has_all_and_leaves_out_nothing(report):
    assert left_out(report) == set()
    assert counts(report) == (3, 8, 4)


def test_of_many_sessions_each_has_its_share(tmp_path, small):
    for number in range(6):
        finish_session(tmp_path, session=str(number))
    sessions = [session_of(tmp_path, session=str(number)) for number in range(6)]
    path = write_report(tmp_path, *sessions)
    assert path.stat().st_size <= page_module.LIMIT
    page = path.read_text()
    assert counts(page)[1] < 6 * 8
    shown = re.findall(r'data-session="ses-(\d)"[^>]*>\s*<button type="button" class="zoom"', page)
    assert set(shown) == set("012345")
    assert any("pictures are left out" in what for what in left_out(page))


def test_pictures_of_microbleeds_come_before_all_others(tmp_path, finished, small):
    kept = [row["lesion_id"] for row in read_table(finished.lesions) if row["status"] == "kept"]
    own = sum(len(picture(finished.figure(f"lesion{int(n):03d}"))) for n in kept)
    small.setattr(page_module, "TEXT", ROOM - own - 10)
    small.setattr(page_module, "ATTEMPTS", 1)
    page = write_report(tmp_path, session_of(tmp_path)).read_text()
    shown = re.findall(r'data-lesion="(\d+)"[^>]*>\s*<button type="button" class="zoom"', page)
    assert shown == kept
    assert counts(page) == (3, 2, 0)
    assert left_out(page) == {"6 pictures are left out", "the volumes are omitted"}
    assert page.count("Without a picture") == 1


def many(files, number):
    row = next(row for row in read_table(files.lesions) if row["status"] == "kept")
    table = [{**row, "lesion_id": k + 1, "probability_max": 0.5 + k / 10**4} for k in range(number)]
    write_table(files.lesions, list(COLUMNS), table)


def test_of_many_candidates_the_likely_have_cards_and_the_rest_lines(
    tmp_path, finished, monkeypatch
):
    monkeypatch.setattr(sessions_module, "CARDS", 4)
    monkeypatch.setattr(sessions_module, "LINES", 5)
    many(finished, 30)
    page = write_report(tmp_path, session_of(tmp_path)).read_text()
    assert re.findall(r'class="card"[^>]*data-lesion="(\d+)"', page) == ["27", "28", "29", "30"]
    assert "5 more candidates without a card; another 21 are in the lesion table only" in page
    assert "30 microbleeds" in re.sub(r"<[^>]*>", "", page)


def test_hundreds_of_candidates_can_be_rated_with_few_pictures(tmp_path, finished):
    many(finished, 500)
    page = write_report(tmp_path, session_of(tmp_path)).read_text()
    assert page.count(CARD) == page.count('class="review" data-status') == 500
    assert page.count("look at it in the volume") > 400
    assert "without a card" not in page


def test_a_page_of_too_much_text_is_made_again_with_less(tmp_path, finished, small):
    many(finished, 3000)
    path = write_report(tmp_path, session_of(tmp_path))
    assert path.stat().st_size <= page_module.LIMIT
    page = path.read_text()
    assert 0 < page.count(CARD) < sessions_module.CARDS
    small.setattr(page_module, "ATTEMPTS", 1)
    assert write_report(tmp_path, session_of(tmp_path)).stat().st_size > page_module.LIMIT
