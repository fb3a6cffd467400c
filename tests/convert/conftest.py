"""The verb convert on a folder like the challenge's."""

import pytest

from cmb_bidsapp.cli import main
from tests.skeletons import result_of


@pytest.fixture
def valdo(tmp_path):
    return tmp_path / "valdo"


@pytest.fixture
def bids_dir(tmp_path):
    return tmp_path / "bids"


@pytest.fixture
def convert(valdo, bids_dir, capsys):
    """Run the verb; its code, what it counted, and what it said."""

    def run():
        code = main(["convert", "valdo", str(valdo), str(bids_dir)])
        said = capsys.readouterr()
        assert result_of(said.out)[3] == code
        return code, result_of(said.out)[:3], said.out + said.err

    return run
