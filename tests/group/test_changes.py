"""What changed from session to session."""

import re

from tests.group.trial import rows


def test_changes_are_told_apart_by_place_and_grade(trial):
    second, third = rows(trial, "changes")
    told = {name: value for name, value in second.items() if re.match("(new|gone|below).*_", name)}
    assert (second["new_lobar"], second["new_deep"], second["new_infratentorial"]) == tuple("110")
    assert (second["new_definite"], second["new_possible"]) == ("1", "1")
    assert (third["gone_lobar"], third["below_threshold_deep"]) == ("1", "1")
    assert third["new_infratentorial"] == "1"
    assert told["gone_definite"] == "0"
    # One of ses-B is still there in ses-C: new since baseline, not since the last session.
    assert (third["new_lobar"], third["new_since_baseline_lobar"]) == ("0", "1")


def test_the_long_table_adds_up_to_the_changes_and_has_zeros(trial):
    long = rows(trial, "changes_long")
    assert len(long) == 2 * 13 * 2
    for row in rows(trial, "changes"):
        own = [one for one in long if one["session_id"] == row["session_id"]]
        for fate in ("new", "below_threshold", "gone"):
            assert sum(int(one[fate]) for one in own) == int(row[fate])
    (cerebellum,) = rows(
        trial, "changes_long", session_id="ses-C", region="cerebellum", grade="definite"
    )
    assert (cerebellum["new"], cerebellum["new_since_baseline"]) == ("1", "1")
    (occipital,) = rows(
        trial, "changes_long", session_id="ses-C", region="occipital", grade="definite"
    )
    assert (occipital["new"], occipital["new_since_baseline"]) == ("0", "1")
