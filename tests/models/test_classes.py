from pathlib import Path

import pytest

from cmb_bidsapp.core.errors import ExitCode, ModelError
from cmb_bidsapp.core.labels import PROXY
from cmb_bidsapp.models.classes import channels_of, classes_of, labels_of

PATH = Path("model/dataset.json")
REGIONS = {"lobar": 1, "deep": 2, "infratentorial": 3}


@pytest.mark.parametrize(
    ("names", "contrasts"),
    [
        (["T2starw", "T1w"], ("T2starw", "T1w")),
        (["t1", "SWI"], ("T1w", "T2starw")),
        (["T1W", "t2*"], ("T1w", "T2starw")),
        (["gre"], ("T2starw",)),
        ([" T2S "], ("T2starw",)),
    ],
)
@pytest.mark.parametrize("key", ["channel_names", "modality"])
def test_channels_are_known_by_many_names(names, contrasts, key):
    dataset = {key: {str(number): name for number, name in enumerate(names)}}
    assert channels_of(dataset, PATH) == contrasts


@pytest.mark.parametrize(
    "names",
    [["FLAIR"], ["T2starw", "FLAIR"], ["T1w"], ["SWI", "T2starw"], [], ["T2starw", "T1", "T1w"]],
)
def test_other_channels_are_refused_with_what_is_expected(names):
    dataset = {"channel_names": {str(number): name for number, name in enumerate(names)}}
    with pytest.raises(ModelError, match=r"T2starw, T2S, T2\*, SWI or GRE.*T1w or T1") as caught:
        channels_of(dataset, PATH)
    assert all(repr(name) in str(caught.value) for name in names)


@pytest.mark.parametrize("channels", [None, ["T2starw"], {"1": "T2starw"}, {"T2starw": 0}])
def test_channels_without_their_numbers_are_refused(channels):
    with pytest.raises(ModelError, match="channel_names"):
        channels_of({"channel_names": channels}, PATH)


def test_the_ignored_label_is_no_channel():
    labels = {"background": 0, "CMB": 1, "ignore": 2}
    assert labels_of({"labels": labels}, PATH) == {"background": 0, "CMB": 1}


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ({"labels": {"background": 0, "CMB": [1, 2]}}, "region-based"),
        ({"labels": {"background": 0, "CMB": 1}, "regions_class_order": [1]}, "region-based"),
        ({"labels": {"background": 0, "CMB": 2}}, "number the classes"),
        ({"labels": {"background": 0, "a": 1, "CMB": 1}}, "number the classes"),
        ({"labels": {"CMB": 0}}, "number the classes"),
        ({"labels": {"background": 0, "CMB": "1"}}, "number the classes"),
        ({"labels": {"background": 0, "CMB": 1, "ignore": 9}}, "highest label"),
        ({"labels": {"background": 0, "CMB": 1, "ignore": "2"}}, "highest label"),
        ({"labels": ["background", "CMB"]}, "number the classes"),
        ({}, "number the classes"),
    ],
)
def test_other_labels_are_refused(dataset, said):
    with pytest.raises(ModelError, match=said) as caught:
        labels_of(dataset, PATH)
    assert caught.value.code == ExitCode.CONFIG
    assert str(PATH) in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "cmb", "regions"),
    [
        ({**PROXY, "CMB": 4}, 4, {1: 1, 2: 2, 3: 3}),
        ({"background": 0, "Microbleeds": 1}, 1, {}),
        ({"background": 0, "bleed": 1}, 1, {}),
        ({"background": 0, "lesion": 1, "mimic": 2}, 1, {}),
        ({"background": 0, "lesion": 1, "CMB": 2}, 2, {}),
        (
            {"background": 0, "cmb": 1, "Infratentorial": 2, "DEEP": 3, "mimic": 4, "Lobar": 5},
            1,
            {1: 5, 2: 3, 3: 2},
        ),
        # Two of three regions would make CFPR reject what lies in the third.
        ({"background": 0, "lobar": 1, "deep": 2, "CMB": 3}, 3, {}),
    ],
)
def test_classes_are_found_by_name(labels, cmb, regions):
    found = classes_of(labels, PATH)
    assert (found.cmb, dict(found.regions)) == (cmb, regions)


@pytest.mark.parametrize(
    "labels",
    [
        {"background": 0},
        {"background": 0, "lobar": 1},
        {"background": 0, "bleed": 1, "mimic": 2},
        {"background": 0, "CMB": 1, "cmb": 2},
        {"background": 0, "cmb": 1, "cmbs": 2},
    ],
)
def test_without_one_class_of_microbleeds_a_model_is_refused(labels):
    with pytest.raises(ModelError, match="expected one named CMB, microbleed or lesion"):
        classes_of(labels, PATH)
