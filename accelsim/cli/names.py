"""Names that a shell may complete, read from folders and from source text: nothing that they name is imported.

Assumes a form of the source to which contract tests hold it: a member of a package says `KIND = "..."` and calls its record SPEC, and a
record gives its fields as `name: type`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
_PASS_NAME = re.compile(r'^    pass_name = "(\w+)"$', re.MULTILINE)
_KIND = re.compile(r'^KIND = "(\w+)"$', re.MULTILINE)


def kinds(package: str) -> dict[str, str]:
    """Members of a package by kind, and their modules: {'ssvq': 'formats.ssvq', ...} for 'formats'."""
    found = {}
    for path in sorted((PACKAGE / package).glob("*.py")):
        kind = _KIND.search(path.read_text(encoding="utf-8"))
        if kind is not None:
            found[kind.group(1)] = f"{package}.{path.stem}"
    return found


def parameters(kind: str) -> list[str]:
    """Names of a weight format's parameters; none of an unknown one. Those of OUTER-INNER are the inner one's."""
    module = kinds("formats").get(kind.rpartition("-")[2])
    found = [name for name in field_paths(module, "SPEC") if name != "kind"] if module is not None else []
    return [] if any(name.partition(".")[0] == "inside" for name in found) else found


def accelerator_paths() -> list[str]:
    """Dotted names of an accelerator's fields that are values, not groups: 'array.rows', 'dram.background.bandwidth'."""
    out: list[str] = []
    for path in field_paths("accelerator", "Accelerator"):
        out += [f"{path}.{name}" for name in _pass_names()] if path == "vector_unit.passes" else [path]
    return out


def _pass_names() -> list[str]:
    """Passes of the vector unit: its own, and those of the operations by the names that these give them."""
    sources = (path.read_text(encoding="utf-8") for path in sorted((PACKAGE / "ops").glob("*.py")))
    own = field_paths("hw.vector_unit", "VectorPasses")
    return [*own, *sorted({name for source in sources for name in _PASS_NAME.findall(source)})]


def field_paths(module: str, record: str) -> list[str]:
    """Dotted names of the values in a record and in the records that its fields name; none if the module defines no such class."""
    classes, imported = _outline(module)
    definition = classes.get(record)
    if definition is None:
        return []
    out: list[str] = []
    for base in definition.bases:
        if isinstance(base, ast.Name):
            out += _paths_of(base.id, module, classes, imported)
    for line in definition.body:
        if not (isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)) or line.target.id.startswith("_"):
            continue
        names = set(_type_names(line.annotation))
        if "ClassVar" in names:
            continue
        inner = [path for name in sorted(names) for path in _paths_of(name, module, classes, imported)]
        out += [f"{line.target.id}.{path}" for path in inner] or [line.target.id]
    return out


def _type_names(annotation: ast.expr) -> Iterator[str]:
    """Names in an annotation, without those in the metadata of an Annotated."""
    if isinstance(annotation, ast.Subscript) and isinstance(annotation.slice, ast.Tuple) and ast.unparse(annotation.value) == "Annotated":
        yield from _type_names(annotation.slice.elts[0])
    elif isinstance(annotation, ast.Name):
        yield annotation.id
    else:
        for node in ast.iter_child_nodes(annotation):
            if isinstance(node, ast.expr):
                yield from _type_names(node)


def _paths_of(name: str, module: str, classes: dict[str, ast.ClassDef], imported: dict[str, str]) -> list[str]:
    if name in classes:
        return field_paths(module, name)
    return field_paths(imported[name], name) if name in imported else []


@cache
def _outline(module: str) -> tuple[dict[str, ast.ClassDef], dict[str, str]]:
    """The classes that a module of accelsim defines, and the module behind each name that it imports from accelsim."""
    tree = ast.parse(_path(module).read_text(encoding="utf-8"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for node in tree.body:  # SPEC = SsvqFormat
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Name):
            classes |= {node.targets[0].id: classes[node.value.id]} if node.value.id in classes else {}
    imported = {
        alias.name: str(node.module).removeprefix("accelsim.")
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("accelsim.")
        for alias in node.names
    }
    return classes, imported


def _path(module: str) -> Path:
    whole = PACKAGE.joinpath(*module.split("."))
    return whole / "__init__.py" if whole.is_dir() else whole.with_suffix(".py")
