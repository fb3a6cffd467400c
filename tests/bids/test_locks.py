import threading

import pytest

from cmb_bidsapp.bids.locks import locked


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    path = tmp_path / "locks" / "a.lock"
    order = []

    def second():
        with locked(path):
            order.append("second")

    with locked(path):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.05)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


def test_a_lock_is_free_again_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path / "a.lock"):
        raise RuntimeError
    with locked(tmp_path / "a.lock"):
        pass
