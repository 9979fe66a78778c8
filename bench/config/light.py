"""Values of a module, computed from its source without importing it.

Checking a configuration, listing options and forming keys must not cost the import of torch. So only those
statements of the module are executed that the asked value depends on: imports of light modules
(``LIGHT_IMPORTS``), plain assignments, classes and functions. A value that depends on anything else is
refused, with the line and the reason.

What is executed is the source of registered modules alone: of this checkout, or of an installed plug-in. A
run imports them whole anyway. Nothing from a data folder, a cache, a bundle or a store is ever executed.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets.errors import InputError, place

LIGHT_IMPORTS = (
    "annotated_types",
    "collections",
    "dataclasses",
    "enum",
    "math",
    "pydantic",
    "typing",
    "unlearning.options",
    "unlearning.llm.options",
    "unlearning.rag.options",
    "bench.audits.options",
)
"""Modules (and what is below them) that are imported: nothing else that a file names is."""


class NotLight(InputError):
    """A value that cannot be had without importing its module; the sentence names file, line and remedy."""


def source_of(module: str) -> tuple[Path, ast.Module]:
    """File and syntax of a module. Raises ``InputError`` where there is none or where it does not parse."""
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None or found.origin is None:
        raise InputError(f"there is no module {module}: mend its name, or install the package that holds it.")
    file = Path(found.origin)
    return file, parsed(file)


def parsed(file: Path) -> ast.Module:
    """The syntax of a file. Raises ``InputError`` where it does not parse."""
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise InputError(f"{place(file, error.lineno)}: {error.msg}: mend the syntax.") from error


class LightModule:
    """A module as its source has it.

    Args:
        module: its dotted name.

    Attributes:
        file: its source file.
        defined: by name, the last statement at the top level that binds it.

    Raises:
        InputError: where there is no such module or it does not parse.
    """

    def __init__(self, module: str) -> None:
        self.module = module
        self.file, self._tree = source_of(module)
        self._label = f"<{module}, read without importing>"
        self._bound: dict[str, list[ast.stmt]] = {}
        for node in self._tree.body:
            for name in names_bound(node):
                self._bound.setdefault(name, []).append(node)
        self.defined = {name: nodes[-1] for name, nodes in self._bound.items()}
        self._failed: dict[str, NotLight] = {}
        self._unread: dict[str, str] = {}

    def value(self, expression: ast.expr) -> Any:
        """What an expression of the module stands for; dataclasses get their annotations as types.

        Raises:
            NotLight: where it depends on what is not light, or fails.
        """
        namespace = self._run(self._needed(expression))
        try:
            return eval(compile(ast.Expression(expression), self._label, "eval"), namespace)
        except Exception as error:
            raise self._reason(error, expression.lineno) from error

    def line_of(self, name: str) -> int | None:
        """Line of the statement that binds a name."""
        return self.defined[name].lineno if name in self.defined else None

    def _needed(self, expression: ast.expr) -> list[ast.stmt]:
        """The statements that an expression depends on, in the order of the file."""
        waiting, needed = list(_names_read(expression)), set()
        while waiting:
            for node in self._bound.get(waiting.pop(), ()):
                if node not in needed:
                    needed.add(node)
                    waiting += _names_read(node)
        return [node for node in self._tree.body if node in needed]

    def _run(self, nodes: list[ast.stmt]) -> dict[str, Any]:
        """The namespace that statements leave; why some left nothing is kept by name.

        ``dataclass`` looks the module of a class up in ``sys.modules``: a placeholder stands there meanwhile.
        """
        placeholder = types.ModuleType(self.module)
        absent = sys.modules.setdefault(self.module, placeholder) is placeholder
        try:
            for node in nodes:
                if reason := _why_unread(node):
                    self._unread |= dict.fromkeys(names_bound(node), reason)
                else:
                    self._execute(node, vars(placeholder))
        finally:
            if absent:
                del sys.modules[self.module]
        return vars(placeholder)

    def _execute(self, node: ast.stmt, namespace: dict[str, Any]) -> None:
        try:
            exec(compile(ast.Module([node], []), self._label, "exec"), namespace)
            if isinstance(node, ast.ClassDef) and dataclasses.is_dataclass(namespace[node.name]):
                self._resolve_annotations(node, namespace)
        except Exception as error:  # whatever the author's own lines raise
            for name in names_bound(node):
                namespace.pop(name, None)
                self._failed[name] = self._reason(error, node.lineno)

    def _resolve_annotations(self, node: ast.ClassDef, namespace: dict[str, Any]) -> None:
        """Replace string annotations by types, here where the names are at hand."""
        schema: Any = namespace[node.name]
        inherited: dict[str, Any] = {}
        for base in schema.__mro__:
            inherited |= vars(sys.modules[base.__module__]) if base.__module__ in sys.modules else {}
        for statement in node.body:  # one by one first: so a wrong one is named with its line
            if isinstance(statement, ast.AnnAssign):
                eval(
                    compile(ast.Expression(statement.annotation), self._label, "eval"), inherited | namespace
                )
        hints = typing.get_type_hints(schema, inherited | namespace, include_extras=True)
        schema.__annotations__ = hints
        for field in dataclasses.fields(schema):
            field.type = hints[field.name]

    def _reason(self, error: Exception, line: int) -> NotLight:
        """Why a statement or expression cannot be run, traced back to the name that it lacks."""
        traceback = error.__traceback__
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == self._label:
                line = traceback.tb_lineno
            traceback = traceback.tb_next
        where = place(self.file, line)
        if isinstance(error, NameError) and error.name in self._failed:
            return self._failed[error.name]
        if isinstance(error, NameError) and error.name in self._unread:
            return NotLight(f"{where}: {error.name} {self._unread[error.name]}")
        if "non-frozen dataclass" in str(error):
            return NotLight(f"{where}: this dataclass is not frozen: write @dataclass(frozen=True).")
        return NotLight(f"{where}: {type(error).__name__}: {' '.join(str(error).split())}.")


def names_bound(node: ast.stmt) -> Iterator[str]:
    """Names that a statement binds where it stands."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
        return
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part.id
        elif isinstance(part, ast.alias):
            yield (part.asname or part.name).partition(".")[0]


def _names_read(node: ast.AST) -> Iterator[str]:
    return (part.id for part in ast.walk(node) if isinstance(part, ast.Name))


def _why_unread(node: ast.stmt) -> str:
    """Why a statement is not run, as what is to be said of the names that it binds; "" where it is."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        heavy = [name for name in _modules_of(node) if not _is_light(name)]
        if heavy:
            return (
                f"comes from {heavy[0]}, and options are read without importing it: write the value in this "
                f"file, or take it from one of {', '.join(LIGHT_IMPORTS)}."
            )
    elif not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.ClassDef | ast.FunctionDef):
        return "is not set by a plain statement: set it at the top level of the file."
    return ""


def _modules_of(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return ["." * node.level + (node.module or "")]
    return [alias.name for alias in node.names]


def _is_light(module: str) -> bool:
    return any(module == light or module.startswith(f"{light}.") for light in LIGHT_IMPORTS)
