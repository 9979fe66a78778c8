"""The rehearsal of a sweep: what a real run is about to build is built, and nothing is trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from bench.config.registry import load_class
from bench.config.schema import CellConfig
from bench.planning.dataset import read_checked, reader_of
from bench.planning.planner import ON_THIS_MACHINE, PlannedCell
from bench.planning.request import asked

if TYPE_CHECKING:
    from datasets.interactions import InteractionData
    from datasets.requests import DeletionRequest

T = TypeVar("T")


def rehearse(cells: Sequence[PlannedCell]) -> None:
    """Draw every request and build every model that is about to be needed, and check the methods.

    What fails here fails before any training. Raises ``InputError``.
    """
    from bench.machine.devices import resolve
    from datasets.interactions import to_torch

    for data_of in dict.fromkeys(cell.keys.data for cell in cells):
        configs = [cell.config for cell in cells if cell.keys.data == data_of]
        for name in {config.device for config in configs if config.launch.name in ON_THIS_MACHINE}:
            resolve(name)
        data = to_torch(read_checked(reader_of(configs[0])), data_of)
        for config in {repr((c.regime, c.stream, c.audit, c.seed)): c for c in configs}.values():
            request = asked(config, data)
            if config.audit.audits:
                check_audits(config, data, request)
        for backbone in _distinct(config.backbone for config in configs):
            model = load_class("backbone", backbone.name)(data, backbone.options)
            for method in _distinct(c.method for c in configs if c.backbone == backbone):
                own = load_class("method", method.name)(method.options)
                own.accept(method.name, model)
                own.check_data(data)


def check_audits(config: CellConfig, data: InteractionData, request: DeletionRequest) -> None:
    """Set the audits of a cell up, so that a request they cannot work on is refused here."""
    from bench.audits.base import AuditContext
    from bench.measure.targets import measured_users

    limits, asked = (config.seed, config.evaluate.chunk_scores), config.evaluate.users
    users = measured_users(data, request, asked.count, asked.seed)
    context = AuditContext(data, request.apply(data), request, *limits, config.train, users=users)
    for name in config.audit.audits:
        load_class("audit", name)(context, config.audit.options[name])


def _distinct(values: Iterable[T]) -> list[T]:
    """The different values in order; options may hold dictionaries, so they are compared as text."""
    return list({repr(value): value for value in values}.values())
