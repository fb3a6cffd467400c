"""Which images are found, and whose they are."""

import os

import pytest

from cmb_bidsapp.bids.index import read_scan
from cmb_bidsapp.bids.inputs import choose
from cmb_bidsapp.core.errors import DataError
from tests.skeletons import build_dataset, image_path, write_head

STEMS = ("sub-01_ses-1_T1w", "sub-01_ses-1_T2starw")


@pytest.mark.parametrize("what", ["sub-01", "sub-01/ses-1", "sub-01/ses-1/anat"])
def test_every_folder_may_be_a_link(tmp_path, what):
    source = build_dataset(tmp_path / "source", {stem: {} for stem in STEMS})
    root = build_dataset(tmp_path / "bids", {})
    (root / what).parent.mkdir(parents=True, exist_ok=True)
    (root / what).symlink_to(source / what)
    (session,) = choose(root).sessions
    assert session.t2star.path == image_path(root, STEMS[1])
    assert session.t1w.path == image_path(root, STEMS[0])


@pytest.mark.parametrize("what", ["sub-02", "sub-02/ses-1", "sub-02/ses-1/anat"])
def test_a_link_to_nothing_fails_and_is_named(tmp_path, what):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {}})
    (root / what).parent.mkdir(parents=True, exist_ok=True)
    (root / what).symlink_to(tmp_path / "not mounted")
    choice = choose(root)
    assert [session.label for session in choice.sessions] == ["sub-01"]
    (failed,) = choice.failed
    assert what in failed.reason
    assert "No such file" in failed.reason


def test_links_that_lead_back_are_not_followed_for_ever(tmp_path):
    root = build_dataset(tmp_path, {STEMS[1]: {}})
    (root / "sub-01" / "ses-loop").symlink_to(root)
    (root / "sub-01" / "ses-1" / "loop").symlink_to(root / "sub-01")
    (session,) = choose(root).sessions
    assert session.label == "sub-01_ses-1"
    assert session.problem is None


#: Folders and names that do not agree, and what the message says of each.
CONTRADICTIONS = {
    "another participant": ("sub-02/anat/sub-01_T2starw", "sub-01", "sub-02"),
    "another session": ("sub-02/ses-1/anat/sub-02_ses-2_T2starw", "sub-02 ses-2", "sub-02 ses-1"),
    "no participant": ("sub-02/anat/scan_T2starw", "nobody", "sub-02"),
    "no session": ("sub-02/ses-1/anat/sub-02_T2starw", "sub-02", "sub-02 ses-1"),
    "a session without folder": ("sub-02/anat/sub-02_ses-1_T2starw", "sub-02 ses-1", "sub-02"),
    "two participants": ("sub-02/anat/sub-02_sub-01_T2starw", "sub-02 sub-01", "sub-02"),
    "other case": ("sub-a/anat/sub-A_T2starw", "sub-A", "sub-a"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_an_image_whose_name_and_folder_disagree_is_nobodys(tmp_path, case):
    stem, in_name, in_folder = CONTRADICTIONS[case]
    root = build_dataset(tmp_path, {"sub-01_T2starw": {}})
    write_head(root / f"{stem}.nii.gz")
    good, bad = choose(root).sessions
    assert good.problem is None
    assert f"its name says {in_name}, its folders say {in_folder};" in bad.problem


@pytest.mark.parametrize("linked", ["image", "folder and image"])
def test_an_image_that_is_a_link_to_that_of_another_is_nobodys(tmp_path, linked):
    root = build_dataset(tmp_path / "real", {"sub-01_T2starw": {}})
    link = image_path(root, "sub-02_T2starw")
    link.parent.mkdir(parents=True)
    link.symlink_to("../../sub-01/anat/sub-01_T2starw.nii.gz")
    if linked != "image":
        (tmp_path / "link").symlink_to(root)
        root = tmp_path / "link"
    good, bad = choose(root).sessions
    assert good.problem is None
    assert bad.problem.endswith("is a link to an image of sub-01; find out whose it is")


def test_a_link_to_what_lies_elsewhere_may_give_it_another_label(tmp_path):
    source = build_dataset(tmp_path / "source", {"sub-abc_T2starw": {}, "sub-01_ses-1_T1w": {}})
    root = build_dataset(tmp_path / "bids", {"sub-01_ses-1_T1w": {}})
    for stem, target in {
        "sub-01_ses-1_T2starw": image_path(source, "sub-abc_T2starw"),
        "sub-01_ses-2_T2starw": image_path(source, "sub-abc_T2starw"),
        "sub-01_ses-2_T1w": image_path(root, "sub-01_ses-1_T1w"),
    }.items():
        image_path(root, stem).parent.mkdir(parents=True, exist_ok=True)
        image_path(root, stem).symlink_to(target)
    assert [session.problem for session in choose(root).sessions] == [None, None]


@pytest.mark.parametrize("end", [".NII.GZ", ".nii.bz2", ".img", ".mgz"])
def test_an_image_of_another_format_is_named_and_not_read(tmp_path, end):
    root = build_dataset(tmp_path, {"sub-01_acq-a_T2starw": {}, "sub-02_acq-b_T2starw": {}})
    for label in ("01", "03"):
        (root / f"sub-{label}" / "anat").mkdir(parents=True, exist_ok=True)
        (root / f"sub-{label}" / "anat" / f"sub-{label}_T2starw{end}").write_bytes(bytes(400))
    one, two, three = choose(root).sessions
    assert [one.problem, two.problem, two.notes[1:]] == [None, None, ()]
    assert any(f"sub-01_T2starw{end} is no .nii or .nii.gz" in note for note in one.notes)
    assert f"sub-03_T2starw{end} is no .nii or .nii.gz by its name" in three.problem


@pytest.mark.parametrize(
    ("suffix", "words"),
    [("t2starw", "its suffix is t2starw, not T2starw"), ("T2star", "an old name of T2*w and maps")],
)
def test_a_suffix_that_is_nearly_one_is_named(tmp_path, suffix, words):
    root = build_dataset(tmp_path, {f"sub-01_{suffix}": {}, "sub-02_T2starw": {}})
    (skipped,) = choose(root).skipped
    assert f"no T2*w image (sub-01_{suffix}.nii.gz: {words}" in skipped.reason


def test_an_image_of_nobody_is_not_used_where_there_is_another(tmp_path):
    root = build_dataset(tmp_path, {"sub-02_acq-b_T2starw": {}})
    write_head(root / "sub-02/anat/sub-01_acq-a_T2starw.nii.gz", voxel=(3, 3, 3))
    (session,) = choose(root).sessions
    assert session.t2star.path == image_path(root, "sub-02_acq-b_T2starw")
    assert session.problem is None
    assert any("sub-01_acq-a_T2starw" in note for note in session.notes)


BAD_LABELS = ["a-b", "a_b", "a b", "ä", os.fsdecode(b"a\xff")]


def test_a_participant_whose_files_lead_to_a_mistake_of_ours_fails_alone(tmp_path, monkeypatch):
    def mistaken(path, *others):
        if "sub-02" in path.name:
            raise ZeroDivisionError("of ours")
        return read_scan(path, *others)

    monkeypatch.setattr("cmb_bidsapp.bids.index.read_scan", mistaken)
    root = build_dataset(tmp_path, {f"sub-0{n}_T2starw": {} for n in (1, 2, 3)})
    choice = choose(root)
    assert [session.label for session in choice.sessions] == ["sub-01", "sub-03"]
    (failed,) = choice.failed
    assert failed.path.name == "sub-02"
    assert "ZeroDivisionError: of ours" in failed.reason


@pytest.mark.parametrize("label", BAD_LABELS)
def test_a_label_that_bids_does_not_allow_fails_and_is_named(tmp_path, label):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {}})
    write_head(root / f"sub-{label}" / "anat" / f"sub-{label}_T2starw.nii.gz")
    choice = choose(root)
    assert [session.label for session in choice.sessions] == ["sub-01"]
    (failed,) = choice.failed
    assert "letters and digits" in failed.reason
    assert failed.reason.isprintable()
    with pytest.raises(DataError, match="letters and digits"):
        choose(root, participants=[label])


def test_a_session_with_such_a_label_fails_alone(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_ses-1_T2starw": {}})
    write_head(root / "sub-01/ses-a-b/anat/sub-01_ses-a-b_T2starw.nii.gz")
    choice = choose(root)
    assert [session.label for session in choice.sessions] == ["sub-01_ses-1"]
    assert [one.path.as_posix() for one in choice.failed] == ["sub-01/ses-a-b"]
    assert choose(root, sessions=["1"]).failed == ()


def test_a_file_name_that_is_no_text_fails_and_is_named(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {}})
    write_head(root / "sub-02" / "anat" / os.fsdecode(b"sub-02_acq-a\xff_T2starw.nii.gz"))
    choice = choose(root)
    assert [session.label for session in choice.sessions] == ["sub-01"]
    assert r"sub-02_acq-a\xff_T2starw.nii.gz" in choice.failed[0].reason


def test_a_folder_without_images_may_have_any_name(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_T2starw": {}})
    (root / "sub-01.bak").mkdir()
    choice = choose(root)
    assert choice.failed == ()


def test_a_dataset_that_grows_or_shrinks_is_seen_as_it_is(tmp_path):
    root = build_dataset(tmp_path, {"sub-01_ses-A_T2starw": {}})
    assert [s.label for s in choose(root).sessions] == ["sub-01_ses-A"]
    write_head(image_path(root, "sub-01_ses-B_T2starw"))
    assert [s.label for s in choose(root).sessions] == ["sub-01_ses-A", "sub-01_ses-B"]
    image_path(root, "sub-01_ses-A_T2starw").unlink()
    assert [s.label for s in choose(root).sessions] == ["sub-01_ses-B"]
