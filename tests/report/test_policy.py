"""What the pages allow themselves: nothing from elsewhere, and no code made of text."""

import re

import pytest

from tests.documents import ROOT
from tests.report.heads import session_of, write_report

TEMPLATES = sorted((ROOT / "cmb_bidsapp" / "report" / "templates").glob("*.html"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_page_may_make_code_of_text_or_ask_anybody(path):
    text = path.read_text(encoding="utf-8")
    policies = re.findall(r'Content-Security-Policy" content="(.*?)"', text)
    for policy in policies:
        assert policy.startswith("default-src 'none'")
        assert "unsafe-eval" not in policy
        assert "http" not in policy
    # Scripts have no attributes: by their content alone the policy knows them when it is rendered.
    assert not re.search(r"<script (?!type=\"(application/json|text/plain)\")", text)
    assert not re.search(r"<[^>]*\son\w+=", text)
    whole_page = path.name in ("participant.html", "group.html", "evaluation.html")
    assert len(policies) == whole_page or path.name == "base.html"


def test_a_script_that_is_not_the_page_s_own_is_not_carried_out(tmp_path, finished, chromium):
    path = write_report(tmp_path, session_of(tmp_path))
    text = path.read_text(encoding="utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', text)
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    strange = "<script>document.body.dataset.strange = 1</script><img src=x onerror='strange()'>"
    path.write_text(text.replace("</main>", f"{strange}</main>"), encoding="utf-8")
    page = chromium.new_page(offline=True)
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(path.as_uri())
    assert page.evaluate("document.body.dataset.strange") is None
    assert sum("Content Security Policy" in text for text in refused) >= 2
    # The page's own are.
    page.get_by_role("button", name="Just looking").click()
    page.locator(".card .zoom").first.click()
    assert page.locator("#enlarged").is_visible()
    page.close()
