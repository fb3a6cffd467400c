"""The flow of participants."""

from tests.group.trial import rows


def test_the_flow_has_everybody(trial):
    flow = {row["step"]: (row["participants"], row["sessions"]) for row in rows(trial, "flow")}
    assert flow["scanned"] == ("4", "6")
    assert (flow["processed"], flow["failed"], flow["no-t2star"]) == (
        ("2", "4"), ("1", "1"), ("1", "1"),
    )  # fmt: skip
    assert (flow["follow-ups"], flow["comparable"]) == (("1", "2"), ("1", "2"))
