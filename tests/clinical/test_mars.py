"""The MARS form: every lesion in one place, and sums that add up."""

import pytest
from hypothesis import given

from cmb_bidsapp.clinical.mars import (
    FORM_COLUMNS,
    GROUPS,
    NEEDED,
    MarsPlace,
    fill,
    form_rows,
    place_of,
    wide_columns,
    wide_row,
)
from cmb_bidsapp.core.labels import MARS_FORM
from cmb_bidsapp.lesions.table import COLUMNS
from tests.clinical.rows import TABLES, lesion

NUMBERS = [name for name in FORM_COLUMNS if name not in ("group", "region", "abbreviation")]


def by_name(lines):
    return {(line["group"], line["region"]): line for line in lines}


def test_the_form_has_the_regions_in_order_with_sums_after_each_group():
    names = [(line["group"], line["region"], line["abbreviation"]) for line in form_rows(fill([]))]
    assert names == [
        ("infratentorial", "brainstem", "B"),
        ("infratentorial", "cerebellum", "C"),
        ("infratentorial", "sub-total", None),
        ("deep", "basal-ganglia", "Bg"),
        ("deep", "thalamus", "Th"),
        ("deep", "internal-capsule", "Ic"),
        ("deep", "external-capsule", "Ec"),
        ("deep", "corpus-callosum", "Cc"),
        ("deep", "dpwm", "DPWM"),
        ("deep", "sub-total", None),
        ("lobar", "frontal", "F"),
        ("lobar", "parietal", "P"),
        ("lobar", "temporal", "T"),
        ("lobar", "occipital", "O"),
        ("lobar", "insula", "I"),
        ("lobar", "sub-total", None),
        ("unassigned", "unassigned", None),
        ("total", "total", None),
    ]


def test_an_empty_form_holds_zeros():
    assert {line[name] for line in form_rows(fill([])) for name in NUMBERS} == {0}
    assert set(wide_row(fill([])).values()) == {0}


def test_each_lesion_is_counted_where_it_is():
    form = fill(
        [
            lesion("frontal", side="left"),
            lesion("frontal", side="left", grade="possible"),
            lesion("frontal"),
            lesion("thalamus", grade="possible", border="true"),
            lesion("cerebellum"),
            lesion("brainstem"),
            lesion("brainstem", side="unassigned"),
            lesion("unassigned", side="unassigned", grade="possible"),
        ]
    )
    lines = by_name(form_rows(form))
    frontal = lines["lobar", "frontal"]
    assert (frontal["left_definite"], frontal["left_possible"]) == (1, 1)
    assert (frontal["right_definite"], frontal["right_possible"]) == (1, 0)
    assert (frontal["definite"], frontal["possible"], frontal["total"]) == (2, 1, 3)
    brainstem = lines["infratentorial", "brainstem"]
    assert (brainstem["right_definite"], brainstem["unsided_definite"]) == (1, 1)
    assert brainstem["total"] == 2
    assert lines["infratentorial", "cerebellum"]["total"] == 1
    assert lines["infratentorial", "sub-total"]["total"] == 3
    assert lines["unassigned", "unassigned"]["unsided_possible"] == 1
    assert (lines["total", "total"]["definite"], lines["total", "total"]["possible"]) == (5, 3)
    assert form.count(("brainstem", "deep")) == 3
    assert form.count(("brainstem", "infratentorial")) == 3
    assert form.count(side="left") == 2
    assert form.count("lobar", "left", "possible") == 1


def test_only_kept_definite_and_possible_lesions_are_counted_the_rest_apart():
    form = fill(
        [
            lesion(grade="macro", border="true"),
            lesion(grade="below-size", border="true"),
            lesion(grade="below-size"),
            lesion(status="rejected", border="true"),
            lesion(status="rejected", grade="macro"),
            lesion(border="true"),
        ]
    )
    assert (form.count(), form.border) == (1, 1)
    assert (form.macro, form.below_size, form.rejected) == (1, 2, 2)


@given(TABLES)
def test_totals_add_up_to_the_table(table):
    form = fill(table)
    assert form.count() + form.below_size + form.macro + form.rejected == len(table)
    lines = form_rows(form)
    for name in NUMBERS:
        regions = [line for line in lines if line["region"] not in ("sub-total", "total")]
        sums = [line for line in lines if line["region"] == "sub-total"]
        sums += [line for line in lines if line["group"] == "unassigned"]
        (total,) = (line[name] for line in lines if line["region"] == "total")
        assert sum(line[name] for line in regions) == total
        assert sum(line[name] for line in sums) == total
    for line in lines:
        for grade in ("definite", "possible"):
            sides = (f"{side}_{grade}" for side in ("right", "left", "unsided"))
            assert line[grade] == sum(line[side] for side in sides)
        assert line["total"] == line["definite"] + line["possible"]
    assert by_name(lines)["total", "total"]["total"] == form.count()


@given(TABLES)
def test_the_wide_row_tells_the_same_as_the_form(table):
    form = fill(table)
    row, lines = wide_row(form), by_name(form_rows(form))
    assert set(row) == set(wide_columns())
    for group in GROUPS:
        assert row[group] == lines[group, "sub-total"]["total"]
        assert row[group] == row[f"{group}_definite"] + row[f"{group}_possible"]
    assert row["total"] == sum(row[group] for group in GROUPS) + row["unassigned"]
    cells = 0
    for region, (_, group, _) in MARS_FORM.items():
        for cell in ("right_definite", "left_definite", "right_possible", "left_possible"):
            value = row[f"{region.replace('-', '_')}_{cell}"]
            assert value == lines[group, region][cell]
            cells += value
    assert row["unplaced"] == row["total"] - cells
    assert (row["brainstem"], row["cerebellum"]) == tuple(
        lines["infratentorial", part]["total"] for part in ("brainstem", "cerebellum")
    )


def test_what_has_no_region_or_side_is_unplaced_and_still_in_the_sums():
    row = wide_row(fill([lesion("unassigned"), lesion("insula", side="unassigned"), lesion()]))
    assert (row["unplaced"], row["unassigned"], row["lobar"], row["total"]) == (2, 1, 2, 3)


def test_a_group_without_a_region_has_a_line_of_its_own_only_where_there_is_one():
    assert ("lobar", "unassigned") not in by_name(form_rows(fill([lesion("unassigned")])))
    form = fill([lesion("unassigned", region="lobar"), lesion()])
    lines = by_name(form_rows(form))
    assert lines["lobar", "unassigned"]["total"] == 1
    assert lines["lobar", "sub-total"]["total"] == form.count("lobar") == 2
    assert lines["unassigned", "unassigned"]["total"] == form.count("unassigned") == 0


def test_the_region_decides_about_the_group_where_both_are_told():
    contradictory = lesion("cerebellum", region="lobar", side="n/a")
    assert place_of(contradictory) == MarsPlace("infratentorial", "cerebellum", "unassigned")


def test_a_grade_that_is_none_is_refused_where_it_would_count():
    with pytest.raises(
        ValueError, match="grade n/a: a kept lesion needs one of definite, possible"
    ):
        fill([lesion(grade="n/a")])
    assert fill([lesion(grade="n/a", status="rejected")]).rejected == 1


def test_a_region_that_is_none_is_no_zero():
    with pytest.raises(ValueError, match="frontl"):
        fill([lesion()]).count(("frontl", "lobar"))


def test_every_column_is_described_and_filled():
    assert set(COLUMNS) >= NEEDED
    for line in form_rows(fill([lesion()])):
        assert list(line) == list(FORM_COLUMNS)
    for columns in (FORM_COLUMNS, wide_columns()):
        assert all(entry["Description"] for entry in columns.values())
