"""Cut-offs in doubt, and the candidates that they turn on."""

import pytest

from cmb_bidsapp.clinical.counts import at_least, turning, unsure
from cmb_bidsapp.clinical.doubts import doubts_of
from cmb_bidsapp.clinical.summary import summarize
from cmb_bidsapp.lesions.lesion import Grade, Lesion, Status


def lesions(*chances):
    return [
        Lesion(
            lesion_id=number,
            status=Status.KEPT,
            grade=Grade.POSSIBLE,
            calibrated_probability=chance,
        )
        for number, chance in enumerate(chances, 1)
    ]


def test_what_is_sure_turns_on_nothing():
    assert turning([0.99] * 6, 5) == []
    assert turning([0.1] * 3, 5) == []


def test_the_least_certain_ones_decide():
    assert turning([0.99, 0.6, 0.99, 0.5, 0.99], 5) == [1, 3]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_once_they_are_decided_the_answer_is_sure_and_fewer_do_not_do(count):
    chances = [0.95, 0.55, 0.7, 0.4, 0.85, 0.2]
    found = turning(chances, count)
    rest = [chance for place, chance in enumerate(chances) if place not in found]
    assert not any(unsure(at_least(rest, count - known)) for known in range(len(found) + 1))
    least = min(found, key=lambda place: min(chances[place], 1 - chances[place]), default=None)
    if least is not None:
        fewer = [*rest, chances[least]]
        assert any(unsure(at_least(fewer, count - known)) for known in range(len(found)))


def test_five_counted_of_which_two_are_doubtful():
    found = lesions(0.99, 0.6, 0.99, 0.62, 0.99)
    (doubt,) = doubts_of(found, summarize(found))
    assert (doubt.least, doubt.candidates) == (5, (2, 4))
    assert doubt.chance == pytest.approx(0.99**3 * 0.6 * 0.62)


def test_a_limit_of_its_own_is_a_cut_off_too():
    found = lesions(0.99, 0.99, 0.5)
    assert [doubt.least for doubt in doubts_of(found, summarize(found, limit=2))] == [3]


def test_without_probabilities_nothing_is_said_to_be_in_doubt():
    found = lesions(0.5, None)
    assert doubts_of(found, summarize(found)) == []
