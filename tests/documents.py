"""Commands that the documents show, for tests that run them as a reader would."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def blocks(document: str, word: str = "") -> list[str]:
    """Shell blocks of a document in which a word occurs."""
    text = (ROOT / document).read_text()
    found = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [block for block in found if word in block]
