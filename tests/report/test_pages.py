import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmb_bidsapp.anatomy.quality import COLUMNS as QUALITY_COLUMNS
from cmb_bidsapp.anatomy.quality import Measure
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.images import read_labels
from cmb_bidsapp.bids.inputs import Scan, Session
from cmb_bidsapp.bids.outputs import read_table, write_image, write_table
from cmb_bidsapp.group.tables import collect
from cmb_bidsapp.labels import LEFT, MARS, MARS_FORM, RIGHT
from cmb_bidsapp.lesions.candidates import find_instances, measure
from cmb_bidsapp.lesions.cfpr import judge
from cmb_bidsapp.lesions.table import COLUMNS, rows
from cmb_bidsapp.report.figures import session_figures
from cmb_bidsapp.report.group import write_group_report
from cmb_bidsapp.report.participant import write_participant_report
from cmb_bidsapp.runtime.engine import Outcome
from cmb_bidsapp.runtime.stamps import Stamp, write_stamp
from cmb_bidsapp.settings import Settings

MARKUP = "<img src=x onerror=alert(1)>"
MEASURES = [
    Measure("T1w brain volume", 1543.21, "ml", 900.0, 2400.0),
    Measure("overlap of the brain masks", 0.812345, "Dice", 0.9),
    Measure("mutual information of T1w and T2*w", 0.7, "nats", 0.1),
    Measure("putamen volume", 24.678, "ml", 5.0, 20.0),
]


@pytest.fixture
def finished(tmp_path: Path) -> tuple[Settings, Session, SessionFiles]:
    """A session with one lesion in the brain and one candidate at its edge."""
    bids, out = tmp_path / "bids", tmp_path / "out"
    scan = Scan(bids / "sub-01" / "anat" / "sub-01_T2starw.nii.gz", {"suffix": "T2starw"}, {}, 1.0)
    session = Session("01", None, scan, None, (MARKUP,))
    files = SessionFiles(out, "01", None)
    affine = np.diag([1.0, 1.0, 4.0, 1.0])
    brain = np.zeros((40, 40, 8), np.uint8)
    brain[8:32, 8:32, 1:7] = 1
    t2star = brain * np.float32(100)
    t2star[19:22, 19:22, 4] = 20
    probability = np.zeros(brain.shape, np.float32)
    probability[19:22, 19:22, 4] = 0.95
    probability[5:7, 20:22, 4] = 0.9
    write_image(files.t2star, t2star, affine)
    write_image(files.t2star_brain, brain, affine)
    write_image(files.proxy, brain, affine)
    instances = find_instances(probability, 0.5)
    write_image(files.instances, instances, affine)
    mars = brain * (RIGHT + MARS["frontal"])
    write_image(files.mars, mars, affine)
    candidates = measure(instances, probability, t2star, mars, affine)
    table = rows(candidates, judge(instances, brain, (1, 1, 4)), cfpr=True, min_diameter=2)
    write_table(files.lesions, list(COLUMNS), table, COLUMNS)
    session_figures(files, table)
    write_stamp(files.stamp("finish"), Stamp("key", {}, {}, {"seconds": {}}))
    return Settings(bids, out, ("participant",)), session, files


def page_of(finished, code=0, message="") -> str:
    settings, session, _ = finished
    outcome = Outcome(session, code, message, (), 0)
    return write_participant_report(settings, "01", [outcome]).read_text()


def write_measures(files, measures) -> None:
    write_table(files.quality, list(QUALITY_COLUMNS), (m.row() for m in measures))


def words(html: str) -> str:
    """What a reader sees of a piece of a page."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_the_report_shows_kept_and_rejected_candidates_with_pictures(finished) -> None:
    settings, session, _ = finished
    page = write_participant_report(settings, "01", [Outcome(session, 0, "", (), 0)]).read_text()
    assert "Microbleeds (1)" in page
    assert "Rejected candidates (1)" in page
    assert "periphery-not-brain" in page
    # brain, registration, classes, MARS regions, and one picture per candidate
    assert page.count("data:image/png;base64,") == 6
    assert page.count("<img ") == page.count(' alt="') == 6


def test_text_from_outside_stays_text(finished) -> None:
    settings, session, _ = finished
    failed = Outcome(session, 65, MARKUP, (), 0)
    page = write_participant_report(settings, "01", [failed]).read_text()
    assert MARKUP not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") == 2


def test_a_failed_session_shows_its_cause_and_no_counts(finished) -> None:
    settings, session, _ = finished
    failed = Outcome(session, 65, "the file is damaged", (), 0)
    page = write_participant_report(settings, "01", [failed]).read_text()
    assert "This session failed: the file is damaged" in page
    assert "Microbleeds (" not in page


def test_the_notes_of_a_phase_are_shown(finished) -> None:
    settings, session, files = finished
    info = {"notes": ["the registration of T1w to T2*w is <poor>"]}
    write_stamp(files.stamp("prepare"), Stamp("key", {}, {}, info))
    page = write_participant_report(settings, "01", [Outcome(session, 0, "", (), 0)]).read_text()
    assert '<p class="notice">the registration of T1w to T2*w is &lt;poor&gt;</p>' in page


# Quality of the anatomy


def test_what_is_out_of_its_limits_comes_first_with_a_word_and_a_symbol(finished) -> None:
    write_measures(finished[2], MEASURES)
    section = page_of(finished).partition("Quality of the anatomy</h3>")[2].partition("<h3>")[0]
    first, _, rest = section.partition("<details>")
    assert "2 of 4 measures" in first
    assert "overlap of the brain masks ▼ too low 0.812 0.9 Dice" in words(first)
    assert "putamen volume ▲ too high 24.7 5 20 ml" in words(first)
    assert "T1w brain volume" not in first
    inside, _, after = rest.partition("</details>")
    assert "T1w brain volume ✓ ok 1543 900 2400 ml" in words(inside)
    assert "mutual information of T1w and T2*w ✓ ok 0.7 0.1 nats" in words(inside)
    assert not re.search("too low|too high", inside + after)


def test_where_all_is_within_its_limits_there_is_nothing_before_the_rest(finished) -> None:
    write_measures(finished[2], [m for m in MEASURES if m.flag == "ok"])
    page = page_of(finished)
    assert "Quality of the anatomy</h3>\n<details>" in page
    assert "2 of 2 measures" in page
    assert "▲" not in page
    write_measures(finished[2], [m for m in MEASURES if m.flag != "ok"])
    assert "<details>" not in page_of(finished)


def test_a_measure_without_a_number_is_shown(finished) -> None:
    write_measures(finished[2], [Measure("mutual information", float("nan"), "nats", 0.1)])
    assert "mutual information ▼ too low n/a 0.1 nats" in words(page_of(finished))


def test_outputs_without_measures_have_no_such_section(finished) -> None:
    assert "Quality of the anatomy" not in page_of(finished)


def test_measures_of_an_earlier_run_are_not_those_of_a_failed_one(finished) -> None:
    write_measures(finished[2], MEASURES)
    assert "Quality of the anatomy" not in page_of(finished, 65, "the file is damaged")


def test_the_parcellation_is_among_the_steps_where_it_is_known(finished) -> None:
    assert "Parcellation:" not in page_of(finished)
    info = {"parcellation": "FreeSurfer <7>"}
    write_stamp(finished[2].stamp("prepare"), Stamp("key", {}, {}, info))
    assert "<li>Parcellation: FreeSurfer &lt;7&gt;</li>" in page_of(finished)


# Regions of the MARS form


def test_a_lesion_has_its_mars_region_and_side_beside_its_class(finished) -> None:
    (kept,) = re.findall(r"#\d+ kept</b>.*?</p>", page_of(finished), re.DOTALL)
    assert "lobar (frontal, right)" in words(kept)


@pytest.mark.parametrize(
    ("region", "place"),
    [("dpwm", "(deep and periventricular white matter, left)"), ("basal-ganglia", None)],
)
def test_mars_regions_are_named_in_words(finished, region, place) -> None:
    path = finished[2].lesions
    rows = [{**row, "mars_region": region, "side": "left"} for row in read_table(path)]
    write_table(path, list(COLUMNS), rows)
    assert (place or "(basal ganglia, left)") in words(page_of(finished))


def test_a_lesion_of_an_older_table_or_of_no_region_has_its_class_alone(finished) -> None:
    path = finished[2].lesions
    rows = read_table(path)
    columns = [name for name in COLUMNS if name not in ("mars_region", "side")]
    write_table(path, columns, rows)
    older = page_of(finished)
    assert "<b>lobar</b></p>" in older
    unassigned = dict.fromkeys(("region", "mars_region", "side"), "unassigned")
    write_table(path, list(COLUMNS), [{**row, **unassigned} for row in rows])
    assert "<b>unassigned</b></p>" in page_of(finished)


def test_the_key_of_the_mars_figure_has_all_regions_with_their_colours(finished) -> None:
    page = page_of(finished)
    key = page.partition('<ul class="keys">')[2].partition("</ul>")[0]
    assert len(MARS_FORM) == key.count('class="key"') == 13
    for name, (abbreviation, _, colour) in MARS_FORM.items():
        words_of = "deep and periventricular white matter" if name == "dpwm" else name
        shown = f"{words_of.replace('-', ' ')} ({abbreviation})"
        assert f'style="background:{colour}"></i> {shown}</span>' in key
    assert "thirteen regions of the MARS form" in page.partition("</ul>")[2]


def test_outputs_without_the_mars_figure_have_no_such_section(finished) -> None:
    finished[2].figure("mars").unlink()
    page = page_of(finished)
    assert "Regions of the MARS form" not in page
    assert "Regions and microbleeds" in page


def draw(files, left, right, status="kept"):
    """Paint a half of the brain in each region; returns the figure, ``(y, x, RGB)``."""
    brain, affine = read_labels(files.t2star_brain)
    halves = np.arange(len(brain))[:, None, None] < len(brain) // 2
    sides = np.where(halves, LEFT + MARS[left], RIGHT + MARS[right])
    write_image(files.mars, (brain * sides).astype(np.uint8), affine)
    lesions = [{**row, "lesion_id": int(row["lesion_id"])} for row in read_table(files.lesions)]
    session_figures(files, [{**row, "status": status} for row in lesions])
    return np.asarray(Image.open(files.figure("mars")))


def test_the_mars_figure_paints_regions_alike_on_both_sides(finished) -> None:
    files = finished[2]
    alike = draw(files, "thalamus", "thalamus")
    other = draw(files, "frontal", "thalamus")
    # A line through the first slice, the patient's right side first.
    places = alike.shape[0] // 4, [alike.shape[1] // 16, alike.shape[1] * 3 // 16]
    thalamus, same = alike[places].tolist()
    assert thalamus == same
    assert thalamus[0] > thalamus[2]  # orange
    right, left = other[places].tolist()
    assert right == thalamus
    assert left[2] > left[0]  # blue


def test_microbleeds_stand_out_in_regions_of_their_usual_colour(finished) -> None:
    files = finished[2]
    kept = draw(files, "basal-ganglia", "basal-ganglia")
    rejected = draw(files, "basal-ganglia", "basal-ganglia", "rejected")
    white = [(figure == 255).all(axis=-1).sum() for figure in (kept, rejected)]
    assert white[0] > white[1]


# Group


def test_the_group_page_warns_when_sequences_are_mixed(finished) -> None:
    settings, _, _ = finished
    cohort = collect(settings.out_dir)
    (only,) = cohort.sessions
    mixed = [
        dataclasses.replace(only, protocol={**only.protocol, "sequence": sequence})
        for sequence in ("T2starw", "swi")
    ]
    alone = write_group_report(cohort, settings.out_dir).read_text()
    both = write_group_report(
        dataclasses.replace(cohort, sessions=tuple(mixed)), settings.out_dir
    ).read_text()
    assert "do not pool" not in alone
    assert "do not pool" in both
