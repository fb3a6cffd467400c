"""What two readers disagree on is decided by a third, who sees nothing else."""

import pytest

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.group.ratings import read_ratings
from tests.group.readers import rating, row_of, write_ratings, write_session
from tests.report.reviewing import Reader, write_page

#: A lesion that both readers added, 3 mm apart, and one that only the second did.
BOTH, OTHER, ALONE = (20, 2, 8), (20, 5, 8), (20, -20, 8)


@pytest.fixture
def exports(tmp_path):
    """Exports of two readers of candidates 1 to 3, kept, and 4, rejected."""
    first = [
        rating("1", "definite"),
        rating("2", "definite"),
        rating("3", "not-cmb"),
        rating("4", "not-cmb"),
        rating(None, "definite", place=BOTH),
    ]
    second = [
        rating("1", "definite", "CD"),
        rating("2", "possible", "CD"),
        rating("3", "definite", "CD"),
        rating(None, "definite", "CD", place=OTHER),
        rating(None, "possible", "CD", place=ALONE, note="faint"),
    ]
    folder = tmp_path / "exports"
    return [
        write_ratings(folder, *first, name="sub-01_rater-AB_ratings.tsv"),
        write_ratings(folder, *second, name="sub-01_rater-CD_ratings.tsv"),
    ]


@pytest.fixture
def adjudicator(tmp_path, open_page, exports):
    return Reader(open_page(write_page(tmp_path), to_read=True), "EF", "Adjudicate", exports)


def visible(reader):
    cards = reader.page.locator(".card").all()
    return [card.get_attribute("data-lesion") for card in cards if card.is_visible()]


def test_only_what_they_disagree_on_is_shown_with_what_each_said(adjudicator):
    # The rejected candidate is none to both: one said so, the other let it pass.
    assert visible(adjudicator) == ["2", "3"]
    assert adjudicator.progress == "0 of 3 rated"
    assert adjudicator.message == "AB and CD disagree on 3 places."
    said = adjudicator.card(2).locator(".review-said").inner_text()
    assert said == "AB: definite; CD: possible"
    added = adjudicator.page.locator(".review-added > li:visible")
    assert added.locator("b").inner_text() == "20.0, -20.0, 8.0 mm"
    assert added.locator(".review-between").inner_text() == "AB: not added; CD: possible, faint"
    adjudicator.press("2", "j", "3")
    assert adjudicator.progress == "2 of 3 rated"
    assert [adjudicator.choice(adjudicator.card(n)) for n in (2, 3)] == ["possible", "not-cmb"]


def test_the_export_rules_over_both_readers_at_the_group_level(tmp_path, adjudicator, exports):
    adjudicator.rate(2, "Possible")
    adjudicator.rate(3, "Not a CMB")
    added = adjudicator.page.locator(".review-added > li:visible")
    added.get_by_role("radio", name="Not a CMB").click()
    path = adjudicator.export(exports[0].parent)
    assert path.name == "sub-01_adjudicator-EF_ratings.tsv"
    rows = {(row["lesion_id"], row["y"]): row for row in read_table(path)}
    assert {row["mode"] for row in rows.values()} == {"adjudicated"}
    agreed = rows["1", "20"]
    assert (agreed["decision"], agreed["note"], agreed["seconds"]) == (
        "definite", "agreed: AB, CD", "n/a",
    )  # fmt: skip
    assert float(rows["2", "-20"]["seconds"]) >= 0
    assert {key: row["decision"] for key, row in rows.items()} == {
        ("1", "20"): "definite",
        ("2", "-20"): "possible",
        ("3", "0"): "not-cmb",
        ("4", "40"): "not-cmb",
        ("n/a", "3.5"): "definite",
        ("n/a", "-20"): "not-cmb",
    }
    ratings = read_ratings(exports[0].parent)
    read = ratings.apply(write_session(tmp_path / "out"))
    assert ratings.problems == ()
    assert (read.source, read.mode) == ("adjudicator EF", "adjudicated")
    assert [(r.status, r.grade) for r in read.lesions if r.counted] == [
        ("kept", "definite"),
        ("kept", "possible"),
        ("kept", "definite"),
    ]
    assert row_of(read, "3").readers == "AB: not-cmb; CD: definite; adjudicator EF: not-cmb"


def test_an_adjudication_goes_on_where_it_was_left(adjudicator):
    adjudicator.rate(3, "Definite")
    adjudicator.page.reload()
    assert adjudicator.who == "EF, adjudicated"
    assert visible(adjudicator) == ["2", "3"]
    assert adjudicator.progress == "1 of 3 rated"


def test_it_takes_the_exports_of_two_readers(tmp_path, open_page, exports):
    page = open_page(write_page(tmp_path), to_read=True)
    reader = Reader(page, "EF", "Adjudicate", exports[:1])
    alert = reader.start.get_by_role("alert")
    assert alert.inner_text() == "Choose the exports of two or more readers."
    exports[1].write_text("nonsense")
    reader.call("EF", "Adjudicate", exports)
    page.locator("[role=alert]", has_text="sub-01_rater-CD_ratings.tsv cannot be read").wait_for()
    assert reader.start.is_visible()
