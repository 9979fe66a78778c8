"""What is registered, by kind: backbones that are trained and those in closed form, and what needs which."""

from __future__ import annotations

from bench.config.registry import load_class, registry
from models.closed_form import ClosedForm

CLOSED_FORMS = sorted(n for n in registry("backbone") if issubclass(load_class("backbone", n), ClosedForm))
TRAINED = sorted(set(registry("backbone")) - set(CLOSED_FORMS))
ONLY_CLOSED_FORMS = {"exact"}
"""Methods that refuse every backbone that is trained."""
