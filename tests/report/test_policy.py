"""What the pages allow themselves: nothing from elsewhere, and no code made of text."""

import re

import pytest

from tests.documents import ROOT

TEMPLATES = sorted((ROOT / "cmb_bidsapp" / "report" / "templates").glob("*.html"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_page_may_make_code_of_text_or_ask_anybody(path):
    text = path.read_text(encoding="utf-8")
    policies = re.findall(r'Content-Security-Policy" content="(.*?)"', text)
    for policy in policies:
        assert policy.startswith("default-src 'none'")
        assert "unsafe-eval" not in policy
        assert "http" not in policy
    whole_page = path.name in ("participant.html", "group.html", "evaluation.html")
    assert len(policies) == whole_page or path.name == "base.html"
