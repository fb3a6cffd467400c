"""Tests mirror the package, so that who changes a module finds its tests.

``cmb_bidsapp/ROOM/NAME.py`` is tested by ``tests/ROOM/test_NAME.py``, or, where they are many, by
several ``tests/ROOM/test_NAME_PART.py``. No file of its own needs what does nothing: constants,
types, protocols. Nor does a module all of whose functions show what they do in a doctest.
"""

import ast
from pathlib import Path

import pytest

from tests.documents import ROOT

PACKAGE, TESTS = ROOT / "cmb_bidsapp", ROOT / "tests"
MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py"
}
#: Scripts of the pages, which browsers test.
TEMPLATES = {f"report/{path.stem}" for path in (PACKAGE / "report" / "templates").iterdir()}
FILES = sorted(path.relative_to(TESTS) for path in TESTS.rglob("test_*.py"))

#: Modules that are tested through another one: which test does it, and why.
ELSEWHERE = {
    "anatomy/backend": ("anatomy/test_backends.py", "the protocol that a toy backend fulfills"),
    "convert/request": ("options/test_verbs.py", "made of command lines alone"),
    "core/request": ("options/test_verbs.py", "made of command lines alone"),
    "evaluation/request": ("options/test_verbs.py", "made of command lines alone"),
    "levels/request": ("options/test_verbs.py", "made of command lines alone"),
    "sensitivity/request": ("options/test_verbs.py", "made of command lines alone"),
    "train/request": ("options/test_train.py", "made of command lines alone"),
    "evaluation/columns": ("evaluation/test_tables.py", "words for the columns of the tables"),
    "evaluation/results": ("evaluation/test_summary.py", "what summaries are made of"),
    "options/adapt": ("options/test_verbs.py", "all verbs have the same tests"),
    "options/common": ("options/test_verbs.py", "options that several verbs have"),
    "options/doctor": ("options/test_verbs.py", "all verbs have the same tests"),
    "options/running": ("options/test_parser.py", "a part of the app's options"),
    "options/sensitivity": ("options/test_verbs.py", "all verbs have the same tests"),
    "report/evaluation": ("levels/test_evaluation.py", "puts blocks and figures into a page"),
    "workflow": ("test_end_to_end.py", "every line of it is a step with tests of its own"),
}

#: Tests of no single module, by folder or file: what they are of.
TOGETHER = {
    "container": "images and their documents",
    "gpu": "a machine with a GPU",
    "faults": "the program on a machine, and with inputs, that fail it",
    "callers/test_babs.py": "the files of callers/",
    "callers/test_documents.py": "the files of callers/",
    "callers/test_nipoppy.py": "the files of callers/",
    "phases/test_versions.py": "the code that phases reach",
    "report/test_policy.py": "the templates",
    "report/test_print.py": "the templates, in a browser",
    "test_benchmark_domain_gap.py": "benchmarks/",
    "test_benchmark_real.py": "benchmarks/",
    "test_benchmark_valdo_training.py": "benchmarks/",
    "test_conventions.py": "the package",
    "test_documents.py": "docs/",
    "test_end_to_end.py": "the program",
    "test_layout.py": "the tests",
}


def module_of(path: Path) -> str | None:
    """The module or template that a test file is named after; of several the longest name."""
    words = path.stem.split("_")[1:]
    names = ("_".join(words[:end]) for end in range(len(words), 0, -1))
    modules = ((path.parent / name).as_posix() for name in names)
    return next((one for one in modules if one in MODULES or one in TEMPLATES), None)


def untested_functions(module: str) -> list[str]:
    """Public functions, and methods of classes but protocols, that do something unshown."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    found = []
    for node in tree.body:
        bases = {ast.unparse(base) for base in getattr(node, "bases", ())}
        functions = [node] if isinstance(node, ast.FunctionDef) else []
        if isinstance(node, ast.ClassDef) and "Protocol" not in bases:
            functions = [one for one in node.body if isinstance(one, ast.FunctionDef)]
        found += [
            function.name
            for function in functions
            if ">>>" not in (ast.get_docstring(function) or "")
            and not (function in tree.body and function.name.startswith("_"))
        ]
    return found


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_tests_of_its_name(module):
    if module in {module_of(path) for path in FILES}:
        assert module not in ELSEWHERE, "it has tests of its own: no exception is needed"
    elif module in ELSEWHERE:
        path, reason = ELSEWHERE[module]
        assert (TESTS / path).is_file(), reason
    else:
        room, _, name = module.rpartition("/")
        expected = Path("tests", room, f"test_{name}.py")
        assert untested_functions(module) == [], f"{expected} is expected"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_every_test_file_is_of_a_module(path):
    together = {path.as_posix(), path.parts[0]} & TOGETHER.keys()
    assert (module_of(path) is None) == bool(together)


def test_every_exception_is_of_something_that_is_there():
    assert ELSEWHERE.keys() <= MODULES.keys()
    assert all((TESTS / name).exists() for name in TOGETHER)
