"""Pages that are one file, and what they have room for."""

import numpy as np
import pytest

from cmb_bidsapp.report.pages import SizeBudget, picture
from cmb_bidsapp.report.painting import save


def test_room_is_taken_until_it_is_gone(tmp_path):
    path = save(np.zeros((8, 8, 3), np.uint8), tmp_path / "a.webp")
    size = len(picture(path))
    room = SizeBudget(2 * size)
    assert room.picture(tmp_path / "none.webp") is None
    assert [room.picture(path) is None for _ in range(4)] == [False, False, True, True]
    assert (room.left, room.left_out) == (0, 2)


@pytest.mark.parametrize(("name", "kind"), [("a.png", "png"), ("a.webp", "webp")])
def test_pictures_are_what_their_name_tells(tmp_path, name, kind):
    path = save(np.zeros((8, 8, 3), np.uint8), tmp_path / name)
    assert picture(path).startswith(f"data:image/{kind};base64,")
    magic = {"png": b"\x89PNG", "webp": b"RIFF"}[kind]
    assert path.read_bytes().startswith(magic)
