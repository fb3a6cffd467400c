import pytest

from cmb_bidsapp.bids.inputs import (
    T2STAR_SUFFIXES,
    check_dataset,
    choose,
    participants_in,
)
from cmb_bidsapp.core.errors import DataError, NoInputError
from tests.skeletons import build_dataset, image_path, tree, write_nifti

SMALL = {"voxel": (3.0, 3.0, 4.0)}


def name(scan):
    return None if scan is None else scan.path.name.removesuffix(".nii.gz")


def chosen(root, **options):
    return {
        session.label: (name(session.t2star), name(session.t1w))
        for session in choose(root, **options).sessions
    }


def reasons(session):
    return {
        rejected.path.name.removesuffix(".nii.gz"): rejected.reason for rejected in session.rejected
    }


#: Images of a participant, and the one that is to be chosen.
T2STAR_CASES = {
    "T2starw before everything": (
        {suffix: {} for suffix in ("SWI", "swi", "GRE", "MEGRE", "T2starw")},
        "T2starw",
    ),
    "MEGRE before GRE and swi, whatever the voxels": (
        {"swi": SMALL, "GRE": SMALL, "MEGRE": {}},
        "MEGRE",
    ),
    "GRE before swi": ({"swi": SMALL, "GRE": {}}, "GRE"),
    "swi alone": ({"swi": {}}, "swi"),
    "an acquisition named after SWI is behind GRE": (
        {"acq-SWIhires_T2starw": SMALL, "GRE": {}},
        "GRE",
    ),
    "an acquisition named after SWI is behind the suffix swi": (
        {"acq-hiswi_T2starw": SMALL, "swi": {}},
        "swi",
    ),
    "the echo nearest to 22.5 ms": (
        {
            "echo-1_T2starw": {"EchoTime": 0.008},
            "echo-2_T2starw": {"EchoTime": 0.021},
            "echo-3_T2starw": {"EchoTime": 0.035},
        },
        "echo-2_T2starw",
    ),
    "echo times of single-echo images do not count": (
        {"acq-a_T2starw": {"EchoTime": 0.022}, "acq-b_T2starw": {"EchoTime": 0.005, **SMALL}},
        "acq-b_T2starw",
    ),
    "smaller voxels": ({"acq-a_T2starw": {}, "acq-b_T2starw": SMALL}, "acq-b_T2starw"),
    "lower run, as a number": ({"run-10_T2starw": {}, "run-2_T2starw": {}}, "run-2_T2starw"),
    "voxels count more than runs": (
        {"run-1_T2starw": {}, "run-2_T2starw": SMALL},
        "run-2_T2starw",
    ),
    "the name decides at last": ({"acq-b_T2starw": {}, "acq-a_T2starw": {}}, "acq-a_T2starw"),
    "never the phase": (
        {"part-phase_T2starw": SMALL, "part-mag_T2starw": {}},
        "part-mag_T2starw",
    ),
    "never the real or imaginary part": (
        {"part-real_T2starw": SMALL, "part-imag_T2starw": SMALL, "swi": {}},
        "swi",
    ),
    "a readable image before an unreadable one": (
        {"acq-a_T2starw": None, "acq-b_T2starw": {}},
        "acq-b_T2starw",
    ),
    "an unreadable image where there is no other": ({"T2starw": None}, "T2starw"),
}


@pytest.fixture(scope="module")
def chosen_of_cases(tmp_path_factory):
    files = {
        f"sub-{number:02}_{stem}": content
        for number, (images, _) in enumerate(T2STAR_CASES.values())
        for stem, content in images.items()
    }
    found = chosen(build_dataset(tmp_path_factory.mktemp("cases"), files))
    return {
        case: found[f"sub-{number:02}"][0].removeprefix(f"sub-{number:02}_")
        for number, case in enumerate(T2STAR_CASES)
    }


@pytest.mark.parametrize("case", T2STAR_CASES)
def test_t2star_of_a_session(chosen_of_cases, case):
    assert chosen_of_cases[case] == T2STAR_CASES[case][1]


def test_t1w_has_smaller_voxels_then_lower_run(tmp_path):
    root = build_dataset(
        tmp_path,
        {
            "sub-01_T2starw": {},
            "sub-01_run-1_T1w": {},
            "sub-01_run-2_T1w": SMALL,
            "sub-01_run-3_T1w": SMALL,
        },
    )
    (session,) = choose(root).sessions
    assert name(session.t1w) == "sub-01_run-2_T1w"
    assert reasons(session) == {
        "sub-01_run-1_T1w": "sub-01_run-2_T1w.nii.gz has smaller voxels",
        "sub-01_run-3_T1w": "sub-01_run-2_T1w.nii.gz has the lower run",
    }


def test_t1w_comes_from_the_first_session_that_has_one(tmp_path):
    root = build_dataset(
        tmp_path,
        {
            "sub-01_ses-1_T2starw": {},
            "sub-01_ses-2_T1w": {},
            "sub-01_ses-2_T2starw": {},
            "sub-01_ses-3_T1w": SMALL,
        },
    )
    choice = choose(root)
    assert {s.label: name(s.t1w) for s in choice.sessions} == {
        "sub-01_ses-1": "sub-01_ses-2_T1w",
        "sub-01_ses-2": "sub-01_ses-2_T1w",
    }
    borrowed, own = choice.sessions
    assert "ses-2" in " ".join(borrowed.notes)
    assert own.notes == ()
    (skipped,) = choice.skipped
    assert skipped.path.as_posix() == "sub-01/ses-3"
    assert "no T2*w" in skipped.reason


def test_t1w_of_another_participant_is_never_used(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {}, "sub-02_T1w": {}})
    choice = choose(root)
    assert [name(s.t1w) for s in choice.sessions] == [None]
    assert [s.path.as_posix() for s in choice.skipped] == ["sub-02"]


def test_t2star_without_t1w_is_processed_with_a_note(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {}})
    (session,) = choose(root).sessions
    assert session.t1w is None
    assert any("no T1w" in note for note in session.notes)


def test_sessions_filter_limits_sessions_but_not_where_a_t1w_may_come_from(tmp_path):
    files = {f"sub-01_ses-{s}_T2starw": {} for s in "ABC"}
    root = build_dataset(tmp_path, {**files, "sub-01_ses-A_T1w": {}})
    assert chosen(root, sessions=["B"]) == {
        "sub-01_ses-B": ("sub-01_ses-B_T2starw", "sub-01_ses-A_T1w")
    }


def test_sessions_filter_that_leaves_nothing_is_no_input(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_ses-A_T2starw": {}})
    with pytest.raises(NoInputError):
        choose(root, sessions=["Z"])


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"acquisition": None}, "sub-01_T2starw"),
        ({"acquisition": "*"}, "sub-01_acq-a_T2starw"),
        ({"acquisition": "b"}, "sub-01_acq-b_T2starw"),
        ({"acquisition": ["b", "c"]}, "sub-01_acq-b_T2starw"),
        ({"acquisition": [None, "c"]}, "sub-01_T2starw"),
        ({"suffix": "swi"}, "sub-01_swi"),
    ],
)
def test_filters_choose_among_t2star_images(tmp_path, wanted, expected):
    files = ("sub-01_T2starw", "sub-01_acq-a_T2starw", "sub-01_acq-b_T2starw", "sub-01_swi")
    root = build_dataset(
        tmp_path, {stem: {"voxel": (4, 4, 4 + i / 2)} for i, stem in enumerate(files)}
    )
    (session,) = choose(root, filters={"t2starw": wanted}).sessions
    assert name(session.t2star) == expected


def test_a_list_of_suffixes_filters_as_any_other_list(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {}, "sub-01_swi": {}, "sub-01_GRE": {}})
    filters = {"t2starw": {"suffix": ["swi", "GRE"]}}
    assert chosen(root, filters=filters) == {"sub-01": ("sub-01_GRE", None)}


def test_a_suffix_outside_the_rule_can_be_asked_for(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_T2w": {}, "sub-01_T2starw": {}})
    filters = {"t2starw": {"suffix": "T2w"}}
    assert chosen(root, filters=filters) == {"sub-01": ("sub-01_T2w", None)}


def test_a_suffix_that_no_image_has_is_told(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_T1w": {}, "sub-01_T2starw": {}})
    (session,) = choose(root, filters={"t1w": {"suffix": "T1W"}}).sessions
    assert session.t1w is None
    assert "no T1w (sub-01_T1w.nii.gz: the filter file excludes it)" in session.notes[0]


def test_swi_has_a_filter_of_its_own(tmp_path):
    root = build_dataset(
        tmp_path, {"sub-01_acq-a_swi": {}, "sub-01_acq-b_swi": {}, "sub-01_acq-aswi_T2starw": {}}
    )
    filters = {"t2starw": {"acquisition": "b"}, "swi": {"acquisition": "a"}}
    assert chosen(root, filters=filters) == {"sub-01": ("sub-01_acq-a_swi", None)}
    assert chosen(root, filters={"swi": {"suffix": "T2starw"}}) == {
        "sub-01": ("sub-01_acq-aswi_T2starw", None)
    }


def test_t1w_filter_leaves_the_t2star_alone(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {}, "sub-01_rec-norm_T1w": {}})
    (session,) = choose(root, filters={"t1w": {"reconstruction": None}}).sessions
    assert name(session.t2star) == "sub-01_T2starw"
    assert session.t1w is None
    assert reasons(session) == {"sub-01_rec-norm_T1w": "the filter file excludes it"}


def test_rejected_images_carry_the_criterion_they_lost_on(tmp_path):
    root = build_dataset(
        tmp_path,
        {
            "sub-01_echo-1_MEGRE": {"EchoTime": 0.005},
            "sub-01_echo-2_MEGRE": {"EchoTime": 0.02},
            "sub-01_echo-1_part-phase_MEGRE": {"EchoTime": 0.005},
            "sub-01_acq-thick_echo-2_MEGRE": {"EchoTime": 0.02, "voxel": (4, 4, 6)},
            "sub-01_echo-2_run-2_MEGRE": {"EchoTime": 0.02},
            "sub-01_swi": {},
        },
    )
    (session,) = choose(root).sessions
    best = "sub-01_echo-2_MEGRE"
    assert name(session.t2star) == best
    assert reasons(session) == {
        "sub-01_echo-1_MEGRE": f"{best}.nii.gz has the better echo time",
        "sub-01_echo-1_part-phase_MEGRE": "a phase image (part-phase)",
        "sub-01_acq-thick_echo-2_MEGRE": f"{best}.nii.gz has smaller voxels",
        "sub-01_echo-2_run-2_MEGRE": f"{best}.nii.gz has the lower run",
        "sub-01_swi": f"{best}.nii.gz is of a better kind",
    }


def test_rejected_images_belong_to_their_own_session(tmp_path):
    root = build_dataset(
        tmp_path,
        {f"sub-01_ses-{s}_{part}T2starw": {} for s in "AB" for part in ("", "part-real_")},
    )
    for session in choose(root).sessions:
        assert list(reasons(session)) == [f"{session.label}_part-real_T2starw"]


def test_metadata_are_inherited_from_the_root_of_the_dataset(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {"MagneticFieldStrength": 3}})
    (root / "T2starw.json").write_text('{"EchoTime": 0.02, "MagneticFieldStrength": 1.5}')
    (session,) = choose(root).sessions
    assert session.t2star.metadata["EchoTime"] == 0.02
    assert session.t2star.metadata["MagneticFieldStrength"] == 3


def test_participants_and_excluded_limit_who_is_processed(tmp_path):
    root = build_dataset(tmp_path, {f"sub-0{i}_T2starw": {} for i in (1, 2, 3)})
    assert list(chosen(root, participants=["03", "01"])) == ["sub-03", "sub-01"]
    assert list(chosen(root, excluded=["02"])) == ["sub-01", "sub-03"]
    with pytest.raises(NoInputError, match="excluded"):
        choose(root, participants=["01"], excluded=["01"])


def test_unknown_participants_are_named_with_those_there_are(tmp_path):
    root = build_dataset(tmp_path, {f"sub-{i:02}_T2starw": {} for i in range(1, 9)})
    with pytest.raises(NoInputError) as caught:
        choose(root, participants=["01", "77", "88"])
    message = str(caught.value)
    assert "sub-77, sub-88" in message
    assert "sub-05 and 3 more" in message


def test_participants_that_are_not_wanted_are_not_even_looked_at(tmp_path):
    root = build_dataset(
        tmp_path, {"sub-01_T2starw": {}, "sub-010_T2starw": {}, "sub-02_T2starw": None}
    )
    for label in ("010", "02"):
        image_path(root, f"sub-{label}_T2starw").with_name(f"sub-{label}_T2starw.json").write_text(
            "{ no json"
        )
    assert chosen(root, participants=["01"]) == {"sub-01": ("sub-01_T2starw", None)}


def test_a_damaged_header_does_not_keep_others_from_being_chosen(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {}})
    damaged = image_path(root, "sub-02_T2starw").with_suffix("")
    damaged.parent.mkdir(parents=True)
    header = bytearray(348 + 4 + 64)
    header[0:4] = (348).to_bytes(4, "little")
    header[40:48] = b"\x03\x00\x04\x00\x04\x00\x04\x00"
    header[70:72] = (4096).to_bytes(2, "little")
    header[344:348] = b"n+1\0"
    damaged.write_bytes(bytes(header))
    assert list(chosen(root)) == ["sub-01", "sub-02"]


@pytest.mark.parametrize(
    "folder",
    [
        "derivatives/x/sub-01/anat",
        "sourcedata/sub-01/anat",
        "code/sub-01/anat",
        ".cache/sub-01/anat",
        "backup/sub-01/anat",
        "sub-01/func",
    ],
)
def test_images_elsewhere_in_the_dataset_are_no_input(tmp_path, folder):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {}})
    write_nifti(root / folder / "sub-01_acq-other_T2starw.nii.gz", voxel=(0.5, 0.5, 0.5))
    (session,) = choose(root).sessions
    assert name(session.t2star) == "sub-01_T2starw"
    assert session.rejected == ()


@pytest.mark.parametrize("where", [".hidden", "func", "derivatives/raw"])
def test_the_folders_above_the_dataset_do_not_matter(tmp_path, where):
    root = build_dataset(tmp_path / where, {"sub-01_T2starw": {}})
    assert list(chosen(root)) == ["sub-01"]


def test_a_dataset_behind_a_link_keeps_the_paths_that_were_given(tmp_path):
    build_dataset(tmp_path / "real", {"sub-01_T2starw": {}})
    root = tmp_path / "link"
    root.symlink_to(tmp_path / "real")
    (session,) = choose(root).sessions
    assert session.t2star.path == image_path(root, "sub-01_T2starw")


def test_nothing_is_written_into_the_dataset(tmp_path):
    root = build_dataset(
        tmp_path, {"sub-01_T2starw": {"EchoTime": 0.02}, "sub-01_T1w": {}, "sub-02_T2starw": {}}
    )
    before = tree(root)
    choose(root)
    assert tree(root) == before


def test_folders_without_participants_and_without_t2star_are_no_input(tmp_path):
    with pytest.raises(NoInputError, match="sub-"):
        choose(build_dataset(tmp_path / "empty", {}))
    with pytest.raises(NoInputError) as caught:
        choose(build_dataset(tmp_path / "t1only", {"sub-01_T1w": {}}))
    assert all(suffix in str(caught.value) for suffix in T2STAR_SUFFIXES)


def test_participants_are_folders(tmp_path):
    root = build_dataset(tmp_path, {"sub-02_T1w": {}, "sub-01_T1w": {}})
    (root / "sub-03").write_text("a file")
    assert participants_in(root) == ("01", "02")


def test_check_dataset_wants_a_readable_description(tmp_path):
    with pytest.raises(NoInputError, match="not a folder"):
        check_dataset(tmp_path / "absent")
    with pytest.raises(DataError, match="missing"):
        check_dataset(tmp_path)
    (tmp_path / "dataset_description.json").write_text("{ no json")
    with pytest.raises(DataError, match="not valid JSON"):
        check_dataset(tmp_path)
    (tmp_path / "dataset_description.json").write_text("{}")
    check_dataset(tmp_path)


def test_images_of_a_datalad_dataset_are_links_to_its_annex(tmp_path):
    root = build_dataset(tmp_path / "bids", {"sub-01_T2starw": {}, "sub-01_T1w": {}})
    for path in root.glob("sub-01/anat/*"):
        content = root / ".git" / "annex" / "objects" / path.name
        content.parent.mkdir(parents=True, exist_ok=True)
        path.rename(content)
        path.symlink_to(content)
    assert chosen(root) == {"sub-01": ("sub-01_T2starw", "sub-01_T1w")}


def test_the_folder_of_a_participant_may_be_a_link(tmp_path):
    root = build_dataset(tmp_path / "bids", {"sub-01_T2starw": {}})
    (root / "sub-01").rename(tmp_path / "elsewhere")
    (root / "sub-01").symlink_to(tmp_path / "elsewhere")
    assert chosen(root) == {"sub-01": ("sub-01_T2starw", None)}
