"""How work ends."""

from cmb_bidsapp.core.outcome import Summary


def test_result_line():
    assert (
        str(Summary(ok=3, failed=1, skipped=2, code=75))
        == "CMB-BIDSAPP RESULT ok=3 failed=1 skipped=2 exit=75"
    )
