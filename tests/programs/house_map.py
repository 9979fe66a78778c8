"""``python -m tests.programs.house_map`` draws the map of the tree in docs/design.md anew."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.house import ROOT, modules, room_graph, room_of

DESIGN = ROOT / "docs" / "design.md"
BEGIN, END = "<!-- map: made by python -m tests.programs.house_map -->", "<!-- end of the map -->"


def table() -> str:
    """One row per room: what it is for, its modules, the rooms it imports from."""
    every, graph = modules(), room_graph()
    rows = ["| room | what it is for | modules | imports from |", "|---|---|---|---|"]
    for room in sorted({room_of(name, path) for name, path in every.items()}):
        inside = [n for n, p in every.items() if room_of(n, p) == room and n != room]
        inner = any(room_of(n, p).startswith(f"{room}.") for n, p in every.items())
        sources = {t for name in ([room, *inside] if inner else [room]) for t in graph.get(name, ())}
        sources = {t for t in sources if t != room and not (inner and room_of(t, every[t]) == room)}
        sources = {_folded(source, every[source]) for source in sources} - {room}
        rows.append(f"| `{room}` | {_purpose(room)} | {_names(inside)} | {_names(sorted(sources), room)} |")
    return "\n".join(rows)


def drawn(text: str) -> str:
    """A document with the map between its two marks drawn anew."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def _folded(name: str, path: Path) -> str:
    """A module beside the rooms of its package goes by the package's name, but for the harness's own."""
    package, room = name.partition(".")[0], room_of(name, path)
    return package if package not in ("bench", "results") and room == package else name


def _purpose(room: str) -> str:
    tree = ast.parse(modules()[room].read_text(encoding="utf-8"))
    sentence = " ".join((ast.get_docstring(tree) or "").split("\n\n")[0].split())
    return sentence.replace("|", "\\|")


def _names(found: list[str], room: str = "") -> str:
    package = room.partition(".")[0]
    short = [name.removeprefix(f"{package}.") if room else name.rpartition(".")[2] for name in found]
    return ", ".join(f"`{name}`" for name in short)


if __name__ == "__main__":
    DESIGN.write_text(drawn(DESIGN.read_text(encoding="utf-8")), encoding="utf-8")
