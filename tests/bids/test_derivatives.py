import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles, raw_uri


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("t2star", "desc-preproc_T2starw.nii.gz"),
        ("t2star_brain", "space-T2starw_desc-brain_mask.nii.gz"),
        ("t1w", "desc-preproc_T1w.nii.gz"),
        ("t1w_brain", "space-T1w_desc-brain_mask.nii.gz"),
        ("t1w_on_t2star", "space-T2starw_desc-preproc_T1w.nii.gz"),
        ("transform", "from-T1w_to-T2starw_mode-image_xfm.txt"),
        ("structures", "space-T2starw_res-2mm_desc-structures_dseg.nii.gz"),
        ("proxy", "space-T2starw_desc-proxy_dseg.nii.gz"),
        ("network_labels", "space-T2starw_desc-nnunet_dseg.nii.gz"),
        ("probability", "space-T2starw_label-CMB_probseg.nii.gz"),
        ("raw_mask", "space-T2starw_label-CMB_desc-raw_mask.nii.gz"),
        ("mask", "space-T2starw_label-CMB_mask.nii.gz"),
        ("instances", "space-T2starw_desc-CMBinstances_dseg.nii.gz"),
        ("lesions", "label-CMB_lesions.tsv"),
        ("mars_form", "label-CMB_mars.tsv"),
        ("summary", "label-CMB_summary.tsv"),
    ],
)
def test_derivatives_of_a_session(tmp_path, attribute, name):
    plain = getattr(SessionFiles(tmp_path, "01", None), attribute)
    assert plain == tmp_path / "sub-01" / "anat" / f"sub-01_{name}"
    later = getattr(SessionFiles(tmp_path, "01", "B"), attribute)
    assert later == tmp_path / "sub-01" / "ses-B" / "anat" / f"sub-01_ses-B_{name}"


def test_all_derivatives_of_all_sessions_have_names_of_their_own(tmp_path):
    # A label is no path, and what tells of all sessions is the same for each.
    others = {"label", "tracks", "changes"}
    paths = []
    for session in (None, "A", "B"):
        files = SessionFiles(tmp_path, "01", session)
        properties = [k for k, v in vars(SessionFiles).items() if isinstance(v, property)]
        paths += [getattr(files, name) for name in properties if name not in others]
        paths += [files.parcellation(space) for space in ("T1w", "T2starw")]
        paths += [files.stamp("prepare"), files.stamp("finish"), files.figure("a")]
    assert len(set(paths)) == len(paths)


def test_labels_uris_and_other_files(tmp_path):
    files = SessionFiles(tmp_path, "01", "A")
    assert files.label == "sub-01_ses-A"
    assert SessionFiles(tmp_path, "01", None).label == "sub-01"
    assert files.uri(files.mask) == (
        "bids::sub-01/ses-A/anat/sub-01_ses-A_space-T2starw_label-CMB_mask.nii.gz"
    )
    assert files.figure("cmb") == tmp_path / "sub-01/figures/sub-01_ses-A_desc-cmb.webp"
    assert files.stamp("prepare").is_relative_to(tmp_path / "logs")
    assert raw_uri(tmp_path, tmp_path / "sub-01" / "a.nii.gz") == "bids:raw:sub-01/a.nii.gz"
