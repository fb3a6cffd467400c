"""What axe-core finds in a page; tests skip where its Python package is not installed."""

from importlib.resources import files

import pytest


def violations(page) -> list[str]:
    """What is wrong with a page as it stands, in one line each; unfolds all that is folded."""
    pytest.importorskip("axe_playwright_python")
    script = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => (one.open = true))")
    page.evaluate(script)
    found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['impact']}, {one['id']}: {one['nodes'][0]['html'][:100]}"
        for one in found["violations"]
    ]


#: Words of headings that are broken at a hyphen.
BROKEN = """() => [...document.querySelectorAll('thead th')].flatMap((head) => {
  const texts = document.createTreeWalker(head, NodeFilter.SHOW_TEXT), broken = [];
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    for (const { 0: word, index } of text.data.matchAll(/\\S+-\\S+/g)) {
      const range = document.createRange();
      range.setStart(text, index);
      range.setEnd(text, index + word.length);
      if (new Set([...range.getClientRects()].map(({ top }) => top)).size > 1) broken.push(word);
    }
  }
  return broken;
})"""


def broken_headings(page) -> list[str]:
    """Words of the headings of tables that go on in a second line after a hyphen."""
    return page.evaluate(BROKEN)
