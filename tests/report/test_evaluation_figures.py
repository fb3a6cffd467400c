"""Figures: what they show is what the tables say, with axes that are named."""

import math

import numpy as np
import pytest
from PIL import Image

from cmb_bidsapp.group.reader_decisions import Reading
from cmb_bidsapp.report.evaluation_figures import (
    PAIRS,
    STYLES,
    bland_altman,
    froc,
    radii,
    raters,
    write_figures,
)
from tests.group.readers import READINGS, D

NAN = math.nan


def summary(method, **values):
    row = {"count_bias": 0.5, "count_limit_low": -1.5, "count_limit_high": 2.5}
    named = {"method": method, "group": "all", "stage": "after-cfpr"}
    return {**named, **row, "fp_per_scan": 0.2, "recall": 0.7, **values}


def session(method, reference, predicted, stage="after-cfpr"):
    return {
        "method": method, "status": "evaluated", "stage": stage,
        "reference": reference, "predicted": predicted,
    }  # fmt: skip


def swept(method, group="all", **values):
    return {"method": method, "group": group, **values}


@pytest.fixture
def tables():
    sweep = ((0.5, 4.0, 0.9), (0.9, 0.5, 0.75), (0.7, 1.0, 0.8))
    dice = {"dice_mean_low": 0.4, "dice_mean_high": 0.6}
    f1 = {"session_f1_mean": 0.6, "session_f1_mean_low": NAN, "session_f1_mean_high": NAN}
    return {
        "summary": [summary("masks"), summary("app"), summary("app", stage="before-cfpr")],
        "sessions": [
            session("app", 0, 0), session("app", 0, 0), session("app", 3, 5),
            session("app", 9, 0, "before-cfpr"), {"method": "app", "status": "failed"},
        ],
        "froc": [
            swept("app", threshold=t, fp_per_scan=x, recall=y) for t, x, y in sweep
        ] + [swept("app", "3T", threshold=0.5, fp_per_scan=99.0, recall=0.1)],
        "radii": [
            swept("app", radius=r, dice_mean=d, **dice, **f1) for r, d in ((2, 0.5), (0, 0.4))
        ],
    }  # fmt: skip


def line_of(ax, label):
    (line,) = [line for line in ax.get_lines() if line.get_label() == label]
    return np.array(line.get_data()).T.tolist()


def test_the_froc_runs_over_thresholds_and_marks_every_final_result(tables):
    (ax,) = froc(tables).axes
    assert line_of(ax, "app") == [[4.0, 0.9], [1.0, 0.8], [0.5, 0.75]]
    rings = [line for line in ax.get_lines() if line.get_fillstyle() == "none"]
    points = [np.array(line.get_data()).ravel().tolist() for line in rings]
    assert points == [[0.2, 0.7], [0.2, 0.7], []]
    assert [line.get_color() for line in rings[:2]] == [STYLES[0][0], STYLES[1][0]]
    assert ax.get_xlim()[1] == pytest.approx(1.3 * 4.0), "other groups are not shown"


def test_counts_are_shown_by_mean_and_difference(tables):
    (ax,) = bland_altman(tables).axes
    (discs,) = ax.collections
    assert discs.get_offsets().tolist() == [[0, 0], [4, 2]]
    assert discs.get_sizes()[0] > discs.get_sizes()[1]
    told = [text.get_text() for text in ax.texts]
    assert told == ["2", "+1.96 SD\n+2.50", "bias\n+0.50", "-1.96 SD\n-1.50"]


def test_the_radius_is_shown_with_its_interval_and_the_paper_s_choice(tables):
    left, right = radii(tables).axes
    assert line_of(left, "app") == [[0, 0.4], [2, 0.5]]
    assert line_of(right, "app") == [[0, 0.6], [2, 0.6]]
    assert [x for x, _ in line_of(left, "the paper's choice: 2 mm")] == [2, 2]


def test_axes_are_named_with_their_units(tables):
    labels = [
        (ax.get_xlabel(), ax.get_ylabel())
        for draw in (froc, bland_altman, radii)
        for ax in draw(tables).axes
    ]
    assert all(x and y for x, y in labels)
    assert "(mm)" in labels[-1][0]


def test_there_is_a_panel_per_method(tables):
    tables["sessions"] += [session("masks", 1, 1)]
    titles = [ax.get_title() for ax in bland_altman(tables).axes]
    assert titles == ["app", "masks"]


def test_figures_are_written_where_there_is_something_to_show(tmp_path, tables):
    written = write_figures(tmp_path, {**tables, "radii": [], "froc": []})
    assert list(written) == ["bland_altman"]
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation_bland_altman.png"]
    with Image.open(written["bland_altman"]) as picture:
        assert min(picture.size) > 500
        assert np.asarray(picture.convert("L")).std() > 5


def test_without_readings_there_are_no_raters():
    assert raters([]) is None


def test_raters_have_a_panel_for_each_pair_with_its_limits():
    drawn = raters(READINGS)
    titles = [ax.get_title() for ax in drawn.axes]
    assert titles == ["AB minus algorithm", "CD minus algorithm", "CD minus AB"]
    first = drawn.axes[2]
    # AB 2, 2, 3, 0 and CD 1, 2, 3, 0: mean and difference of each session.
    points = {
        tuple(point) for collection in first.collections for point in collection.get_offsets()
    }
    assert points == {(1.5, -1), (2, 0), (3, 0), (0, 0)}
    assert any(line.get_ydata()[0] == -0.25 for line in first.lines)
    assert "Difference" in first.get_ylabel()


def test_the_figure_of_raters_does_not_grow_beyond_its_panels():
    names = [f"R{n}" for n in range(8)]
    all_of = Reading(
        participant="1",
        session=None,
        marks=(dict.fromkeys(["algorithm", *names], D),),
        finished=tuple(names),
    )
    drawn = raters([all_of])
    assert len([ax for ax in drawn.axes if ax.get_title()]) == PAIRS
