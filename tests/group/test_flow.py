"""The flow of participants."""

from tests.group.trial import rows


def steps(trial, arm):
    """Participants and sessions of an arm by step."""
    found = rows(trial, "flow", arm=arm)
    return {row["step"]: (row["participants"], row["sessions"]) for row in found}


def test_each_arm_has_a_flow_of_its_own(trial):
    drug, placebo = steps(trial, "drug"), steps(trial, "placebo")
    assert (drug["scanned"], drug["follow-ups"]) == (("1", "3"), ("1", "2"))
    assert (placebo["processed"], placebo["follow-ups"]) == (("1", "1"), ("0", "0"))


def test_the_flow_has_everybody(trial):
    flow = steps(trial, "all")
    assert flow["scanned"] == ("4", "6")
    assert (flow["processed"], flow["failed"], flow["no-t2star"]) == (
        ("2", "4"), ("1", "1"), ("1", "1"),
    )  # fmt: skip
    assert (flow["follow-ups"], flow["comparable"]) == (("1", "2"), ("1", "2"))
