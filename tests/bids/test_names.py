"""Names are parsed by pybids; what it would overlook is not lost."""

import pytest

from cmb_bidsapp.bids.names import entity_names, long_name, parse_name


def test_an_index_keeps_its_zeros():
    assert parse_name("sub-01_ses-A_run-02_echo-1_MEGRE.nii.gz") == {
        "subject": "01",
        "session": "A",
        "run": "02",
        "echo": "1",
        "suffix": "MEGRE",
        "extension": ".nii.gz",
    }


@pytest.mark.parametrize("name", ["", "x", ".nii", "T1w.nii", "sub-_T1w.nii", "sub-01.nii", "a/b"])
def test_any_name_can_be_parsed(name):
    assert "subject" not in parse_name(name) or name == "sub-01.nii"


def test_labels_that_bids_does_not_allow_are_not_cut():
    named = parse_name("sub-a-b_ses-1 2_part-pha_T2starw.nii")
    assert [named[key] for key in ("subject", "session", "part")] == ["a-b", "1 2", "pha"]


@pytest.mark.parametrize(
    ("key", "name"),
    [("sub", "subject"), ("acq", "acquisition"), ("ce", "ceagent"), ("nothing", None), ("", None)],
)
def test_short_keys_have_long_names(key, name):
    assert long_name(key) == name


def test_entities_are_those_of_pybids_and_no_folders():
    assert {"subject", "acquisition", "run", "suffix", "datatype"} <= set(entity_names())
    assert not {"scans", "fmap"} & set(entity_names())
