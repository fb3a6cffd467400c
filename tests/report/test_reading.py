"""What the page is told so that its counts follow the reader."""

import json

from cmb_bidsapp.clinical.summary import CUTOFFS, summarize
from cmb_bidsapp.core.labels import MARS_FORM
from cmb_bidsapp.report.changes import ReportedChanges
from cmb_bidsapp.report.reading import candidates, page_data, session_data
from tests.clinical.rows import lesion

NO_CHANGES = ReportedChanges(rows=(), tracks=(), order=(), known={}, notes=(), left_out=0)


def numbered(*given):
    return [lesion(lesion_id=str(number), **cells) for number, cells in enumerate(given, 1)]


def test_candidates_of_which_the_same_is_known_are_one_entry():
    lesions = numbered({}, {}, {"mars_region": "thalamus"}, {"status": "rejected"})
    found = candidates(lesions, carded=[])
    assert [(one["lesions"], one["region"]) for one in found] == [
        ([1, 2], "frontal"),
        ([3], "thalamus"),
    ]
    assert {one["chance"] for one in found} == {None}


def test_those_with_a_card_can_be_rated_so_all_of_them_is_told():
    lesions = numbered({}, {"calibrated_probability": "0.4"}, {"status": "rejected"})
    found = candidates(lesions, carded=lesions)
    assert [(one["lesions"], one["kept"], one["chance"]) for one in found] == [
        ([1], True, 0.9),
        ([2], True, 0.4),
        ([3], False, 0.9),
    ]


def test_a_session_says_what_crosses_each_cut_off():
    lesions = numbered({}, {})
    told = session_data(candidates(lesions, []), 3, summarize(lesions, 4), "abc")
    assert (told["outputs"], told["rejected"]) == ("abc", 3)
    least = dict(zip(CUTOFFS, told["cutoffs"], strict=True))
    assert least["above_limit"] == 5


def test_classes_go_as_far_as_they_change_and_all_of_it_is_json():
    told = page_data({"n/a": {}}, NO_CHANGES, {name: name for name in MARS_FORM}, {})
    assert json.loads(json.dumps(told)) is not None
    assert told["classes"]["burden"][:6] == ["0", "1", "2-4", "2-4", "2-4", "5-9"]
    assert told["classes"]["burden"][-1] == "10 or more"
    assert len(told["form"]) == 13
