"""Charts of the group page show the numbers they are given, each sequence for itself."""

import io

import numpy as np
import pytest
from matplotlib.patches import StepPatch
from PIL import Image

from cmb_bidsapp.report import cohort_figures
from cmb_bidsapp.report.cohort_figures import (
    ALT,
    DPI,
    UK_BIOBANK,
    by_region,
    changes,
    distribution,
)

SCANS = {
    "swi": {"participants": 20, "any": 10, "lobar": 8, "deep": 4, "infratentorial": 0},
    "T2starw": {"participants": 8, "any": 0, "lobar": 0, "deep": 0, "infratentorial": 0},
}


def heights(ax):
    return [bar.get_height() for bar in ax.patches]


def words(ax):
    return [text.get_text() for text in ax.texts]


def test_distribution_is_of_participants_with_microbleeds_by_sequence():
    figure = distribution({"swi": {0: 6, 1: 2, 7: 1, 30: 1}, "T2starw": {0: 3, 2: 1}})
    swi, gre = figure.axes
    #                              1    2  3  4  5-9  10-19  20-49
    assert heights(swi) == [2, 0, 0, 0, 1, 0, 1]
    assert heights(gre) == [0, 1, 0, 0, 0, 0, 0]
    assert words(swi) == ["2", "", "", "", "1", "", "1"]
    assert swi.get_title("left") == "swi: 4 of 10 participants with microbleeds, at most 30 in one"
    assert (
        gre.get_title("left") == "T2starw: 1 of 4 participants with microbleeds, at most 2 in one"
    )


def test_every_count_has_a_bar():
    counts = dict.fromkeys((1, 2, 3, 4, 5, 9, 10, 19, 20, 49, 50, 99, 100, 5000), 1)
    (ax,) = distribution({"swi": counts}).axes
    assert [int(word) for word in words(ax)] == [1, 1, 1, 1, 2, 2, 2, 2, 2]


def test_shares_stand_beside_the_published_ones():
    prevalence, classes = by_region(SCANS).axes
    assert heights(prevalence) == pytest.approx([UK_BIOBANK["any"], 0.5, 0])
    published, swi, gre = np.reshape(heights(classes), (3, 3))
    assert published == pytest.approx([0.767, 0.180, 0.145])
    assert swi == pytest.approx([0.8, 0.4, 0])
    assert not gre.any()
    # Of no positive scan there is no share, and so no interval.
    assert words(classes)[-3:] == ["n/a"] * 3
    assert words(prevalence) == ["7.0", "50.0", "0 of 8"]


def test_shares_of_few_are_told_in_numbers_without_an_interval():
    few = {"participants": 30, "any": 3, "lobar": 2, "deep": 1, "infratentorial": 0}
    prevalence, classes = by_region({"swi": few}).axes
    assert words(prevalence) == ["7.0", "10.0"]
    assert words(classes)[3:] == ["2 of 3", "1 of 3", "0 of 3"]
    assert [len(lines.get_segments()) for lines in prevalence.collections] == [1]
    assert not any(len(ends) for ends in classes.collections[0].get_segments())


def test_intervals_hold_the_shares():
    prevalence, classes = by_region(SCANS).axes
    swi, gre = (lines.get_segments() for lines in classes.collections)
    assert not any(len(ends) for ends in gre)
    for ((_, low), (_, high)), share in zip(swi, (0.8, 0.4, 0), strict=True):
        assert low <= share + 1e-9 <= high
        assert high - low > 0.2
    # Wilson's interval of 10 of 20.
    ((_, low), (_, high)) = prevalence.collections[0].get_segments()[0]
    assert (low, high) == pytest.approx((0.2993, 0.7007), abs=1e-4)


@pytest.mark.parametrize("many", [1, 400])
def test_changes_add_up_however_many(many):
    rows = [(3, 1, 0), (0, 0, 2), (1, 4, 1)] * many
    (ax,) = changes({"swi": rows}).axes
    drawn = {}
    for patch in ax.patches:
        assert isinstance(patch, StepPatch)
        values, _, baseline = patch.get_data()
        drawn[patch.get_label().split()[0]] = float(np.sum(values - baseline))
    assert drawn == {"new": 5 * many, "persistent": 4 * many, "gone": -3 * many}
    assert ax.get_title("left") == f"swi: {3 * many:,} follow-ups, {2 * many} with new microbleeds"


@pytest.mark.parametrize("name", ALT)
@pytest.mark.parametrize("empty", [True, False])
def test_little_or_nothing_is_drawn_too(name, empty):
    one = {
        "distribution": {0: 1},
        "by_region": SCANS["T2starw"],
        "changes": [(0, 0, 0)],
        "flow": None,
    }
    given = {} if empty else {"swi": one[name]}
    if name == "flow":
        given = [] if empty else [{"step": "scanned", "of": None, "participants": 1, "sessions": 2}]
    figure = getattr(cohort_figures, name)(given)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI)
    picture = Image.open(stream).convert("RGB")
    assert picture.width == 1440
    # A ground of its own, for dark pages.
    assert picture.getpixel((2, 2)) == (255, 255, 255)
