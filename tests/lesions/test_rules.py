import dataclasses
import json
import math
from dataclasses import replace

import pytest

from cmb_bidsapp.clinical.mars import fill
from cmb_bidsapp.core.decisions import Decisions
from cmb_bidsapp.lesions.cfpr import Verdict
from cmb_bidsapp.lesions.lesion import Grade, Mimic, PhaseSign, Reason, Status
from cmb_bidsapp.lesions.mimics import Resemblance
from cmb_bidsapp.lesions.phase import Fit, Sign
from cmb_bidsapp.lesions.rules import (
    Decision,
    Grounds,
    cfpr_rule,
    decide,
    phase_rule,
    rules_of,
    to_lesions,
)
from cmb_bidsapp.lesions.table import read_lesions, write_lesions
from cmb_bidsapp.report.words import verdict_in_words
from tests.lesions.test_grading import CLEAR

KEPT = Verdict(
    lesion=1,
    mode="paper",
    kept=True,
    reason=Reason.PARENCHYMA,
    ratio=0.75,
    lobar=10,
    deep=5,
    infratentorial=0,
    background=5,
    other_cmb=2,
    own=0,
)
REJECTED = replace(
    KEPT,
    lesion=2,
    kept=False,
    reason=Reason.PERIPHERY_NOT_BRAIN,
    ratio=0.25,
    lobar=4,
    deep=0,
    infratentorial=1,
    background=15,
    other_cmb=0,
)
LONE = replace(
    REJECTED,
    lesion=3,
    kept=True,
    reason=Reason.NO_PERIPHERY,
    ratio=math.nan,
    lobar=0,
    infratentorial=0,
    background=0,
)
CANDIDATES = [dataclasses.replace(CLEAR, lesion=n) for n in (1, 2, 3)]


def table(*, verdicts=(KEPT, REJECTED, LONE), cfpr=True, more=(), **options):
    rules = [cfpr_rule(verdicts)] if cfpr else []
    options = {"min_diameter": 2.0, **options}
    return to_lesions(CANDIDATES, verdicts, [*rules, *more], **options)


def test_rejected_candidates_stay_in_the_table():
    found = [(one.lesion_id, one.status, one.reason) for one in table()]
    assert found == [
        (1, Status.KEPT, Reason.PARENCHYMA),
        (2, Status.REJECTED, Reason.PERIPHERY_NOT_BRAIN),
        (3, Status.KEPT, Reason.NO_PERIPHERY),
    ]


def test_without_cfpr_all_are_kept_and_the_verdict_is_still_reported():
    found = table(cfpr=False)
    assert {one.status for one in found} == {Status.KEPT}
    assert {one.reason for one in found} == {Reason.CFPR_OFF}
    assert [one.cfpr_ratio for one in found] == [0.75, 0.25, None]
    assert found[1].shell_background == 15


def test_the_shell_is_that_of_its_lesion_whatever_the_order():
    lesion = table(verdicts=(LONE, REJECTED, KEPT))[0]
    shell = ("lobar", "deep", "infratentorial", "background", "other_cmb")
    assert [getattr(lesion, f"shell_{name}") for name in shell] == [10, 5, 0, 5, 2]
    assert lesion.cfpr_ratio == 0.75


def test_the_mode_of_cfpr_and_what_only_reference_counts_are_told():
    other = dataclasses.replace(KEPT, mode="reference", own=9)
    first, second, _ = table(verdicts=(other, REJECTED, LONE))
    assert (first.cfpr_mode, first.shell_own) == ("reference", 9)
    assert (second.cfpr_mode, second.shell_own) == ("paper", 0)


def test_without_a_calibration_there_is_no_calibrated_probability():
    assert {one.calibrated_probability for one in table()} == {None}


@pytest.mark.parametrize("cfpr", [True, False])
def test_a_calibration_holds_for_candidates_that_pass_cfpr(cfpr):
    found = table(cfpr=cfpr, calibration=((0.999, 0.5), (0.999999, 0.9)))
    assert [one.calibrated_probability for one in found] == [0.9, None, 0.9]


def test_the_grade_uses_the_calibrated_probability_where_there_is_one():
    found = table(calibration=((0.999, 0.1), (0.999999, 0.7)))
    assert [one.grade for one in found] == [Grade.POSSIBLE, Grade.DEFINITE, Grade.POSSIBLE]
    assert found[0].grade_reason == "calibrated probability 0.7, below 0.75"
    assert found[1].grade_reason.startswith("diameter 4 mm; uncalibrated probability 1;")


def test_the_grade_uses_the_chosen_size():
    assert {one.grade for one in table()} == {Grade.DEFINITE}
    assert {one.grade for one in table(min_diameter=5.0)} == {Grade.BELOW_SIZE}


def test_mimics_are_told_and_decide_nothing():
    mimics = {n: Resemblance(Mimic.VESSEL, 0.9) for n in (1, 2, 3)}
    found = table(mimics=mimics)
    assert {(one.mimic, one.mimic_share) for one in found} == {(Mimic.VESSEL, 0.9)}
    assert [one.status for one in found] == [one.status for one in table()]
    assert {one.mimic for one in table()} == {None}


def test_numbers_are_those_of_the_table():
    candidates = [dataclasses.replace(CLEAR, probability_max=0.123456789)]
    (lesion,) = to_lesions(candidates, [KEPT], [], min_diameter=2.0)
    assert lesion.probability_max == 0.123457


def test_the_first_rule_that_rejects_has_the_last_word():
    asked = []

    def rule(name, decision):
        def one(candidate):
            asked.append((name, candidate))
            return decision

        return one

    silent = rule("silent", None)
    no = rule("no", Decision(False, Reason.READER, "no"))
    yes = rule("yes", Decision(True, Reason.NO_PERIPHERY, "yes"))
    found = table(more=[silent, no, yes])
    assert {one.status for one in found} == {Status.REJECTED}
    assert [one.reason for one in found] == [
        Reason.READER, Reason.PERIPHERY_NOT_BRAIN, Reason.READER,
    ]  # fmt: skip
    # What CFPR has rejected is not asked about again, and nobody is after a no.
    assert asked == [("silent", 1), ("no", 1), ("silent", 3), ("no", 3)]


@pytest.fixture
def too_large(monkeypatch):
    """A reason that a rule of a later version brings: one more member."""
    member = str.__new__(Reason, "too-large")
    member._name_, member._value_ = "TOO_LARGE", "too-large"
    member.description = "larger than 3 mm; rejected"
    monkeypatch.setattr(Reason, "_member_names_", [*Reason._member_names_, "TOO_LARGE"])
    monkeypatch.setitem(Reason._member_map_, "TOO_LARGE", member)
    monkeypatch.setitem(Reason._value2member_map_, "too-large", member)
    return member


def test_a_new_rule_needs_a_function_and_a_reason(too_large, tmp_path):
    sizes = {one.lesion: one.diameter for one in CANDIDATES}

    def small(candidate):
        return Decision(False, too_large, "size") if sizes[candidate] > 3 else None

    path = tmp_path / "lesions.tsv"
    write_lesions(path, table(more=[small]))
    levels = json.loads(path.with_suffix(".json").read_text())["reason"]["Levels"]
    assert levels["too-large"] == "larger than 3 mm; rejected"
    read = read_lesions(path)
    assert [one.reason for one in read] == [too_large, Reason.PERIPHERY_NOT_BRAIN, too_large]
    assert fill(read).rejected == 3
    assert verdict_in_words(read[0]) == "Rejected (larger than 3 mm; rejected)"


def test_a_candidate_without_a_verdict_is_an_error():
    with pytest.raises(KeyError):
        table(verdicts=(KEPT,))


def test_no_candidates_no_lesions():
    assert to_lesions([], [], [cfpr_rule([])], min_diameter=2.0) == []


SIGNS = {
    number: Sign(sign, Fit(0.4 - number / 10, 2.0, 0.5))
    for number, sign in (
        (1, PhaseSign.DIAMAGNETIC),
        (2, PhaseSign.DIAMAGNETIC),
        (3, PhaseSign.UNDECIDED),
    )
}


def test_calcium_is_rejected_where_that_is_asked_for():
    asked = table(more=[phase_rule({n: one.sign for n, one in SIGNS.items()})], signs=SIGNS)
    assert [lesion.status for lesion in asked] == ["rejected", "rejected", "kept"]
    # CFPR comes first.
    assert [lesion.reason for lesion in asked] == [
        Reason.DIAMAGNETIC,
        Reason.PERIPHERY_NOT_BRAIN,
        Reason.NO_PERIPHERY,
    ]
    assert [lesion.status for lesion in table(signs=SIGNS)] == ["kept", "rejected", "kept"]
    assert "calcium" in verdict_in_words(asked[0])


def test_signs_are_told_and_without_a_phase_there_are_no_columns_of_it(tmp_path):
    path = tmp_path / "lesions.tsv"
    write_lesions(path, table(signs=SIGNS))
    first = read_lesions(path)[0]
    assert (first.phase_sign, first.phase_evidence) == (PhaseSign.DIAMAGNETIC, 0.3)
    assert (first.phase_strength, first.phase_core) == (2.0, 0.5)
    write_lesions(path, table())
    assert "phase" not in path.read_text()
    assert "phase" not in path.with_suffix(".json").read_text()


@pytest.mark.parametrize(
    ("asked", "signs", "kept"),
    [
        ({}, {1: PhaseSign.DIAMAGNETIC, 2: PhaseSign.DIAMAGNETIC}, [True, False]),
        ({"cfpr": False}, None, [True, True]),
        (
            {"phase_rule": "reject"},
            {1: PhaseSign.DIAMAGNETIC, 2: PhaseSign.DIAMAGNETIC},
            [False, False],
        ),
        ({"phase_rule": "reject"}, None, [True, False]),
    ],
)
def test_rules_are_those_that_are_asked_for_and_whose_evidence_is_known(asked, signs, kept):
    grounds = Grounds(verdicts=(KEPT, REJECTED), signs=signs)
    rules = rules_of(Decisions(**asked), grounds)
    assert [decide(number, rules).kept for number in (1, 2)] == kept
