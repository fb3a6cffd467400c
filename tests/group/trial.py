"""Results of a trial of two arms, one participant with three visits."""

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.cli import main
from tests.group.sessions import (
    GRE,
    SWI,
    lesion,
    measure,
    write_changes,
    write_session,
    write_status,
    write_tracks,
)


def track(number, group, region, grade, **states):
    """A microbleed in ``ses-A``, ``ses-B``, ...: state and change of each."""
    return [
        {
            **{"track_id": number, "session_id": f"ses-{session}", "state": state},
            **{"change": change, "region": group, "mars_region": region, "grade": grade},
            "side": "left",
        }
        for session, (state, change) in states.items()
    ]


THERE, NOT = ("present", "baseline"), ("not-yet", None)

NEW, KEPT = ("present", "new"), ("present", "persistent")

TRACKS = [
    *track(1, "lobar", "frontal", "definite", A=THERE, B=KEPT, C=("gone", None)),
    *track(2, "lobar", "occipital", "definite", A=NOT, B=NEW, C=KEPT),
    *track(3, "deep", "thalamus", "possible", A=NOT, B=NEW, C=("below-threshold", None)),
    *track(4, "infratentorial", "cerebellum", "definite", A=NOT, B=NOT, C=NEW),
]


def write_trial(folder):
    """Two arms; sub-01 with three visits, whose labels are not in the order of time."""
    for session in "ABC":
        write_session(folder, "01", session, 2, GRE, [measure(flag="low")])
    write_session(folder, "02", None, [lesion("deep")], SWI)
    write_session(folder, "03", None, 1).lesions.unlink()
    follow_up = {"protocol_changed": False, "baseline_session_id": "ses-A"}
    write_changes(
        folder,
        "01",
        {**follow_up, "session_id": "ses-B", "days": 365.25, "new": 2, "persistent": 1},
        {
            **{**follow_up, "session_id": "ses-C", "days": 1461, "new": 1, "gone": 1},
            "below_threshold": 1,
        },
    )
    write_tracks(folder, "01", *TRACKS)
    write_status(folder, ("sub-04", None, "session", "skipped", "no T2*w image"))
    (folder / "participants.tsv").write_text(
        "participant_id\tAge\tsex\tarm\nsub-01\t71\tF\tdrug\nsub-02\t66.5\tM\tplacebo\n"
    )
    main([str(folder.parent / "absent"), str(folder), "group"])
    return folder


def rows(out, name, **wanted):
    """Rows of a group table that have the cells asked for."""
    found = read_table(out / f"group_{name}.tsv")
    return [row for row in found if all(row[key] == value for key, value in wanted.items())]
