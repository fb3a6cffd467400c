import json
import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.core.statistics import Agreement
from cmb_bidsapp.group.agreement import (
    AGREEMENT_COLUMNS,
    TRACK_WEIGHTS,
    WEIGHTS,
    kappa,
    rows,
    write_agreement,
)
from cmb_bidsapp.group.judgments import TrackReading
from cmb_bidsapp.group.ratings import read_ratings
from tests.group.readers import READINGS, D, N, P, rating, reading, write_ratings, write_session


def pair(first, second, readings=READINGS):
    (row,) = (r for r in rows(readings) if (r["first"], r["second"]) == (first, second))
    return row


def test_every_reader_is_compared_with_the_algorithm_and_every_other():
    pairs = [(row["first"], row["second"]) for row in rows(READINGS)]
    assert pairs == [("algorithm", "AB"), ("algorithm", "CD"), ("AB", "CD")]


def test_lesions_are_those_that_both_rated():
    assert pair("AB", "CD")["lesions"] == 9
    assert pair("AB", "CD")["same"] == pytest.approx(6 / 9)
    assert pair("algorithm", "AB")["lesions"] == 11


def test_kappa_is_that_of_other_libraries():
    both = [(m["AB"], m["CD"]) for r in READINGS for m in r.marks if {"AB", "CD"} <= m.keys()]
    order = [D, P, N]
    own, other = zip(*both, strict=True)
    row = pair("AB", "CD")
    assert row["kappa"] == pytest.approx(cohen_kappa_score(own, other, labels=order))
    linear = cohen_kappa_score(own, other, labels=order, weights="linear")
    assert row["kappa_linear"] == pytest.approx(linear)
    yes = [[word != N for word in side] for side in (own, other)]
    assert row["kappa_cmb"] == pytest.approx(cohen_kappa_score(*yes))
    table = np.zeros((3, 3))
    for pair_of in both:
        table[tuple(order.index(word) for word in pair_of)] += 1
    assert row["kappa"] == pytest.approx(cohens_kappa(table, return_results=False))


def test_kappa_of_many_tables_is_that_of_each():
    tables = np.random.default_rng(0).integers(0, 9, (20, 3, 3)).astype(float)
    for weights in WEIGHTS.values():
        together = kappa(tables, weights)
        assert together.shape == (20,)
        assert together.tolist() == [float(kappa(table, weights)) for table in tables]


def test_kappa_is_one_where_all_is_the_same_and_unknown_where_chance_explains_it():
    same = np.diag([3.0, 2.0, 4.0])
    for weights in WEIGHTS.values():
        assert kappa(same, weights) == 1
        assert np.isnan(kappa(np.zeros((3, 3)), weights))
    assert np.isnan(kappa(np.diag([5.0, 0, 0]), WEIGHTS["kappa"]))


def test_counts_are_of_sessions_that_both_finished():
    row = pair("AB", "CD")
    assert row["sessions"] == 4
    # AB counts 2, 2, 3, 0 and CD 1, 2, 3, 0.
    assert row["count_bias"] == pytest.approx(-0.25)
    expected = Agreement.of([2, 2, 3, 0], [1, 2, 3, 0], list("1234"), 0)
    assert row["count_icc"] == expected.icc
    assert row["count_limit_low"] == expected.limit_low
    # Of fewer than ten participants.
    assert math.isnan(row["count_icc_low"])


def test_intervals_hold_the_value_and_follow_the_seed():
    many = [
        reading(str(n), *[(D, [D, P, N][(n + k) % 3], [D, P, N, N][(n * k) % 4]) for k in range(3)])
        for n in range(30)
    ]
    first, again, other = (rows(many, seed=seed)[-1] for seed in (1, 1, 2))
    # Columns without a value are no matter: they are not equal to themselves.
    first, again, other = (
        {k: v for k, v in row.items() if v == v} for row in (first, again, other)
    )
    assert first == again != other
    for name in (*WEIGHTS, "count_icc"):
        assert first[f"{name}_low"] <= first[name] <= first[f"{name}_high"]


def test_one_session_has_a_kappa_but_no_interval():
    row = pair("AB", "CD", READINGS[2:3])
    assert row["kappa"] == 1
    assert np.isnan([row["kappa_low"], row["count_icc"], row["count_limit_low"]]).all()


def test_readers_who_shared_no_lesion_have_counts_of_nothing():
    apart = [reading("1", (D, D, None), finished=()), reading("2", (D, None, N), finished=())]
    row = pair("AB", "CD", apart)
    assert (row["lesions"], row["same"], row["sessions"]) == (0, None, 0)
    assert np.isnan(row["kappa"])


def test_a_reader_who_only_read_empty_sessions_is_there():
    empty = [reading("1", finished=("AB",)), reading("2", finished=("AB",))]
    (row,) = rows(empty)
    assert (row["second"], row["lesions"], row["sessions"], row["count_bias"]) == ("AB", 0, 2, 0)


def test_the_table_is_written_with_its_dictionary(tmp_path):
    path = write_agreement(READINGS, tmp_path)
    assert path.name == "group_agreement.tsv"
    written = read_table(path)
    assert [list(row) for row in written] == [list(AGREEMENT_COLUMNS)] * 3
    assert json.loads(path.with_suffix(".json").read_text()).keys() == AGREEMENT_COLUMNS.keys()
    assert float(written[2]["kappa"]) == pytest.approx(rows(READINGS)[2]["kappa"], rel=1e-5)


def test_nobody_read_anything(tmp_path):
    assert rows([]) == []
    assert read_table(write_agreement([], tmp_path)) == []


def test_from_files_to_agreement(tmp_path):
    for label in ("01", "02"):
        who = {"participant_id": f"sub-{label}"}
        write_session(tmp_path / "out", label)
        for rater, words in (("AB", (D, P, N)), ("CD", (D, N, N))):
            own = [rating(str(n), word, rater, **who) for n, word in enumerate(words, 1)]
            if rater == "AB":
                own.append(rating(None, D, rater, place=(20, 2, 8), **who))
            write_ratings(tmp_path, *own, name=f"sub-{label}_rater-{rater}_ratings.tsv")
    ratings = read_ratings(tmp_path)
    for label in ("01", "02"):
        ratings.apply(write_session(tmp_path / "out", label))
    row = pair("AB", "CD", ratings.readings)
    # Both: 1 alike, 2 not, 3 alike; and the lesion that CD did not add.
    assert (row["lesions"], row["same"], row["sessions"]) == (8, 0.5, 2)
    assert row["count_bias"] == -2
    # The algorithm counts two of its four candidates, and does not have the added one.
    row = pair("algorithm", "AB", ratings.readings)
    assert (row["lesions"], row["same"], row["count_bias"]) == (8, 0.75, 1)


NEW, BEFORE, GONE, UNSURE = "new", "there-before", "gone", "not-sure"


def followed(participant, *marks):
    """Microbleeds of a participant; each mark is what algorithm, AB and CD say of a change."""
    sides = ("algorithm", "AB", "CD")
    said = tuple({k: v for k, v in zip(sides, mark, strict=True) if v} for mark in marks)
    return TrackReading(participant, said)


def test_changes_are_compared_where_both_sides_are_sure():
    told = [
        followed("1", (NEW, NEW, NEW), (BEFORE, NEW, BEFORE), (GONE, GONE, BEFORE)),
        followed("2", (None, NEW, BEFORE), (NEW, UNSURE, NEW), (BEFORE, BEFORE, UNSURE)),
        followed("3", (BEFORE, BEFORE, None), (BEFORE, BEFORE, BEFORE)),
    ]
    algorithm, _, readers = rows([], told)
    assert [row["lesions"] for row in (algorithm, readers)] == [0, 0]
    own, other = [NEW, NEW, GONE, NEW, BEFORE], [NEW, BEFORE, BEFORE, BEFORE, BEFORE]
    assert (readers["tracks"], readers["tracks_unsure"], readers["tracks_same"]) == (5, 2, 0.4)
    assert readers["kappa_tracks"] == pytest.approx(cohen_kappa_score(own, other))
    new = [[word == NEW for word in side] for side in (own, other)]
    assert readers["kappa_new"] == pytest.approx(cohen_kappa_score(*new))
    assert math.isnan(readers["kappa_new_low"])
    # What the algorithm leaves open is not compared with it.
    assert (algorithm["tracks"], algorithm["tracks_unsure"]) == (6, 1)
    assert algorithm["tracks_same"] == pytest.approx(5 / 6)


def test_without_changes_their_columns_are_empty():
    row = pair("AB", "CD")
    assert (row["tracks"], row["tracks_unsure"], row["tracks_same"]) == (0, 0, None)
    assert np.isnan([row[name] for name in TRACK_WEIGHTS]).all()


def test_intervals_are_of_the_participants_that_both_sides_read():
    words = [NEW, BEFORE, GONE]
    told = [followed(str(n), (None, words[n % 3], words[n * n % 3])) for n in range(12)]
    few = [followed(one.participant, (NEW, NEW, None)) for one in told]
    row = rows([], told)[-1]
    assert row["kappa_tracks_low"] <= row["kappa_tracks"] <= row["kappa_tracks_high"]
    row = rows([], [*few, *told[:9]])[-1]
    assert (row["tracks"], math.isnan(row["kappa_tracks_low"])) == (9, True)
