"""The group page, opened in a browser as a person would."""

from urllib.parse import unquote, urlsplit

import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.cli import main
from cmb_bidsapp.group import cohort
from tests.group import readers
from tests.group.followed import write_followed
from tests.group.sessions import GRE, SWI, lesion, measure, write_changes, write_session
from tests.report.accessible import broken_words, violations

MARKUP = "<img src=x onerror=alert(1)>"


def run(out, *options):
    """Run the group level on ``out``; returns the page."""
    main([str(out.parent / "absent"), str(out), "group", *map(str, options)])
    return out / "group.html"


def write_cohort(out):
    """Two sequences, follow-ups, outliers, broken sessions, labels with markup."""
    lesions = [lesion("lobar"), lesion("lobar", "possible"), lesion("deep"), lesion("cerebellum")]
    for number in range(24):
        quality = [measure(value=12 + 0.1 * (number % 5)), measure("cerebrum volume", 900)]
        if number == 7:
            quality[0] |= {"value": 2.0, "flag": "low"}
        write_session(out, f"{number:02d}", None, lesions[: number % 5], GRE, quality)
    write_session(out, "90", "A", 9, SWI)
    write_session(out, "90", "B", 12, SWI)
    write_changes(out, "90", {"persistent": 9, "new": 3, "aria_h": "mild"})
    write_session(out, MARKUP, None, 1, GRE)
    write_session(out, "95", None, 1, GRE).lesions.write_bytes(b"\xff")
    for label in ("00", "90", MARKUP):
        (out / f"sub-{label}.html").write_text("<title>participant</title>")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A cohort with its page."""
    folder = tmp_path_factory.mktemp("group") / "out"
    write_cohort(folder)
    run(folder)
    return folder


@pytest.fixture
def page(out, open_page):
    return open_page(out / "group.html")


def test_axe_finds_nothing_wrong(out, open_page):
    page = open_page(out / "group.html", viewport={"width": 390, "height": 800})
    assert violations(page) == []


def words(page, selector="body"):
    return " ".join(page.inner_text(selector).split())


def column(page, number):
    return page.locator(f"table.sortable tbody td:nth-child({number})").all_inner_texts()


def test_the_page_shows_every_part_of_a_cohort(page):
    text = words(page)
    assert "26 participants, 27 sessions, 1 left out. Decisions: algorithm." in text
    assert "80.0 % have microbleeds: 20 of 25 participants 95 % interval 60.9 to 91.1 %" in text
    above = ("flow", "burden", "where", "clinical", "changes")
    for section in (*above, "protocols", "quality", "sessions", "left-out", "files"):
        assert page.locator(f"h2#{section}").is_visible()
        assert page.locator(f"nav a[href='#{section}']").count() == 1
    assert page.locator("h2#agreement").count() == 0
    images = page.locator("img")
    # Flow, counts and groups; regions and density of both sequences; changes.
    assert images.count() == 8
    for image in images.all():
        assert image.get_attribute("alt")
        assert image.evaluate("image => image.complete && image.naturalWidth > 900")
    assert "Not assessed: superficial siderosis" in text
    assert "SWI 1 of 1 participant has microbleeds" in text
    assert "sub-07 1 thalamus volume 2 ml ▼ too low" in text
    assert "sub-95/anat/sub-95_label-CMB_lesions.tsv: not a text file" in text


@pytest.mark.parametrize("width", [1366, 390])
def test_no_heading_is_broken_at_a_hyphen(out, open_page, width):
    page = open_page(out / "group.html", viewport={"width": width, "height": 800})
    assert "ARIA-H moderate" in words(page)
    assert broken_words(page, "thead th") == []


def test_shares_are_in_percent(tmp_path, open_page):
    out = tmp_path / "out"
    note = "check the anatomy: thalamus asymmetry is 0.386 share (expected at most 0.25)"
    uneven = measure("thalamus asymmetry", 0.386, "high", "share")
    write_session(out, "01", None, 1, {**GRE, "Notes": [note]}, [uneven])
    page = open_page(run(out))
    for summary in page.locator("summary").all():
        summary.click()
    text = words(page)
    assert "sub-01 1 thalamus asymmetry 38.6 % ▲ too high" in text
    assert "thalamus asymmetry GRE 1 38.6 %" in text
    assert "thalamus asymmetry is 38.6 % (expected at most 25 %)" in text


def test_each_region_has_its_prevalence(page):
    table = page.locator("h3:text-is('The thirteen regions of the MARS form') + div table")
    regions = table.locator("tbody tr").all_inner_texts()
    assert len(regions) == 13
    told = dict(row.split("\t", 1) for row in regions)
    # All lobar ones are frontal, and 20 of 25 have one.
    assert told["frontal"] == "80.0 % (60.9 to 91.1)\t1 of 1"
    assert told["thalamus"].split("\t")[1] == "0 of 1"
    assert told["insula"] == "0.0 % (0.0 to 13.3)\t0 of 1"


def test_few_participants_have_numbers_alone(open_page, tmp_path):
    for label in ("01", "02", "03"):
        write_session(tmp_path / "out", label, None, int(label) - 1, GRE)
    page = open_page(run(tmp_path / "out"))
    text = words(page)
    assert "2 of 3 participants have microbleeds" in text
    # Of the cohort itself: UK Biobank has percentages.
    assert page.locator("#where ~ figure img[alt^='Bars: percentage']").count() == 0
    assert "%" not in words(page, ".three")
    assert "Lines: 95 % intervals" not in text
    assert "(95 % interval)" not in text


def test_one_is_singular(open_page, tmp_path):
    write_session(tmp_path / "out", "01", None, 1, GRE)
    text = words(open_page(run(tmp_path / "out")))
    assert "1 participant, 1 session." in text
    assert "1 microbleed, 1.0 per participant who has any 1 session of 1 protocol" in text


def test_swi_and_gre_stand_apart_and_the_page_says_so(page):
    assert "Not pooled: GRE (25 participants), SWI (1 participant)" in words(page, ".notice")
    assert page.locator(".pool h3").all_inner_texts() == ["GRE", "SWI"]
    heads = page.locator("h2#where ~ div table thead tr").nth(0).all_inner_texts()
    assert all(name in heads[0] for name in ("GRE", "SWI", "UK Biobank"))


def test_one_kind_of_sequence_is_pooled_over_its_protocols(open_page, tmp_path):
    write_session(tmp_path / "out", "01", None, 1, GRE)
    write_session(tmp_path / "out", "02", None, 1, {**GRE, "MagneticFieldStrength": 1.5})
    text = words(open_page(run(tmp_path / "out")))
    assert "Not pooled" not in text
    assert "All sessions use the same kind of sequence (GRE). Its protocols are pooled." in text
    assert "2 sessions of 2 protocols" in text


def test_a_label_with_markup_stays_text_and_its_link_works(page):
    assert page.locator("[onerror]").count() == 0
    page.get_by_role("link", name=f"sub-{MARKUP}").click()
    assert page.title() == "participant"


def test_all_links_lead_somewhere(page, out):
    links = {link.get_attribute("href") for link in page.locator("a").all()}
    for link in links:
        if link.startswith("#"):
            assert page.locator(f"[id='{link[1:]}']").count() == 1
        else:
            assert (out / unquote(urlsplit(link).path)).is_file()
    tables = {path.name for path in out.glob("group_*.tsv")}
    assert tables <= links
    # No page, no link.
    assert "sub-01.html" not in links


def test_headings_sort_the_sessions_by_mouse_and_by_keyboard(page):
    first = column(page, 1)
    by_count = page.get_by_role("button", name="microbleeds")
    by_count.click()
    counts = [int(text) for text in column(page, 4)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == 12
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("microbleeds")
    by_count.press("Enter")
    counts = [int(text) for text in column(page, 4)]
    assert counts == sorted(counts)
    by_count.press("Enter")
    assert column(page, 1) == first
    assert page.locator("th[aria-sort]").count() == 0


def test_of_many_sessions_those_with_most_microbleeds_are_shown(open_page, tmp_path, monkeypatch):
    monkeypatch.setattr(cohort, "MOST", 5)
    write_cohort(tmp_path / "out")
    page = open_page(run(tmp_path / "out"))
    assert "The 5 of 27 sessions with most microbleeds; all are in group_mars.tsv" in words(page)
    assert [int(text) for text in column(page, 4)] == [4, 4, 4, 9, 12]


def test_with_ratings_the_page_says_whose_the_numbers_are(open_page, tmp_path):
    out, folder = tmp_path / "out", tmp_path / "ratings"
    readers.write_session(out, "01")
    write_session(out, "02", None, 1, GRE)
    said = [readers.rating(str(number), "not-cmb") for number in (1, 2, 3)]
    readers.write_ratings(folder, *said)
    page = open_page(run(out, "--ratings", folder))
    assert "readers (1 of 2 sessions), else algorithm" in words(page, ".lead")
    assert page.locator("h2#agreement").is_visible()
    (pair,) = page.locator("h2#agreement ~ div table").first.locator("tbody tr").all_inner_texts()
    # Two of the three were microbleeds to the algorithm, none to the reader.
    assert pair.split("\t")[:3] == ["AB and algorithm", "3", "33 %"]
    assert pair.split("\t")[5:7] == ["1", "-2.00"]
    assert "reader AB" in column(page, 13)[0]
    assert page.locator("a[href='group_agreement.tsv']").count() == 1
    assert page.locator("h3:text-is('Changes of microbleeds')").count() == 0


def test_readers_agreement_on_changes_is_shown(open_page, tmp_path):
    out, folder = tmp_path / "out", tmp_path / "ratings"
    write_followed(out)
    words_on = {"AB": ("new", "there-before"), "CD": ("new", "not-sure")}
    (number, place), *others = (
        (row["track_id"], tuple(float(row[axis]) for axis in "xyz"))
        for row in read_table(SessionFiles.together(out, "01").tracks)
        if row["session_id"] == "ses-B"
    )
    for rater, said in words_on.items():
        rows = [
            readers.rating(None, word, rater, place=at, session_id="ses-B", track_id=track)
            for word, (track, at) in zip(said, [(number, place), *others], strict=False)
        ]
        readers.write_ratings(folder, *rows, name=f"sub-01_rater-{rater}_ratings.tsv")
    page = open_page(run(out, "--ratings", folder))
    table = page.locator("h3:text-is('Changes of microbleeds') ~ div table").first
    told = [row.split("\t") for row in table.locator("tbody tr").all_inner_texts()]
    assert told[-1] == ["CD and AB", "1", "1", "100 %", "n/a", "n/a"]


def test_follow_ups_that_could_not_be_compared_are_told(open_page, tmp_path):
    for session in "AB":
        write_session(tmp_path / "out", "01", session, 0, GRE)
    write_changes(tmp_path / "out", "01", {"registration": "poor", "new": None})
    text = words(open_page(run(tmp_path / "out")))
    assert (
        "1 follow-up was not registered to the baseline and is not included in any number." in text
    )


def test_a_cohort_without_a_session_has_a_page(open_page, tmp_path):
    (tmp_path / "out" / "sub-01").mkdir(parents=True)
    text = words(open_page(run(tmp_path / "out")))
    assert "0 participants, 0 sessions, 1 left out" in text
    assert "the session is not finished" in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_its_words_stand_out(out, open_page, scheme):
    narrow = {"width": 400, "height": 800}
    page = open_page(out / "group.html", color_scheme=scheme, viewport=narrow)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    ink, paper = page.evaluate(
        "['color', 'backgroundColor'].map(name => getComputedStyle(document.body)[name]"
        ".match(/[0-9]+/g).slice(0, 3).map(Number).reduce((a, b) => a + b) / 3)"
    )
    assert abs(ink - paper) > 180
    assert (ink > paper) == (scheme == "dark")


def test_print_shows_every_session_and_no_menu(page):
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.evaluate(
        "(() => { const box = document.querySelector('.scroll'); "
        "return box.scrollHeight <= box.clientHeight + 2; })()"
    )
