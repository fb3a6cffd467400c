"""From what is asked for, and what a machine has, to settings."""

import pytest

from cmb_bidsapp.core.errors import UsageError
from tests.options.lines import EVERYTHING, settings_of


def test_memory_may_be_given_in_gb(place):
    words = ("bids", "out", "participant", "--omp-nthreads", "1")
    assert settings_of(*words, "--mem-gb", "12.5").resources.memory_mb == 12800
    assert settings_of(*words, "--mem-gb", "12.5").resources.processes == 3
    with pytest.raises(UsageError) as caught:
        settings_of(*words, "--mem-gb", "0", "--mem", "8G")
    assert str(caught.value).splitlines() == [
        "--mem and --mem-gb cannot be combined; give only one",
        "--mem-gb 0.0: expected more than 0 GB",
    ]


def test_low_mem_is_one_session_at_a_time(place):
    words = ("bids", "out", "participant", "--omp-nthreads", "2")
    assert settings_of(*words).resources.processes == 4
    lean = settings_of(*words, "--low-mem").resources
    assert (lean.processes, lean.threads) == (1, 2)
    assert "--low-mem" in lean.reason


def test_resolving_prints_nothing(place, capsys):
    settings_of(*EVERYTHING)
    assert capsys.readouterr() == ("", "")
