"""Which of what is logged can be seen."""

import subprocess
import sys

import pytest

CODE = """
import logging, sys
from cmb_bidsapp.core.logs import show_logs
show_logs(int(sys.argv[1]))
for name in ("library", "cmb_bidsapp.bids"):
    for word in ("warning", "info", "debug"):
        getattr(logging.getLogger(name), word)("%s of it", word)
"""


@pytest.mark.parametrize(("verbosity", "library", "own"), [(0, 1, 1), (1, 2, 2), (2, 2, 3)])
def test_more_is_seen_with_verbosity(verbosity, library, own):
    # A process of its own: pytest has handlers already.
    command = [sys.executable, "-c", CODE, str(verbosity)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    assert told == [
        f"{word.upper()} {name}: {word} of it"
        for name, seen in (("library", library), ("cmb_bidsapp.bids", own))
        for word in ("warning", "info", "debug")[:seen]
    ]
