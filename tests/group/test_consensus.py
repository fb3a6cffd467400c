import numpy as np
import pytest

from cmb_bidsapp.group.consensus import SAME_LESION_MM, consensus, same_lesions

D, P, N = "definite", "possible", "not-cmb"


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ([D], D),
        ([N], N),
        ([D, D, P], D),
        ([D, P, P], P),
        ([D, P], P),  # no tie about whether it is one
        ([D, N, N], N),
        ([D, P, N], P),
        ([D, D, P, N, N], D),
        ([D, N], None),
        ([D, P, N, N], None),
        ([], None),
    ],
)
def test_most_readers_decide_first_whether_it_is_one_and_then_how_sure(said, verdict):
    assert consensus(said) == verdict
    assert consensus(said[::-1]) == verdict


def at(*x):
    return np.array([(value, 0.0, 0.0) for value in x])


def test_added_lesions_of_two_readers_are_one_up_to_the_stated_distance():
    near, far = SAME_LESION_MM, SAME_LESION_MM + 0.01
    assert same_lesions({"A": at(0), "B": at(near)}) == [{"A": 0, "B": 0}]
    assert same_lesions({"A": at(0), "B": at(far)}) == [{"A": 0}, {"B": 0}]


def test_lesions_of_one_reader_stay_apart_and_each_has_one_partner():
    assert same_lesions({"A": at(0, 1)}) == [{"A": 0}, {"A": 1}]
    # B's only lesion is nearer to the second of A's.
    assert same_lesions({"A": at(0, 3), "B": at(2.5)}) == [{"A": 0}, {"A": 1, "B": 0}]
    # Matched together the sum is least, though the first of B is nearest to the second of A.
    assert same_lesions({"A": at(0, 3), "B": at(2, 5)}) == [{"A": 0, "B": 0}, {"A": 1, "B": 1}]


def test_as_many_as_can_be_are_matched_before_the_distance_counts():
    # B's second lies on A's second: but then B's first, too far from A's first, would be alone.
    assert same_lesions({"A": at(0, 4), "B": at(4, 8.5)}) == [{"A": 0, "B": 0}, {"A": 1, "B": 1}]


def test_a_third_reader_is_matched_with_the_mean_of_the_others():
    found = same_lesions({"C": at(6.4), "A": at(0), "B": at(3)})
    assert found == [{"A": 0, "B": 0, "C": 0}]
    assert len(same_lesions({"C": at(6.6), "A": at(0), "B": at(3)})) == 2


def test_readers_who_added_nothing_change_nothing():
    assert same_lesions({}) == []
    assert same_lesions({"A": np.array([]), "B": at(1), "C": np.array([])}) == [{"B": 0}]
