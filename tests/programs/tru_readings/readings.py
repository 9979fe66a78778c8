"""The factors that TRU leaves open, a reading as one value of each, its ablations, and the limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from bench.config.space import SearchOption

Gate = Literal["masked", "unmasked", "literal", "score", "off"]
Part = Literal["gate", "scaling", "isolation"]
PARTS: tuple[Part, ...] = ("gate", "scaling", "isolation")

SPACE = {
    "form": SearchOption("choice", values=("swap", "ascent")),
    "optimiser": SearchOption("choice", values=("sgd", "adam_lr")),
    "sgd_rate": SearchOption("log", 0.1, 500.0),
    "adam_rate": SearchOption("log", 1e-4, 1e-1),
    "epochs": SearchOption("int", 1, 4),
    "repair": SearchOption("choice", values=("short", "full")),
    "gate": SearchOption("choice", values=("masked", "unmasked", "literal", "score", "off")),
    "lambda_fusion": SearchOption("log", 1e-5, 1.0),
    "scaling": SearchOption("choice", values=(True, False)),
    "isolation": SearchOption("choice", values=(True, False)),
    "p": SearchOption("choice", values=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)),
}
"""What is searched: lambda 0 is the level ``off`` of the gate."""
FACTORS = ("form", "optimiser", "repair", "gate", "scaling", "isolation", "p")
"""Those with a few levels, which the page compares."""
SHORT_REPAIR = 2
"""Retain batches of a short repair; a full one is a pass (Algorithm 1)."""


@dataclass(frozen=True)
class Reading:
    """One value of every factor; what a factor has no effect on keeps the default of the method."""

    form: Literal["swap", "ascent"] = "swap"
    optimiser: Literal["sgd", "adam_lr"] = "sgd"
    sgd_rate: float = 10.0
    """In ``score`` units."""
    adam_rate: float = 1e-3
    epochs: int = 4
    repair: Literal["short", "full"] = "short"
    gate: Gate = "masked"
    lambda_fusion: float = 1e-3
    scaling: bool = True
    isolation: bool = True
    p: float = 0.2

    def options(self) -> dict[str, Any]:
        """The options of the method that make it; steps are of matched length."""
        plain, gated = self.optimiser == "sgd", self.gate != "off"
        found: dict[str, Any] = {"form": self.form, "optimiser": self.optimiser, "epochs": self.epochs}
        found |= {"reverse_lr": self.sgd_rate} if plain else {"reverse_adam_lr": self.adam_rate}
        found |= {"repair_batches": SHORT_REPAIR if self.repair == "short" else None}
        found |= {"gate": gated, "scaling": self.scaling, "isolation": self.isolation}
        if gated:
            form = self.gate if self.gate in ("literal", "score") else "proximal"
            found |= {"gate_form": form, "lambda_fusion": self.lambda_fusion}
            found |= {"gate_masked": self.gate != "unmasked"}
        return found | ({"top_ratio": self.p} if self.isolation else {})

    def without(self, parts: Iterable[Part]) -> Reading:
        """The ablation: the same with these parts switched off."""
        off: dict[Part, dict[str, Any]] = {
            "gate": {"gate": "off"},
            "scaling": {"scaling": False},
            "isolation": {"isolation": False},
        }
        changes: dict[str, Any] = {}
        for part in parts:
            changes |= off[part]
        return replace(self, **changes)

    def has(self, part: Part) -> bool:
        """Whether the part is switched on."""
        return self.gate != "off" if part == "gate" else bool(getattr(self, part))

    def in_words(self) -> str:
        """For people."""
        rate = f"sgd {self.sgd_rate:.3g}" if self.optimiser == "sgd" else f"Adam {self.adam_rate:.3g}"
        gate = "no gate" if self.gate == "off" else f"gate {self.gate} {self.lambda_fusion:.2g}"
        scaling = "scaling" if self.scaling else "no scaling"
        isolation = f"p {self.p:g}" if self.isolation else "no isolation"
        words = (self.form, rate, f"{self.epochs} epochs", f"{self.repair} repair", gate, scaling, isolation)
        return ", ".join(words)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


ZERO_FUSION = {"gate_masked": False, "lambda_fusion": 1e15}
"""A penalty whose first proximal step leaves no fusion weight."""
EDGES_REMOVED = "edges removed, nothing else"
ALL_ZERO = "all fusion weights zero, nothing else"
WITHOUT_GATE, ZERO_AND_REVERSED = "defaults without gate", "defaults, all fusion weights zero"


def limits(modules: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What each part could do at most: options by name, around the defaults of the method.

    Args:
        modules: the backbone's, each of which is moved alone once.
    """
    still = {"reverse_lr": 1e-9, "alpha": 1.0, "epochs": 1, "scaling": False, "isolation": False}
    found: dict[str, dict[str, Any]] = {
        EDGES_REMOVED: {"epochs": 0},
        ALL_ZERO: {**ZERO_FUSION, **still},
        "defaults": {},
        WITHOUT_GATE: {"gate": False},
        ZERO_AND_REVERSED: dict(ZERO_FUSION),
        "defaults, gamma 1": {"scaling": False, "step_length": "printed"},
        "defaults, gamma at its floor": {"eps": 1e12, "step_length": "printed"},
        "defaults, z all ones": {"isolation": False},
    }
    return found | {f"defaults, z of {name} alone": {"modules": [name]} for name in modules}
