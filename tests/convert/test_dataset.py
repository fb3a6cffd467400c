"""The converted dataset."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.cli import main
from tests.convert.folders import (
    RAW,
    head,
    image,
    participant,
    sidecar,
)
from tests.skeletons import tree


def test_integers_stay_integers_and_fractions_fractions(valdo, bids_dir, convert):
    participant(valdo, T1=head(1) / 7)
    assert convert()[0] == 0
    assert image(bids_dir, RAW, "101", "T2starw").get_data_dtype() == np.int16
    assert image(bids_dir, RAW, "101", "T1w").get_data_dtype() == np.float32


def test_cohorts_and_their_field_strengths(valdo, bids_dir, convert):
    for label in ("301", "101", "204"):
        participant(valdo, label)
    assert convert()[:2] == (0, (3, 0, 0))
    rows = read_table(bids_dir / "participants.tsv")
    assert rows == [
        {"participant_id": "sub-101", "cohort": "SABRE"},
        {"participant_id": "sub-204", "cohort": "RSS"},
        {"participant_id": "sub-301", "cohort": "ALFA"},
    ]
    columns = json.loads((bids_dir / "participants.json").read_text())
    assert set(columns) == {"participant_id", "cohort"}
    strengths = [
        sidecar(bids_dir, RAW, label, "T2starw")["MagneticFieldStrength"]
        for label in ("101", "204", "301")
    ]
    assert strengths == [3, 1.5, 3]


def test_a_number_of_no_study_states_no_field_strength(valdo, bids_dir, convert):
    participant(valdo, "9")
    assert "no number of a known study" in convert()[2]
    assert "MagneticFieldStrength" not in sidecar(bids_dir, RAW, "9", "T2starw")
    assert read_table(bids_dir / "participants.tsv")[0]["cohort"] == "n/a"


def test_what_somebody_added_to_the_dataset_stays(valdo, bids_dir, convert):
    participant(valdo, "102")
    convert()
    table = bids_dir / "participants.tsv"
    table.write_text("participant_id\tage\tcohort\nsub-102\t70\tSABRE\n")
    (bids_dir / "README.md").write_text("mine")
    participant(valdo, "101")
    convert()
    assert read_table(table) == [
        {"participant_id": "sub-101", "age": "n/a", "cohort": "SABRE"},
        {"participant_id": "sub-102", "age": "70", "cohort": "SABRE"},
    ]
    assert (bids_dir / "README.md").read_text() == "mine"


def test_a_damaged_table_is_bad_data(valdo, bids_dir, convert):
    participant(valdo)
    convert()
    (bids_dir / "participants.tsv").write_text("who\nme\n")
    code, _, said = convert()
    assert code == 65
    assert "participants.tsv: lacks participant_id" in said


def test_a_dataset_of_others_is_not_written_into(valdo, bids, capsys):
    participant(valdo)
    before = tree(bids)
    assert main(["convert", "valdo", str(valdo), str(bids)]) == 2
    assert "contains another dataset" in capsys.readouterr().err
    assert tree(bids) == before


def test_the_bids_validator_finds_no_error(valdo, bids_dir, convert):
    validator = Path(sys.executable).with_name("bids-validator-deno")
    if not validator.exists():
        pytest.skip("bids-validator-deno is not installed")
    dirty = head(1)
    dirty[0, 0, 0] = np.nan
    for label in ("101", "204", "77"):
        participant(valdo, label, T1=dirty)
    assert convert()[0] == 0
    for folder in (bids_dir, bids_dir / "derivatives" / "valdo"):
        done = subprocess.run(
            [str(validator), str(folder), "--json"], capture_output=True, text=True, check=False
        )
        issues = json.loads(done.stdout)["issues"]["issues"]
        assert [issue for issue in issues if issue["severity"] == "error"] == []
