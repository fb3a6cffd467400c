"""The methods in words: what was done, and only that, with its references."""

import re
from dataclasses import replace

import pytest

from cmb_bidsapp.anatomy.backends import BACKENDS
from cmb_bidsapp.report.methods import Facts, methods
from cmb_bidsapp.report.references import REFERENCES

FACTS = Facts(
    version="1.2.3",
    sessions=3,
    without_t1w=0,
    brain_extraction=("embedded",),
    anatomy_models=("anatomy-3",),
    parcellations=("embedded",),
    lesion_models=("lesions-4",),
    second_look=False,
    proxy_rules="paper",
    capsules="",
    mirrored=True,
    threshold=0.999,
    calibrated=True,
    cfpr=True,
    cfpr_mode="paper",
    cfpr_radius=2.0,
    cfpr_ratio=0.5,
    phase_rule="report",
    min_size=2.0,
    spaces=(),
)


def text(**changes):
    return " ".join(methods(replace(FACTS, **changes)).paragraphs)


def references(**changes):
    return " ".join(methods(replace(FACTS, **changes)).references)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"brain_extraction": ("embedded", "synthstrip"), "without_t1w": 1},
        {"parcellations": ("FreeSurfer (7.4.1)", "SynthSeg"), "capsules": "JHU.nii.gz"},
        {"parcellations": ("sMRIPrep (fMRIPrep 24.1.1)",), "proxy_rules": "reference"},
        {"parcellations": ("FastSurfer (2.4.2)",), "calibrated": False, "cfpr": False},
    ],
)
def test_what_is_cited_is_in_the_references_and_nothing_else(changes):
    found = methods(replace(FACTS, **changes))
    told = " ".join(found.paragraphs)
    made_by = [
        reference for one in BACKENDS.values() for own in one.cite.values() for reference in own
    ]
    cited = {
        one
        for one in (*REFERENCES.values(), *made_by)
        if one.short in told or re.sub(r", (\d+)$", r" (\1)", one.short) in told
    }
    assert list(found.references) == sorted(one.full for one in cited)
    assert len(cited) >= 8
    assert "  " not in told
    assert "{" not in told


def test_the_numbers_of_the_settings_are_told():
    told = text(threshold=0.3, cfpr_radius=3.5, cfpr_ratio=0.25, min_size=1.5)
    assert "cmb_bidsapp 1.2.3" in told
    assert "peak probability of at least 0.3, extended to a probability of 0.3" in told
    assert "less than 0.25 of their periphery (3.5 mm, paper mode)" in told
    assert "in-plane diameter of 1.5 to 10 mm" in told
    assert "extended to a probability of 0.5" in text()


def test_without_a_t1w_none_is_told_of():
    assert "In 3 of 3 sessions, no T1-weighted image was available" in text(without_t1w=3)
    assert "rigidly registered" not in text(without_t1w=3)
    assert "rigidly registered" in text(without_t1w=2)
    assert "no T1-weighted image" not in text()


def test_what_was_not_used_is_not_cited():
    assert "SynthStrip" not in text() + references()
    assert "SynthStrip (Hoopes et al., 2022)" in text(brain_extraction=("synthstrip",))
    reused = text(parcellations=("FreeSurfer (7.4.1)",))
    assert "produced by FreeSurfer (7.4.1) (Fischl, 2012)" in reused
    assert "nonlinearly registered" not in reused
    assert "produced by somebody else." in text(parcellations=("somebody else",))


def test_what_is_switched_off_is_told():
    assert "switched off" in text(cfpr=False)
    assert "mirrored" not in text(mirrored=False)
    assert "Poisson-binomial" not in text(calibrated=False)
    assert "Images were also resampled to MNI152NLin6Asym" in text(spaces=("MNI152NLin6Asym",))


def test_it_says_what_it_is_not():
    assert text().count("imaging summary, not a diagnosis") == 1
    assert "not by a rater" in text()


def test_as_a_file_it_has_both_parts_and_no_accidental_emphasis():
    file = methods(FACTS).to_markdown()
    assert file.startswith("# Methods\n\nCerebral microbleeds")
    assert "\n\n# References\n\n- Avants" in file
    assert not re.search(r"(?<!\\)\*", file)
    assert r"T2\*-weighted" in file


def test_a_second_look_is_told_where_there_was_one():
    told, untold = text(second_look=True), text(second_look=False)
    assert "In a second look" in told
    assert "second look" not in untold


def test_rejection_by_the_phase_is_told():
    assert "diamagnetic" not in text()
    assert "candidates that it showed to be diamagnetic were rejected" in text(phase_rule="reject")
