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


#: Words of elements that go on in a second line; those with hyphens may.
BROKEN = """([selector, word]) => [...document.querySelectorAll(selector)].flatMap((one) => {
  const texts = document.createTreeWalker(one, NodeFilter.SHOW_TEXT), broken = [];
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    for (const { 0: found, index } of text.data.matchAll(new RegExp(word, "g"))) {
      const range = document.createRange();
      range.setStart(text, index);
      range.setEnd(text, index + found.length);
      if (new Set([...range.getClientRects()].map(({ top }) => top)).size > 1) broken.push(found);
    }
  }
  return broken;
})"""


def broken_words(page, selector, word=r"\S+-\S+") -> list[str]:
    """Words with a hyphen that go on in a second line after it.

    Parameters
    ----------
    page
        As it stands.
    selector
        Of the elements that are looked at.
    word
        Regular expression of the words.
    """
    found: list[str] = page.evaluate(BROKEN, [selector, word])
    return found
