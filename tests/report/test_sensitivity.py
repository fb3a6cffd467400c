"""What is found of simulated microbleeds, as the pages show it."""

import re

import pytest

from cmb_bidsapp.bids.outputs import sidecar_of, write_json
from cmb_bidsapp.cli import main
from cmb_bidsapp.report.sensitivity import refresh_report
from cmb_bidsapp.sensitivity.tables import write_session
from tests.group.sessions import GRE
from tests.group.sessions import write_session as write_results
from tests.report.heads import finish_session, session_of, write_report
from tests.sensitivity.test_tables import implants, measured_session

ROWS = implants([2.5] * 20 + [4.0] * 10, [1] * 11 + [0] * 9 + [1] * 9 + [0])
LINE = "2 to 3 mm 55 % found, 3 to 5 mm 90 %"


def words(html):
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_a_report_says_nothing_where_nothing_was_measured(report):
    assert "In this scan" not in report


def test_the_line_is_in_the_summary_and_the_curve_below_it(tmp_path, finished):
    write_session(finished, ROWS, 0.9)
    page = write_report(tmp_path, session_of(tmp_path)).read_text()
    first = page[: page.index('id="lesions"')]
    assert f"In this scan: {LINE}" in words(first)
    assert "30 simulated microbleeds" in words(first)
    assert first.count('<svg class="curve"') == 1
    assert "55 % (34 to 74)" in words(first)


def test_a_report_that_is_there_is_brought_up_to_date_in_that_place_only(tmp_path, finished):
    path = write_report(tmp_path, session_of(tmp_path))
    before = path.read_text()
    write_session(finished, ROWS, 0.9)
    assert refresh_report(finished)
    after = path.read_text()
    assert LINE in words(after)
    assert write_report(tmp_path, session_of(tmp_path)).read_text() == after
    place = re.compile("(<!--found in n/a-->).*(<!--end of found in n/a-->)", re.DOTALL)
    assert place.sub(r"\1\2", after) == place.sub(r"\1\2", before)


def test_each_session_has_a_place_of_its_own(tmp_path):
    several = [finish_session(tmp_path, session=label) for label in ("A", "B")]
    path = write_report(tmp_path, *(session_of(tmp_path, session=label) for label in ("A", "B")))
    write_session(several[1], ROWS, 0.9)
    assert refresh_report(several[1])
    page = path.read_text()
    assert page.count(LINE) == 1
    assert page.index("<!--found in ses-B-->") < page.index(LINE)
    assert page.index(LINE) < page.index("<!--end of found in ses-B-->")


def test_without_a_report_or_a_place_in_it_nothing_is_written(tmp_path, finished, caplog):
    write_session(finished, ROWS, 0.9)
    assert not refresh_report(finished)
    path = finished.out_dir / "sub-01.html"
    path.write_text("<p>an earlier version</p>")
    assert not refresh_report(finished)
    assert path.read_text() == "<p>an earlier version</p>"
    assert "participant level" in caplog.text


def test_a_damaged_table_is_told_and_the_report_is_made(tmp_path, finished, caplog):
    write_session(finished, ROWS, 0.9)
    finished.implants.write_text("draw\n1\n")
    page = write_report(tmp_path, session_of(tmp_path)).read_text()
    assert "In this scan" not in page
    assert "--force" in caplog.text


@pytest.mark.parametrize("measured", [True, False])
def test_the_group_page_shows_every_site_and_protocol(tmp_path, measured):
    out = tmp_path / "out"
    for label, institution in (("01", "<b>North</b>"), ("02", "South")):
        acquired = {**GRE, "InstitutionName": institution}
        files = write_results(out, label, None, 2, acquired)
        if measured:
            measured_session(out, label, ROWS, sidecar=acquired)
        write_json(sidecar_of(files.t2star), acquired)
    assert main([str(tmp_path / "none"), str(out), "group"]) == 0
    page = (out / "group.html").read_text()
    assert page.count(LINE) == (2 if measured else 0)
    assert ('id="found"' in page) == measured
    assert ("&lt;b&gt;North&lt;/b&gt;, T2starw, 3.0 T" in page) == measured
    assert (out / "group_sensitivity.tsv").exists() == measured
    assert ('href="group_sensitivity.tsv"' in page) == measured
