import dataclasses
import json

import pytest

from cmb_bidsapp.core.errors import ExitCode, ModelError
from cmb_bidsapp.models.card import card_of, read_card, write_card
from cmb_bidsapp.models.registry import load_card

DIGEST = "0" * 64


@pytest.fixture
def plain():
    return json.loads(json.dumps(dataclasses.asdict(load_card("lesions"))))


@pytest.mark.parametrize("name", ["anatomy", "lesions"])
def test_a_card_comes_back_as_it_was_written(name, tmp_path):
    card = load_card(name)
    write_card(tmp_path / "model.json", card)
    assert read_card(tmp_path / "model.json") == card


def test_a_card_may_have_a_calibration(plain, tmp_path):
    calibration = {"knots": [[0.9, 0.2], [0.99, 0.2], [0.999, 1]], "method": "isotonic"}
    card = card_of({**plain, "calibration": calibration}, tmp_path)
    write_card(tmp_path / "model.json", card)
    assert read_card(tmp_path / "model.json").calibration == calibration


def test_a_card_without_a_calibration_does_not_mention_one(plain, tmp_path):
    write_card(tmp_path / "model.json", card_of({**plain, "calibration": {}}, tmp_path))
    assert "calibration" not in json.loads((tmp_path / "model.json").read_text())


def test_a_card_of_an_earlier_version_keeps_its_license(plain, tmp_path):
    del plain["license"]
    card = card_of({**plain, "licence": "MIT"}, tmp_path)
    assert card.license == "MIT"
    write_card(tmp_path / "model.json", card)
    assert json.loads((tmp_path / "model.json").read_text())["license"] == "MIT"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("name", None, "name must be"),
        ("name", "two\nlines", "name must be"),
        ("version", 2, "version must be"),
        ("license", " ", "license must be"),
        ("training_data", [], "training_data must be"),
        ("trainer", None, "trainer must be"),
        ("task", "brains", "anatomy or lesions"),
        ("spacing", [1.0], "spacing must be"),
        ("spacing", [1.0, -1.0, 1.0], "spacing must be"),
        ("spacing", [1.0, float("inf"), 1.0], "spacing must be"),
        ("spacing", [1.0, 1.0, 10**400], "spacing must be"),
        ("spacing", "111", "spacing must be"),
        ("channels", [], "channels must be"),
        ("channels", [1, 2], "channels must be"),
        ("labels", {"background": 0, "CMB": 2}, "labels must number"),
        ("labels", {"CMB": 0}, "labels must number"),
        ("metrics", [], "metrics must be"),
        ("files", {"plans.json": DIGEST}, "SHA-256 of weights.pt"),
        ("files", {"weights.pt": "abc"}, "64 hexadecimal digits"),
        ("files", {"weights.pt": DIGEST, "../plans.json": DIGEST}, "'../plans.json' is not"),
        ("files", {"weights.pt": DIGEST, "/etc/passwd": DIGEST}, "'/etc/passwd' is not"),
        ("files", {"weights.pt": DIGEST, "..": DIGEST}, "'..' is not"),
        ("nominal_slice_mm", 3.0, "a value of spacing"),
        ("configuration", "", "configuration must"),
        ("mirror_axes", [3], "mirror_axes must"),
        ("mirror_axes", [1.0], "mirror_axes must"),
        ("mirror_axes", [1, 1], "mirror_axes must"),
        ("calibration", [], "calibration must"),
        ("calibration", {"method": "isotonic"}, "calibration must"),
        ("calibration", {"knots": []}, "calibration must"),
        ("calibration", {"knots": [0.9, 0.5]}, "calibration must"),
        ("calibration", {"knots": [[0.9, 0.5, 0.1]]}, "calibration must"),
        ("calibration", {"knots": [[0.9, 1.5]]}, "calibration must"),
        ("calibration", {"knots": [[0.9, float("nan")]]}, "calibration must"),
        ("calibration", {"knots": [[0.9, 0.5], [0.9, 0.6]]}, "calibration must"),
        ("calibration", {"knots": [[0.9, 0.5], [0.99, 0.4]]}, "calibration must"),
    ],
)
def test_what_is_wrong_in_a_card_is_said_in_one_line(plain, tmp_path, key, value, said):
    path = tmp_path / "model.json"
    with pytest.raises(ModelError, match=said) as caught:
        card_of({**plain, key: value}, path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.code == ExitCode.CONFIG


@pytest.mark.parametrize(
    "key", ["name", "spacing", "channels", "labels", "files", "metrics", "nominal_slice_mm"]
)
def test_a_card_lacks_nothing(plain, tmp_path, key):
    del plain[key]
    with pytest.raises(ModelError, match=key):
        card_of(plain, tmp_path)


def test_all_problems_of_a_card_are_said_at_once(plain, tmp_path):
    with pytest.raises(ModelError, match=r"name.*spacing.*mirror_axes"):
        card_of({**plain, "name": 1, "spacing": 1, "mirror_axes": 1}, tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff", "[" * 100_000])
def test_a_card_that_is_no_json_object_is_refused(tmp_path, text):
    path = tmp_path / "model.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ModelError, match="JSON"):
        read_card(path)


@pytest.mark.parametrize(
    "architecture",
    [{}, {"features": [1], "convolutions": [1, 1]}, {"features": "ab", "convolutions": [1, 1]}],
)
def test_an_anatomy_card_describes_its_network(tmp_path, architecture):
    plain = dataclasses.asdict(load_card("anatomy"))
    with pytest.raises(ModelError, match="architecture"):
        card_of({**plain, "architecture": architecture}, tmp_path)
