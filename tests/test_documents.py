"""What the documents say of files and commands holds: links lead somewhere, commands are ones."""

import re
import shlex

import pytest

from cmb_bidsapp.core.errors import ExitCode
from cmb_bidsapp.options.adapt import adapt_parser
from cmb_bidsapp.options.doctor import doctor_parser
from cmb_bidsapp.options.parser import build_parser
from cmb_bidsapp.options.request import positionals_of
from cmb_bidsapp.options.sensitivity import sensitivity_parser
from cmb_bidsapp.options.train import train_parser
from cmb_bidsapp.options.verbs import (
    convert_parser,
    demo_parser,
    evaluate_parser,
    simulate_parser,
    slurm_parser,
)
from tests.documents import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]

#: How the verbs' command lines are parsed, without a look at the machine.
VERBS = {
    "demo": demo_parser().parse_args,
    "simulate": simulate_parser().parse_args,
    "convert": convert_parser().parse_args,
    "train": train_parser().parse_args,
    "evaluate": evaluate_parser().parse_intermixed_args,
    "sensitivity": sensitivity_parser().parse_args,
    "adapt": adapt_parser().parse_args,
    "doctor": doctor_parser().parse_args,
    "slurm": lambda words: build_parser().parse_args(slurm_parser().parse_known_args(words)[1]),
}


def anchors_of(text):
    """Anchors of the headings of a page, as they are made on web pages of repositories."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors_of(there.read_text()), f"{page.name}: {target}"


def commands_of(page):
    """Command lines of the app in the shell blocks of a page."""
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            # A loop counts in a variable.
            words = shlex.split(line.replace("$fold", "1"), comments=True)
            if words and words[0] == "cmb_bidsapp":
                yield words[1:]


COMMANDS = [(page.name, words) for page in PAGES for words in commands_of(page)]


def test_there_are_commands():
    assert len(COMMANDS) > 50


@pytest.mark.parametrize(
    ("page", "words"), COMMANDS, ids=[f"{page}-{' '.join(words)[:40]}" for page, words in COMMANDS]
)
def test_commands_can_be_typed(page, words):
    if words[0] in VERBS:
        VERBS[words[0]](words[1:])
    elif "--config-file" in words and not positionals_of(words):
        build_parser().parse_args(["bids", "out", "group", *words])
    elif words not in (["--help"], ["--version", "--long"]):
        build_parser().parse_args(words)


def test_every_page_is_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {page for page in pages if f"({page})" not in index} == set()


def test_the_exit_codes_are_those_of_the_program():
    text = (ROOT / "docs" / "outputs.md").read_text().partition("## Exit codes")[2]
    told = {
        int(code): meaning for code, meaning in re.findall(r"^\| (\d+) \| (.*) \|$", text, re.M)
    }
    assert told == {int(code): code.meaning for code in ExitCode}
