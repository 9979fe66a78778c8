"""What is registered, read from its source without importing it.

Checking a configuration, listing options and forming keys must not cost the import of torch.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from functools import cache
from typing import Any

from bench.config.light import LightModule, NotLight, names_bound, source_of
from bench.config.registry import target_of
from datasets.errors import InputError, choices, place
from unlearning.options import MethodOptions

FIRST_PARTY = ("datasets", "models", "unlearning")
"""Packages whose modules count as code of whatever imports them (as does a plug-in's own package)."""

_TOP_LEVEL = {*FIRST_PARTY, "bench"}
"""Packages of Lethe itself, whose ``__init__`` only lists what there is."""


@cache
def options_of(kind: str, name: str) -> type:
    """The options dataclass of a registered class, without importing its module.

    The class states it as ``Options = <dataclass>``; of the module only that runs which the dataclass
    needs (``bench/config/light.py``).

    Raises:
        InputError: in one sentence with file and line, where there is no such frozen dataclass, or where
            it needs what cannot be had without importing the module.
    """
    module, _, attribute = target_of(kind, name).partition(":")
    light = LightModule(module)
    stated = _stated_options(light, attribute, f"{kind}={name}")
    options = light.value(stated)
    called = getattr(options, "__name__", ast.unparse(stated))
    where = place(light.file, light.line_of(called) or stated.lineno)
    if not (isinstance(options, type) and "__dataclass_fields__" in vars(options)):
        raise InputError(f"{where}: {called} is not a dataclass: write @dataclass(frozen=True) above it.")
    if not options.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise InputError(f"{where}: {called} is not frozen: write @dataclass(frozen=True).")
    if kind == "method" and not issubclass(options, MethodOptions):
        raise InputError(
            f"{where}: {called} lacks the options that every method has: "
            f"write class {called}(MethodOptions), which unlearning.options defines."
        )
    return options


def _stated_options(light: LightModule, class_name: str, registered: str) -> ast.expr:
    """The expression behind ``Options =`` in the registered class. Raises ``InputError``."""
    node = light.defined.get(class_name)
    if not isinstance(node, ast.ClassDef):
        classes = [name for name, one in light.defined.items() if isinstance(one, ast.ClassDef)]
        raise InputError(
            f"{place(light.file, None)} defines no class {class_name}, by which {registered} is registered: "
            f"{choices(class_name, classes)}"
        )
    stated = _class_attribute(node, "Options")
    if stated is None:
        raise InputError(
            f"{place(light.file, node.lineno)}: {class_name} states no options: "
            "write Options = <its options dataclass> in the class."
        )
    return stated


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
            trees[current] = source_of(current)[1]
            waiting += _imports(current, trees[current], packages)
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
            trees[current] = source_of(current)[1]
            beside = f"{current.rpartition('.')[0]}."
            packages = {current.partition(".")[0]}
            waiting += [
                found for found in _imports(current, trees[current], packages) if found.startswith(beside)
            ]
    content = "".join(f"{module} {_shape(trees[module])}" for module in sorted(trees))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@cache
def class_constant(kind: str, name: str, constant: str, default: Any) -> Any:
    """A literal class attribute of a registered class, without importing its module.

    It may also be the name of a constant of the module. Raises ``InputError`` where it is neither.
    """
    module, _, attribute = target_of(kind, name).partition(":")
    light = LightModule(module)
    node = light.defined.get(attribute)
    value = _class_attribute(node, constant) if isinstance(node, ast.ClassDef) else None
    if value is None:
        return default
    try:
        return light.value(value)
    except NotLight as error:
        raise InputError(
            f"{place(light.file, value.lineno)}: {constant} of {attribute} is not a constant: "
            "write its value there."
        ) from error


def _class_attribute(node: ast.ClassDef, name: str) -> ast.expr | None:
    """The expression that a class body gives a name; None without one."""
    for statement in node.body:
        if name in names_bound(statement) and isinstance(statement, ast.Assign | ast.AnnAssign):
            return statement.value
    return None


def _imports(module: str, tree: ast.Module, packages: set[str]) -> list[str]:
    """Modules below ``packages`` that a module imports; of a plug-in's own package the package itself too."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            source = _absolute(module, node)
            names = [source, *(f"{source}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found += [name for name in names if name.partition(".")[0] in packages and name not in _TOP_LEVEL]
    return [name for name in found if _is_module(name)]


def _absolute(module: str, node: ast.ImportFrom) -> str:
    """The full name of the module that ``from ... import`` names."""
    if not node.level:
        return node.module or ""
    spec = importlib.util.find_spec(module)
    package = (spec.parent if spec is not None else None) or module
    return importlib.util.resolve_name("." * node.level + (node.module or ""), package)


@cache
def _is_module(name: str) -> bool:
    package = name.rpartition(".")[0]
    parent = importlib.util.find_spec(package) if package else None
    if package and (parent is None or parent.submodule_search_locations is None):
        return False
    return importlib.util.find_spec(name) is not None


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _shape(tree: ast.Module) -> str:
    """The syntax of a module without docstrings."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            node.body = body[1:]  # type: ignore[attr-defined]
    return ast.dump(tree)
