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
