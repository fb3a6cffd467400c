"""A participant with results."""

import pytest

from tests.report.heads import finish_session, session_of, write_report


@pytest.fixture
def finished(tmp_path):
    """Derivatives of one session; gives its files."""
    return finish_session(tmp_path)


@pytest.fixture
def report(tmp_path, finished):
    """The report of that session, as text."""
    return write_report(tmp_path, session_of(tmp_path)).read_text()
