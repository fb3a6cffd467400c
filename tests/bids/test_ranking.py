"""Which of several scans is taken: what is not known never wins, a whole head before a part."""

import pytest

from cmb_bidsapp.bids.inputs import choose
from cmb_bidsapp.core.errors import NoInputError
from tests.skeletons import build_dataset, image_path, write_head


def stem(scan):
    return scan.path.name.removesuffix(".nii.gz").partition("_")[2]


def session_of(root):
    (session,) = choose(root).sessions
    return session


def reasons(session):
    return {stem(one).partition("_")[0]: one.reason for one in session.rejected}


@pytest.mark.parametrize(
    ("times", "chosen", "noted"),
    [
        ((None, 0.012, 0.020, 0.028), 3, False),
        ((0.022, None, None), 1, False),
        ((None, None, None), 2, True),
        ((None, None), 2, True),
        ((None,) * 6, 4, True),
        ((5, 15, 25), 3, True),
        (("22.5", 0.06, -0.0225), 2, False),
        ((0.0, 0.01, [0.0225]), 2, False),
    ],
)
def test_an_echo_without_a_time_never_wins_by_its_time(tmp_path, times, chosen, noted):
    files = {
        f"sub-01_echo-{number}_MEGRE": {} if time is None else {"EchoTime": time}
        for number, time in enumerate(times, 1)
    }
    session = session_of(build_dataset(tmp_path, files))
    assert stem(session.t2star) == f"echo-{chosen}_MEGRE"
    assert any("echo" in note.lower() for note in session.notes if "T1w" not in note) == noted


def test_an_echo_that_loses_for_want_of_a_time_is_told_so(tmp_path):
    files = {"sub-01_echo-1_GRE": {}, "sub-01_echo-2_GRE": {"EchoTime": 0.05}}
    assert "is unknown" in reasons(session_of(build_dataset(tmp_path, files)))["echo-1"]


#: Images of a participant as (stem, voxel, sides in mm), the one to choose, words of the notes.
COVERAGE = {
    "an aborted first run": (
        [("run-1_T2starw", (4, 4, 4), (96, 96, 8)), ("run-2_T2starw", (4, 4, 4), 96)],
        "run-2_T2starw",
        [],
    ),
    "an aborted first run of some slices": (
        [("run-1_T2starw", (4, 4, 4), (96, 96, 40)), ("run-2_T2starw", (4, 4, 4), 96)],
        "run-2_T2starw",
        [],
    ),
    "a localizer of fine voxels": (
        [("acq-loc_T2starw", (1, 1, 6), (96, 96, 18)), ("T2starw", (4, 4, 4), 96)],
        "T2starw",
        [],
    ),
    "a slab of a better kind": (
        [("T2starw", (2, 2, 2), (96, 96, 40)), ("swi", (4, 4, 4), 96)],
        "swi",
        [],
    ),
    "a sagittal slab": (
        [("run-1_T2starw", (4, 4, 4), (30, 96, 96)), ("run-2_T2starw", (4, 4, 4), 96)],
        "run-2_T2starw",
        [],
    ),
    "much the same": (
        [("run-1_T2starw", (4, 4, 4), (96, 96, 88)), ("run-2_T2starw", (4, 4, 4), 96)],
        "run-1_T2starw",
        [],
    ),
    "a part, where there is no more": (
        [("T2starw", (4, 4, 4), (96, 96, 40))],
        "T2starw",
        ["covers only 40 mm of the head"],
    ),
    "chunks: the largest": (
        [
            ("chunk-1_T2starw", (4, 4, 4), (96, 96, 60)),
            ("chunk-2_T2starw", (4, 4, 4), (96, 96, 72)),
        ],
        "chunk-2_T2starw",
        ["72 mm", "one of 2 chunks; the app does not join"],
    ),
    "chunks beside a whole head": (
        [("chunk-1_T2starw", (2, 2, 2), (96, 96, 60)), ("T2starw", (4, 4, 4), 96)],
        "T2starw",
        [],
    ),
}


@pytest.mark.parametrize("case", COVERAGE)
def test_a_whole_head_comes_before_a_part(tmp_path, case):
    images, chosen, words = COVERAGE[case]
    root = build_dataset(tmp_path, {"sub-01_T1w": {}})
    for name, voxel, size in images:
        write_head(image_path(root, f"sub-01_{name}"), voxel=voxel, size=size)
    session = session_of(root)
    assert stem(session.t2star) == chosen
    assert len(session.notes) == len(words)
    assert all(word in " ".join(session.notes) for word in words)


def test_next_to_nothing_of_a_head_is_no_input(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_T1w": {}})
    write_head(image_path(root, "sub-01_T2starw"), size=(96, 96, 12))
    with pytest.raises(NoInputError, match="covers only 12 mm of the head"):
        choose(root)


@pytest.mark.parametrize(
    ("stem_of_agent", "sidecar"),
    [("ce-gd_{}", {}), ("run-1_{}", {"ContrastBolusIngredient": "GADOLINIUM"})],
)
@pytest.mark.parametrize("suffix", ["T1w", "T2starw"])
def test_native_contrast_before_an_agent_whatever_the_voxels(
    tmp_path, stem_of_agent, sidecar, suffix
):
    with_agent = f"sub-01_{stem_of_agent.format(suffix)}"
    other = {"T1w": "sub-01_T2starw", "T2starw": "sub-01_T1w"}[suffix]
    files = {other: {}, with_agent: {"voxel": (3, 3, 3), **sidecar}}
    alone = session_of(build_dataset(tmp_path / "alone", files))
    assert any("contrast agent" in note for note in alone.notes)
    both = session_of(build_dataset(tmp_path / "both", {**files, f"sub-01_run-2_{suffix}": {}}))
    assert both.notes == ()
    chosen = both.t1w if suffix == "T1w" else both.t2star
    assert stem(chosen) == f"run-2_{suffix}"


def test_unit1_is_named_and_can_be_asked_for(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {}, "sub-01_UNIT1": {}})
    session = session_of(root)
    assert session.t1w is None
    assert any("sub-01_UNIT1.nii.gz" in note for note in session.notes)
    (asked,) = choose(root, filters={"t1w": {"suffix": ["T1w", "UNIT1"]}}).sessions
    assert stem(asked.t1w) == "UNIT1"


def test_why_there_is_no_t1w_is_told(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {}, "sub-01_acq-a_T1w": {}})
    (session,) = choose(root, filters={"t1w": {"acquisition": "b"}}).sessions
    assert any("no T1w (sub-01_acq-a_T1w.nii.gz: the filter" in note for note in session.notes)


def test_sessions_that_nobody_has_are_named_with_those_there_are(tmp_path):
    root = build_dataset(tmp_path, {f"sub-01_ses-{s}_T2starw": {} for s in ("1", "2", "10")})
    absent = "no participant has ses-Z; available are ses-1, ses-2, ses-10"
    with pytest.raises(NoInputError, match=absent):
        choose(root, sessions=["Z"])
    choice = choose(root, sessions=["1", "Z"])
    assert [session.label for session in choice.sessions] == ["sub-01_ses-1"]
    assert choice.notes == (absent,)
