"""The report of a participant: what it says, what it shows, and that text stays text."""

import re

import pytest

from cmb_bidsapp.anatomy.quality import Measure, warnings
from cmb_bidsapp.bids.outputs import read_sidecar, sidecar_of, write_json
from cmb_bidsapp.bids.tables import read_table, write_table
from cmb_bidsapp.core.labels import MARS_FORM
from cmb_bidsapp.lesions.table import COLUMNS
from cmb_bidsapp.report import participant as page_module
from cmb_bidsapp.report.participant import write_citation
from cmb_bidsapp.report.sessions import ReportedSession
from tests.report.heads import (
    finish_session,
    section,
    session_of,
    settings_of,
    words,
    write_measures,
    write_report,
)

MARKUP = "</script><img src=x onerror=alert(1)>"
ESCAPED = "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;"
MEASURES = [
    Measure(measure="T1w brain volume", value=1543.21, units="ml", low=900.0, high=2400.0),
    Measure(measure="overlap of the brain masks", value=0.812345, units="Dice", low=0.9),
    Measure(measure="mutual information of T1w and T2*w", value=0.7, units="nats", low=0.1),
    Measure(measure="putamen volume", value=24.678, units="ml", low=5.0, high=20.0),
]


def cards(page):
    return re.findall(r'<article class="card".*?</article>', page, re.DOTALL)


# The answer


def test_the_count_its_groups_and_what_was_rejected_come_first(report):
    told = words(section(report, "summary"))
    assert told.startswith("Summary Cerebral microbleeds on T2*-weighted MRI, found by an alg")
    assert "2 microbleeds" in told
    assert "lobar 1 deep 1 infratentorial 0" in told
    assert "1 candidate rejected." in told
    assert "mixed" in told
    assert "Not assessed: superficial siderosis, hemorrhage above 1 cm, ARIA-E" in told
    assert "Before anti-amyloid treatment 1-4 microbleeds" in told
    assert "Expected true ones" in told


def test_each_cut_off_has_its_probability(tmp_path, report):
    rows = re.findall(r'<tr><th scope="row">.*?</tr>', section(report, "summary"), re.DOTALL)
    table = {words(row.partition("</th>")[0]): words(row.partition("</th>")[2]) for row in rows}
    assert table["1 or more"].startswith("yes ")
    assert float(table["1 or more"].split()[1]) > 0.9
    assert table["more than 4 (limit before anti-amyloid treatment)"] == "no 0.00"


def test_without_a_calibration_there_is_no_probability(tmp_path, finished):
    rows = [{**row, "calibrated_probability": "n/a"} for row in read_table(finished.lesions)]
    write_table(finished.lesions, list(COLUMNS), rows)
    told = words(section(write_report(tmp_path, session_of(tmp_path)).read_text(), "summary"))
    assert "1 or more yes n/a" in told
    assert "Expected true ones" not in told


def test_clinical_words_say_what_they_are_not(report):
    for name in ("summary", "forms", "methods"):
        assert "imaging summary, not a diagnosis" in section(report, name)


# Text from outside


def test_text_from_outside_stays_text(tmp_path):
    finish_session(tmp_path, session="A", parcellation=MARKUP)
    ok = session_of(tmp_path, session="A", notes=(MARKUP,))
    failed = session_of(tmp_path, session=MARKUP)
    page = write_report(tmp_path, ok, failed, failed={MARKUP: MARKUP}).read_text()
    assert MARKUP not in page
    assert page.count(ESCAPED) > 6
    assert page.count("</script>") == page.count("<script")


def test_a_label_with_markup_is_text_in_what_scripts_read_too(tmp_path):
    label = "<!--<script>"
    finish_session(tmp_path, session=label)
    page = write_report(tmp_path, session_of(tmp_path, session=label)).read_text()
    assert label not in page
    data = page.partition('id="page-data">')[2].partition("</script>")[0]
    assert r'"key": "ses-\u003c!--\u003cscript\u003e"' in data


# Sessions


def test_a_failed_session_shows_its_cause_and_nothing_of_an_earlier_run(tmp_path, finished):
    write_measures(finished, MEASURES)
    page = write_report(tmp_path, session_of(tmp_path), failed={None: "the file is damaged"})
    told = page.read_text()
    assert "This session failed: the file is damaged" in told
    assert not cards(told)
    assert "data:image" not in told
    assert "overlap of the brain masks" not in told
    assert 'id="forms"' not in told


def test_one_failed_session_leaves_the_others(tmp_path):
    finish_session(tmp_path, session="A")
    sessions = [session_of(tmp_path, session=name) for name in "AB"]
    page = write_report(tmp_path, *sessions, failed={"B": "out of memory"}).read_text()
    assert len(cards(page)) == 3
    assert "ses-B failed: out of memory" in words(page)
    assert "The sessions were not compared" not in page


def test_sessions_that_were_not_compared_are_said_to_be_not(tmp_path):
    for name in "AB":
        finish_session(tmp_path, session=name)
    page = write_report(tmp_path, *(session_of(tmp_path, session=name) for name in "AB"))
    assert "The sessions were not compared" in page.read_text()


def test_notes_of_phases_and_of_the_choice_of_scans_are_shown(tmp_path, finished):
    sidecar = {**read_sidecar(finished.t2star), "Notes": ["poor <registration>"]}
    write_json(sidecar_of(finished.t2star), sidecar)
    page = write_report(tmp_path, session_of(tmp_path, notes=("no T1w",))).read_text()
    assert '<p class="notice">poor &lt;registration&gt;</p>' in section(page, "summary")
    assert '<p class="notice">no T1w</p>' in section(page, "summary")


def test_what_was_used_has_path_and_protocol(tmp_path, finished, report):
    told = words(section(report, "origins"))
    assert "sub-01/anat/sub-01_T2starw.nii.gz 3 T, 20 ms echo time" in told
    assert "Parcellation embedded" in told
    assert "overlap of the masks 0.950" in told
    finish_session(tmp_path, "02", t1w=False)
    alone = write_report(tmp_path, session_of(tmp_path, "02", t1w=False)).read_text()
    assert "T1w none" in words(section(alone, "origins"))
    assert "In 1 of 1 sessions, no T1-weighted image was available" in section(alone, "methods")
    assert "registrationT1w" not in alone
    assert not re.search(r"outlines of[^\"]*, T1w", alone)
    assert re.search(r"outlines of[^\"]*, T1w", report)


# Candidates


def test_kept_and_rejected_candidates_are_apart(report):
    kept, _, rejected = section(report, "lesions").partition("Rejected candidates (1)")
    assert "Microbleeds (2)" in kept
    assert len(cards(kept)) == 2
    (card,) = cards(rejected)
    assert "Rejected: " in words(card)
    assert ">Rejected.</b>" in card


def test_a_card_has_its_place_for_scripts_and_its_numbers_for_readers(finished, report):
    rows = read_table(finished.lesions)
    assert len(cards(report)) == len(rows) == 3
    for row in rows:
        named = f'data-session="n/a" data-lesion="{row["lesion_id"]}"'
        (card,) = (card for card in cards(report) if named in card)
        assert f'data-x="{row["x"]}" data-y="{row["y"]}" data-z="{row["z"]}"' in card
        assert f"network {row['probability_max']}" in card
        assert f"background {row['shell_background']}" in card
        assert row["grade_reason"] in words(card)
    assert "frontal right" in words(cards(report)[0] + cards(report)[1])


def test_a_card_says_in_a_sentence_what_a_reader_wants_first(report):
    first, second = cards(report)[:2]
    said, _, details = words(first).partition("Details")
    sentence = "Candidate 1. Definite. 3.8 mm, frontal right. 80 % likely true. Round (1.00)."
    assert said.strip() in (f"{sentence} Show in volume", sentence)
    assert "network" in details
    assert "Candidate 3. Possible. 3.8 mm, thalamus left. 69 % likely true." in words(second)


def test_what_the_algorithm_thinks_can_be_hidden(report):
    for card in cards(report):
        hidden = re.sub(r"<(\w+)[^>]* data-verdict>.*?</\1>", "", card, flags=re.DOTALL)
        assert "network" not in hidden
        assert "of the periphery is brain" not in hidden
        assert not re.search(r"\b(definite|possible)\b(?!\")", words(hidden).partition("Your")[0])


@pytest.mark.parametrize(
    ("region", "side", "shown"),
    [
        ("dpwm", "left", "deep and periventricular white matter left"),
        ("basal-ganglia", "unassigned", "basal ganglia"),
        ("unassigned", "unassigned", "deep"),
    ],
)
def test_regions_are_named_in_words(tmp_path, finished, region, side, shown):
    place = {"region": "deep", "mars_region": region, "side": side, "border": "false"}
    rows = [{**row, **place} for row in read_table(finished.lesions)]
    write_table(finished.lesions, list(COLUMNS), rows)
    page = write_report(tmp_path, session_of(tmp_path)).read_text()
    (heading, *_) = re.findall(r"<header>.*?</p>", cards(page)[0], re.DOTALL)
    assert f" mm, {shown}. " in words(heading)


# Form


def test_the_form_has_all_regions_with_subtotals_and_totals(finished, report):
    form = section(report, "forms")
    lines = [words(row) for row in re.findall(r"<tr.*?</tr>", form, re.DOTALL)][2:]
    for name, (abbreviation, *_) in MARS_FORM.items():
        shown = "deep and periventricular white matter" if name == "dpwm" else name
        assert any(f"{shown.replace('-', ' ')} {abbreviation} " in line for line in lines)
    assert len(lines) == 13 + 3 + 1
    assert sum("sub-total" in line for line in lines) == 3
    assert lines[-1].endswith(" 2")
    for row in read_table(finished.lesions):
        if row["status"] == "kept":
            (line,) = (line for line in lines if f"{row['mars_region']} " in line)
            counts = line.split()[-7:]
            cells = [(g, side) for g in ("definite", "possible") for side in ("right", "left")]
            assert counts.index("1") == cells.index((row["grade"], row["side"]))
            assert sorted(counts) == ["0"] * 4 + ["1"] * 3


def test_a_microbleed_without_a_side_has_a_column(tmp_path, finished, report):
    assert "no side" not in section(report, "forms")
    rows = [{**row, "side": "unassigned"} for row in read_table(finished.lesions)]
    write_table(finished.lesions, list(COLUMNS), rows)
    page = write_report(tmp_path, session_of(tmp_path)).read_text()
    assert section(page, "forms").count("no side") == 2


# Quality


def quality(tmp_path, finished, measures):
    write_measures(finished, measures)
    sidecar = {**read_sidecar(finished.t2star), "Notes": [*warnings(measures)]}
    write_json(sidecar_of(finished.t2star), sidecar)
    page = write_report(tmp_path, session_of(tmp_path)).read_text()
    return page, section(page, "checks").partition('<div class="pictures">')[0]


def test_what_is_out_of_its_limits_comes_first_with_a_word_and_a_symbol(tmp_path, finished):
    _, checks = quality(tmp_path, finished, MEASURES)
    first, _, inside = checks.partition("<details>")
    assert "overlap of the brain masks ▼ too low 0.812 0.9 Dice" in words(first)
    assert "putamen volume ▲ too high 24.7 5 20 ml" in words(first)
    assert "T1w brain volume" not in first
    assert "T1w brain volume ✓ ok 1543 900 2400 ml" in words(inside)
    assert not re.search("too low|too high", inside)


def test_what_is_out_of_its_limits_is_one_line_with_a_way_to_the_checks(tmp_path, finished):
    uneven = Measure(measure="putamen asymmetry", value=0.3121, units="share", high=0.3)
    page, checks = quality(tmp_path, finished, [*MEASURES[:2], uneven])
    told = "check the anatomy: overlap of the brain masks is 0.812 Dice (expected at least 0.9); "
    told += "putamen asymmetry is 31.2 % (expected at most 30 %)"
    assert told in words(section(page, "summary"))
    assert '<a href="#quality-session">see the checks</a>' in page
    assert "putamen asymmetry ▲ too high 31.2 30 %" in words(checks)
    assert words(page).count("expected at most 30 %") == 1
    assert " share" not in words(checks)


def test_where_all_is_within_its_limits_nothing_is_said_above(tmp_path, finished):
    page, checks = quality(tmp_path, finished, [m for m in MEASURES if m.flag == "ok"])
    assert "check the anatomy" not in section(page, "summary")
    assert "Within their limits: 2 of 2 measures" in checks
    assert "▲" not in checks


def test_a_measure_without_a_number_is_shown(tmp_path, finished):
    lost = Measure(measure="mutual information", value=float("nan"), units="nats", low=0.1)
    _, checks = quality(tmp_path, finished, [lost])
    assert "mutual information ▼ too low n/a 0.1 nats" in words(checks)


# Methods, settings


def test_the_methods_of_the_page_are_those_of_the_run(tmp_path, finished, report):
    write_citation(settings_of(tmp_path), [ReportedSession(session_of(tmp_path))])
    file = (tmp_path / "out" / "logs" / "CITATION.md").read_text()
    told = words(section(report, "methods"))
    for paragraph in file.partition("# References")[0].split("\n\n")[1:-1]:
        assert paragraph.replace("\\*", "*") in told.replace("&#39;", "'")
    assert "model lesions-4" in told


def test_where_nothing_was_finished_there_are_no_methods(tmp_path):
    failed = ReportedSession(session_of(tmp_path), "damaged")
    write_citation(settings_of(tmp_path), [failed])
    assert not (tmp_path / "out" / "logs" / "CITATION.md").exists()
    page = write_report(tmp_path, session_of(tmp_path), failed={None: "damaged"}).read_text()
    assert 'id="methods"' not in page


def test_models_have_their_license_and_checksum_and_the_viewer_its_license(report):
    told = section(report, "settings")
    assert "0" * 64 in told
    assert re.search(r"anatomy-3</td><td>Apache-2.0</td><td><code>[0-9a-f]{64}</code>", told)
    assert "NiiVue" in told
    assert "Redistributions of source code must retain" in told
    assert "threshold" in told


def test_without_the_viewer_page_and_log_say_so_and_pictures_are_there(
    tmp_path, finished, monkeypatch, caplog
):
    def missing():
        raise LookupError("it is <not> there")

    page_module.viewer_or_why.cache_clear()
    monkeypatch.setattr(page_module, "script", missing)
    page = write_report(tmp_path, session_of(tmp_path)).read_text()
    page_module.viewer_or_why.cache_clear()
    assert "The volume viewer is not available: it is &lt;not&gt; there." in page
    assert "no volumes: it is <not> there" in caplog.text
    assert "Show in volume" not in page
    assert "data-volume=" not in page
    assert len(re.findall(r'<img src="data:image/webp', page)) >= 3


# Pictures


def test_every_picture_has_words(report):
    pictures = re.findall(r"<img [^>]*src=[^>]*>", report)
    assert len(pictures) == 3 + 5
    for one in pictures:
        assert re.search(r' alt="[^"]{20,}"', one)


def test_words_of_a_picture_name_the_weighted_image_where_there_is_one(tmp_path, finished):
    def named():
        return ", T1w, SWI-like;" in write_report(tmp_path, session_of(tmp_path)).read_text()

    assert not named()
    finished.swi.touch()
    assert named()


def test_nothing_is_asked_of_elsewhere(report):
    page = re.sub(r"<pre>.*?</pre>", "", report, flags=re.DOTALL)
    assert not re.search(r'(src|href|action)="(?!data:|#)', page.partition("<script")[0])
    assert "@import" not in page
    assert "default-src 'none'" in page
