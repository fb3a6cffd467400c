"""What computes the results of each phase, found by reading the code, beside the record of it.

From the function of a phase every definition of the package is followed that its text names, then
what that one names, and so on. A module's hash is that of the syntax of its definitions that are
reached: comments, docstrings, annotations and the order of definitions do not count.

``python -m tests.phases.reached`` renews the record, ``reached.tsv``.
"""

from __future__ import annotations

import argparse
import ast
import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = "cmb_bidsapp"
ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).with_suffix(".tsv")

#: Statements that bind names to definitions elsewhere.
IMPORTS = (ast.Import, ast.ImportFrom)

#: Fields of syntax that compute nothing, some of which not every version of Python has.
SILENT = {"ctx", "kind", "returns", "type_comment"}


class State(NamedTuple):
    """Version of a phase, and the hashes of what it reaches, by module."""

    version: int
    hashes: Mapping[str, str]


class Code:
    """The package in a folder, as text."""

    def __init__(self, root: Path) -> None:
        found = {path.relative_to(root).with_suffix(""): path for path in root.rglob("*.py")}
        self.modules = {
            ".".join(name.parts).removesuffix(".__init__"): path
            for name, path in found.items()
            if name.parts[0] == PACKAGE
        }
        self.tables = {path.name: path for path in (root / PACKAGE).rglob("*.tsv")}
        self.tree, self.definitions = cache(self._tree), cache(self._definitions)
        self.imports, self.names = cache(self._imports), cache(self._names)
        self.text = cache(self._text)

    def _tree(self, module: str) -> ast.Module:
        return ast.parse(self.modules[module].read_text(encoding="utf-8"))

    def _definitions(self, module: str) -> Mapping[str, list[ast.stmt]]:
        """Statements at the top of a module, by the names that they bind."""
        found: dict[str, list[ast.stmt]] = {}
        for node in self.tree(module).body:
            for name in bound(node):
                found.setdefault(name, []).append(node)
        return found

    def _imports(self, module: str) -> Mapping[str, tuple[str, str]]:
        """Module and name that each imported name stands for, those inside functions included."""
        return {
            alias.asname or alias.name: (node.module or "", alias.name)
            for node in ast.walk(self.tree(module))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }

    def _names(self, module: str, name: str) -> set[str]:
        """Names in a definition, those of modules with what is asked of them, and tables."""
        nodes = [one for node in self.definitions(module)[name] for one in ast.walk(node)]
        texts = {str(one.value) for one in nodes if isinstance(one, ast.Constant)}
        dotted = {ast.unparse(one) for one in nodes if isinstance(one, ast.Attribute)}
        plain = {one.id for one in nodes if isinstance(one, ast.Name)}
        return plain | {one for one in dotted if one.count(".") == 1} | (texts & set(self.tables))

    def _text(self, module: str, name: str) -> str:
        return ";".join(map(syntax, self.definitions(module)[name]))

    def home(self, module: str, name: str) -> tuple[str, str] | None:
        """Module of the package that defines what a name of a module stands for, and its name."""
        if module not in self.modules:
            return None
        if name in self.definitions(module):
            return module, name
        first, _, rest = name.partition(".")
        there = self.imports(module).get(first)
        if there is None:
            return None
        return self.home(".".join(there), rest) if rest else self.home(*there)

    def reached(self, module: str, name: str) -> dict[str, str]:
        """Hash of what a definition reaches in every module and table, its own included."""
        left, seen, tables = [(module, name)], {(module, name)}, set()
        while left:
            one = left.pop()
            names = self.names(*one)
            tables |= names & set(self.tables)
            homes = {home for inner in names if (home := self.home(one[0], inner))}
            left += homes - seen
            seen |= homes
        parts: dict[str, list[str]] = {}
        for where, what in sorted(seen):
            parts.setdefault(where.removeprefix(f"{PACKAGE}."), []).append(self.text(where, what))
        content = {where: "\n".join(texts).encode() for where, texts in parts.items()}
        content |= {table: self.tables[table].read_bytes() for table in tables}
        return {where: hashlib.sha256(one).hexdigest()[:8] for where, one in content.items()}


def bound(node: ast.stmt) -> Iterator[str]:
    """Names that a statement at the top of a module binds, imports aside."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif not isinstance(node, IMPORTS):
        stored = (one for one in ast.walk(node) if isinstance(one, ast.Name))
        yield from (one.id for one in stored if isinstance(one.ctx, ast.Store))


def syntax(node: object) -> str:
    """Syntax of what computes, the same in every version of Python."""
    if isinstance(node, list):
        return f"[{','.join(syntax(one) for one in node if not isinstance(one, IMPORTS))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name, value in ast.iter_fields(node) if name not in SILENT}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        fields["body"] = node.body[ast.get_docstring(node) is not None :]
    if isinstance(node, ast.arg):
        del fields["annotation"]
    told = (f"{name}={syntax(value)}" for name, value in fields.items() if value not in (None, []))
    return f"{type(node).__name__}({','.join(told)})"


def states(root: Path, versions: Mapping[str, int]) -> dict[str, State]:
    """Phases as the code in a folder has them; each is a function of the page."""
    code = Code(root)
    return {
        name: State(version, code.reached(f"{PACKAGE}.workflow", name))
        for name, version in versions.items()
    }


def changed(now: State, then: State) -> list[str]:
    """Modules and tables that a phase reaches otherwise than it did."""
    every = sorted(now.hashes.keys() | then.hashes.keys())
    return [one for one in every if now.hashes.get(one) != then.hashes.get(one)]


def undecided(now: Mapping[str, State], then: Mapping[str, State]) -> dict[str, list[str]]:
    """What changed in the phases whose version is that of the record."""
    kept = [name for name in now if name in then and now[name].version == then[name].version]
    return {name: what for name in kept if (what := changed(now[name], then[name]))}


def question(phase: str, version: int, what: Sequence[str]) -> str:
    """What a developer is asked."""
    return (
        f"{phase}: {', '.join(what)} compute otherwise than when version {version} was recorded. "
        f"If results of finished sessions may differ, raise the version of {phase} in workflow.py "
        "and run: python -m tests.phases.reached. If they are the same, run: "
        f"python -m tests.phases.reached --same {phase}"
    )


def read_record(path: Path) -> dict[str, State]:
    """Read the record: a row for the versions, then one for each module; a column by phase."""
    with path.open(encoding="utf-8", newline="") as stream:
        versions, *rows = csv.DictReader(stream, delimiter="\t")
    return {
        name: State(int(version), {row["module"]: row[name] for row in rows if row[name]})
        for name, version in versions.items()
        if name != "module"
    }


def write_record(path: Path, states: Mapping[str, State]) -> None:
    """Write what :func:`read_record` reads."""
    modules = sorted({module for state in states.values() for module in state.hashes})
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, delimiter="\t", lineterminator="\n")
        table.writerow(["module", *states])
        table.writerow(["(version)", *(state.version for state in states.values())])
        for module in modules:
            table.writerow([module, *(one.hashes.get(module, "") for one in states.values())])


def current() -> dict[str, State]:
    """Phases as they are."""
    # Not at the top: other versions of Python can read the code of a package they cannot run.
    from cmb_bidsapp.workflow import STAGES

    return states(ROOT, {one.name: one.version for stage in STAGES.values() for one in stage})


def main() -> None:
    """Renew the record, if it has been decided for every phase what its change means."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    told = "phases whose results are the same although their code changed"
    parser.add_argument("--same", nargs="+", default=[], metavar="PHASE", help=told)
    same, now = parser.parse_args().same, current()
    open_questions = undecided(now, read_record(RECORD) if RECORD.exists() else {})
    left = [question(one, now[one].version, what) for one, what in open_questions.items()]
    if asked := [text for text, one in zip(left, open_questions, strict=True) if one not in same]:
        raise SystemExit("\n".join(asked))
    write_record(RECORD, now)


if __name__ == "__main__":
    main()
