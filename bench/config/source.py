"""What is registered, read from its source without importing it.

Checking a configuration, listing options and forming keys must not cost the import of torch.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from bench.audits.options import AuditOptions
from bench.config.light import LightModule, NotLight, names_bound, parsed
from bench.config.registry import target_of
from datasets.errors import InputError, choices, place
from unlearning.options import MethodOptions

FIRST_PARTY = ("datasets", "models", "unlearning")
"""Packages whose modules count as code of whatever imports them (as does a plug-in's own package)."""

_TOP_LEVEL = {*FIRST_PARTY, "bench"}
"""Packages of Lethe itself, whose ``__init__`` only lists what there is."""

MAKES_NUMBERS = (
    *("bench.train", "bench.measure", "bench.audits"),
    *("bench.machine.seeding", "bench.machine.timing"),
)
"""Rooms and modules of the harness that count as well. What plans, records, caches or shows does not: it
changes no number, and editing it must not make cells due again."""


@cache
def options_of(kind: str, name: str) -> type:
    """The options dataclass of a registered class, without importing its module.

    The class states it as ``Options = <dataclass>`` (an audit that states none has none); of the module only
    that runs which the dataclass needs (``bench/config/light.py``).

    Raises:
        InputError: in one sentence with file and line, where there is no such frozen dataclass, or where
            it needs what cannot be had without importing the module.
    """
    module, _, attribute = target_of(kind, name).partition(":")
    light = LightModule(module)
    if kind == "audit" and not _states_options(light, attribute):
        return AuditOptions
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


def _states_options(light: LightModule, class_name: str) -> bool:
    """Whether a registered class names options of its own."""
    node = light.defined.get(class_name)
    return isinstance(node, ast.ClassDef) and _class_attribute(node, "Options") is not None


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


def module_digest(*modules: str) -> str:
    """The same for modules, of the harness or not.

    A module of the harness that makes no numbers of its own (``MAKES_NUMBERS``) counts with its own code
    alone: what it calls is named beside it.
    """
    own = {module.partition(".")[0] for module in modules} - {"bench"}
    packages = {*FIRST_PARTY, *own}
    found: dict[str, _Code] = {}
    waiting = list(modules)
    while waiting:
        current = waiting.pop()
        if current not in found:
            found[current] = _code_of(current)
            if _counts(current, packages):
                waiting += [m for m in found[current].imported if _counts(m, packages) and _is_module(m)]
    content = "".join(f"{name} {found[name].shape}" for name in sorted(found))
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


@dataclasses.dataclass(frozen=True)
class _Code:
    """What of a module goes into digests: names inside packages that it imports, and its syntax."""

    imported: tuple[str, ...]
    shape: str


def _code_of(module: str) -> _Code:
    file = _source_file(module)
    stat = file.stat()
    return _code_in(module, file, (stat.st_mtime_ns, stat.st_size))


def _source_file(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no source found for module {module}")
    return Path(spec.origin)


@cache
def _code_in(module: str, file: Path, stamp: tuple[int, int]) -> _Code:
    """Many digests share files: each version of a file is read once. ``stamp`` tells versions apart."""
    tree = parsed(file)
    return _Code(_imports(module, tree), hashlib.sha256(_shape(tree).encode()).hexdigest())


def _imports(module: str, tree: ast.Module) -> tuple[str, ...]:
    """What may be modules, among the names that a module imports; of a plug-in's package itself, too."""
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            source = _absolute(module, node)
            found += [source, *(f"{source}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return tuple(name for name in dict.fromkeys(found) if name not in _TOP_LEVEL)


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


def _counts(module: str, packages: set[str]) -> bool:
    """Whether a module is code of whatever imports it."""
    if module.partition(".")[0] in packages:
        return True
    return any(module == room or module.startswith(f"{room}.") for room in MAKES_NUMBERS)


def _shape(tree: ast.Module) -> str:
    """The syntax of a module without docstrings."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            node.body = body[1:]  # type: ignore[attr-defined]
    return ast.dump(tree)
