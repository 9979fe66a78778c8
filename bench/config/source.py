"""What is registered, read from its source without importing it.

Checking a configuration, listing options and forming keys must not cost the import of torch.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import hashlib
import importlib.util
import sys
import types
import typing
from functools import cache
from pathlib import Path
from typing import Any

from bench.audits.options import AuditOptions
from bench.config.registry import target_of

LIGHT_IMPORTS = {
    "__future__",
    "annotated_types",
    "bench.audits.options",
    "collections",
    "dataclasses",
    "pydantic",
    "typing",
    "unlearning.options",
}
"""Modules that an options dataclass may use: everything else in the file is not executed."""

FIRST_PARTY = ("datasets", "models", "unlearning")
"""Packages whose modules count as code of whatever imports them (as does a plug-in's own package)."""


@cache
def options_of(kind: str, name: str) -> type:
    """The options dataclass of a registered class, without importing its module.

    The class states it as ``Options = <dataclass of the same module>``; an audit that states none has
    none. Only the module's light imports (``LIGHT_IMPORTS``), its plain assignments of type aliases and
    its dataclasses run.
    """
    module, _, attribute = target_of(kind, name).partition(":")
    tree = _source_tree(module)
    stated = _options_name(tree, attribute)
    if kind == "audit" and not stated:
        return AuditOptions
    namespace = _run_light(tree, module)
    options = namespace.get(stated)
    if not (isinstance(options, type) and dataclasses.is_dataclass(options)):
        raise TypeError(f"{module}:{attribute} must set Options to a dataclass defined in {module}")
    for value in list(namespace.values()):
        if dataclasses.is_dataclass(value) and value.__module__ == module:
            _resolve_annotations(value, namespace)
    return options


@cache
def code_digest(kind: str, name: str) -> str:
    """Digest of the code behind a name and of the first-party modules it imports, directly or not.

    Insensitive to comments, docstrings and layout. It is part of every key, so that editing a method,
    a backbone or what they share re-runs exactly the cells that depend on it.
    """
    return module_digest(target_of(kind, name).partition(":")[0])


def module_digest(module: str) -> str:
    """The same for a module."""
    packages = {*FIRST_PARTY, module.partition(".")[0]}
    trees: dict[str, ast.Module] = {}
    waiting = [module]
    while waiting:
        current = waiting.pop()
        if current not in trees:
            trees[current] = _source_tree(current)
            waiting += _imports(trees[current], packages)
    content = "".join(f"{name} {_shape(trees[name])}" for name in sorted(trees))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@cache
def audit_digest(name: str) -> str:
    """The same for a registered audit, from its own file and those beside it that it imports."""
    trees: dict[str, ast.Module] = {}
    waiting = [target_of("audit", name).partition(":")[0]]
    while waiting:
        current = waiting.pop()
        if current not in trees:
            trees[current] = _source_tree(current)
            beside = f"{current.rpartition('.')[0]}."
            packages = {current.partition(".")[0]}
            waiting += [found for found in _imports(trees[current], packages) if found.startswith(beside)]
    content = "".join(f"{module} {_shape(trees[module])}" for module in sorted(trees))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@cache
def class_constant(kind: str, name: str, constant: str, default: Any) -> Any:
    """A literal class attribute of a registered class, without importing its module."""
    module, _, attribute = target_of(kind, name).partition(":")
    for node in ast.walk(_source_tree(module)):
        if isinstance(node, ast.ClassDef) and node.name == attribute:
            for statement in node.body:
                targets = (
                    statement.targets
                    if isinstance(statement, ast.Assign)
                    else [getattr(statement, "target", None)]
                )
                if any(isinstance(t, ast.Name) and t.id == constant for t in targets):
                    return ast.literal_eval(statement.value)  # type: ignore[attr-defined]
    return default


def _run_light(tree: ast.Module, module: str) -> dict[str, Any]:
    """The namespace that the light parts of ``module`` leave.

    ``dataclass`` looks the module of a class up in ``sys.modules``: a placeholder stands there meanwhile.
    """
    placeholder = types.ModuleType(module)
    absent = sys.modules.setdefault(module, placeholder) is placeholder
    try:
        for node in tree.body:
            if _is_light(node) and _is_known(node, vars(placeholder)):
                exec(compile(ast.Module([node], []), f"<options of {module}>", "exec"), vars(placeholder))
    finally:
        if absent:
            del sys.modules[module]
    return vars(placeholder)


def _resolve_annotations(schema: Any, namespace: dict[str, Any]) -> None:
    """Replace string annotations by types, here where the names are at hand: the module is not imported."""
    inherited: dict[str, Any] = {}
    for base in schema.__mro__:
        inherited |= vars(sys.modules[base.__module__]) if base.__module__ in sys.modules else {}
    hints = typing.get_type_hints(schema, inherited | namespace, include_extras=True)
    schema.__annotations__ = hints
    for field in dataclasses.fields(schema):
        field.type = hints[field.name]


def _source_tree(module: str) -> ast.Module:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no source found for module {module}")
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def _is_light(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module in LIGHT_IMPORTS
    if isinstance(node, ast.Import):
        return all(alias.name in LIGHT_IMPORTS for alias in node.names)
    if isinstance(node, ast.ClassDef):
        return any("dataclass" in ast.unparse(d) for d in node.decorator_list) and node.name.endswith(
            "Options"
        )
    if isinstance(node, ast.Assign):
        return isinstance(node.value, ast.Subscript)
    return False


def _is_known(node: ast.stmt, namespace: dict[str, Any]) -> bool:
    """Whether all names of a type alias are there; one of heavy types is none of an options dataclass."""
    if not isinstance(node, ast.Assign):
        return True
    names = {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)}
    return all(name in namespace or hasattr(builtins, name) for name in names)


def _options_name(tree: ast.Module, class_name: str) -> str:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            for statement in node.body:
                target = statement.targets[0] if isinstance(statement, ast.Assign) else None
                if isinstance(target, ast.Name) and target.id == "Options":
                    return ast.unparse(statement.value)  # type: ignore[attr-defined]
    return ""


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _imports(tree: ast.Module, packages: set[str]) -> list[str]:
    """Modules below ``packages`` that a module imports with absolute imports."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found += [name for name in names if name.partition(".")[0] in packages and "." in name]
    return [name for name in found if _is_module(name)]


@cache
def _is_module(name: str) -> bool:
    parent = importlib.util.find_spec(name.rpartition(".")[0])
    if parent is None or parent.submodule_search_locations is None:
        return False
    return importlib.util.find_spec(name) is not None


def _shape(tree: ast.Module) -> str:
    """The syntax of a module without docstrings."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            node.body = body[1:]  # type: ignore[attr-defined]
    return ast.dump(tree)
