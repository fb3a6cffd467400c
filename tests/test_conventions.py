"""What holds of every module: its length, the names of its classes, what its functions say.

``cmb_bidsapp`` is read as text, as are the tests.
"""

import ast
import re
from collections import defaultdict

import pytest

from tests.documents import ROOT

PACKAGE = ROOT / "cmb_bidsapp"
#: Its rooms, and what stands before them.
ROOMS = sorted({path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")})
#: Lines of a module, and of a function with its docstring.
LONGEST, LONGEST_FUNCTION = 400, 110
#: Fields from which on a dataclass is made with their names: nobody can count commas for sure.
NAMED = 4
#: Files that people write.
TEXTS = {".css", ".html", ".js", ".md", ".py", ".sh", ".toml", ".tsv", ".yml"}

SECTION = re.compile(
    r"^Parameters\n-+\n(.*?)(?=\n\n(?:>>>|[A-Z][A-Za-z ]*\n-{3,})|\Z)", re.M | re.S
)


def public(body, prefix=""):
    """Public functions and methods, and those that make objects callable, by their names."""
    for node in body:
        name = prefix + getattr(node, "name", "")
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node.body, f"{name}.")
        if isinstance(node, ast.FunctionDef) and (
            node.name == "__call__" or not node.name.startswith("_")
        ):
            yield name, node


def parameters(function):
    """Names of a function's parameters, but those whose value nobody looks at."""
    given = function.args
    several = [one for one in (given.vararg, given.kwarg) if one is not None]
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, *several]
    names = [one.arg for one in every if one.arg not in ("self", "cls")]
    return [name for name in names if not name.startswith("_")]


def documented(function):
    """Names that the docstring has something to say of; ``None`` where it has no section."""
    found = SECTION.search(ast.get_docstring(function) or "")
    if found is None:
        return None
    heads = [line for line in found[1].splitlines() if line and not line.startswith(" ")]
    return [name.strip() for head in heads for name in head.split(",")]


@pytest.mark.parametrize("room", ROOMS)
def test_functions_of_two_parameters_or_more_say_what_each_is(room):
    silent = [
        f"{path.relative_to(PACKAGE)}: {name} ({', '.join(left)})"
        for path in sorted((PACKAGE / room).glob("*.py"))
        for name, function in public(ast.parse(path.read_text(encoding="utf-8")).body)
        if len(names := parameters(function)) > 1
        and (left := [one for one in names if one not in (documented(function) or ())])
    ]
    assert silent == []


def test_what_docstrings_say_is_said_of_parameters():
    unknown = [
        f"{path.relative_to(PACKAGE)}: {name} ({', '.join(more)})"
        for path in sorted(PACKAGE.rglob("*.py"))
        for name, function in public(ast.parse(path.read_text(encoding="utf-8")).body)
        if (more := set(documented(function) or ()) - set(parameters(function)))
    ]
    assert unknown == []


def test_no_two_public_classes_have_one_name():
    homes = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(path.relative_to(PACKAGE).as_posix())
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def dataclass_of(node):
    """The decorator that makes a class a dataclass, or ``None``."""
    for one in node.decorator_list:
        if ast.unparse(one).partition("(")[0] in ("dataclass", "dataclasses.dataclass"):
            return one
    return None


def given_fields(node):
    """Names of the fields that the constructor of a dataclass takes."""
    fields = [one for one in node.body if isinstance(one, ast.AnnAssign)]
    kept = [one for one in fields if "ClassVar" not in ast.unparse(one.annotation)]
    return [one.target.id for one in kept if "init=False" not in ast.unparse(one.value or one)]


def test_dataclasses_of_many_fields_are_made_with_their_names():
    positional = [
        f"{path.relative_to(PACKAGE)}: {node.name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and (made := dataclass_of(node)) is not None
        and len(given_fields(node)) >= NAMED
        and "kw_only=True" not in ast.unparse(made)
    ]
    assert positional == []


def test_no_module_is_long():
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for folder in (PACKAGE, ROOT / "tests", ROOT / "benchmarks")
        for path in folder.rglob("*.py")
    }
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}


def test_no_function_is_long():
    lengths = {
        f"{path.relative_to(PACKAGE)}: {node.name}": node.end_lineno - node.lineno + 1
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


def test_no_merge_is_left_half_done():
    # In a docstring or a page neither Python nor a formatter sees it.
    folders = [ROOT / name for name in ("cmb_bidsapp", "tests", "benchmarks", "docs", "container")]
    below = [path for folder in folders for path in folder.rglob("*.*") if path.suffix in TEXTS]
    mark = re.compile(r"^\s*(<{7}|>{7}) ", re.MULTILINE)
    pages = [*ROOT.glob("*.md"), *below]
    found = [str(path) for path in pages if mark.search(path.read_text(encoding="utf-8"))]
    assert found == []
