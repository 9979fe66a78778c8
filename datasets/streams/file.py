"""``stream=file``: the requests of a log (``datasets.streams.log``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datasets.errors import InputError
from datasets.streams.base import Stream, refuse_category
from datasets.streams.log import LoggedRequest, Row, read_log

if TYPE_CHECKING:
    from datasets.id_maps import IdMaps
    from datasets.interactions import InteractionData
    from datasets.requests import DeletionRequest
    from datasets.streams.composing import Named
    from datasets.validation import DataSummary


class FileStream(Stream):
    """Users, items and single pairs, as logged."""

    def check(self, poison: str, regime: str) -> None:
        """A log says everything: no size, order or batch beside it."""
        refuse_category(self.options)
        if self.options.file is None:
            raise InputError("stream=file needs stream.file: give the path of a CSV log of requests.")
        for key in ("ratio", "count"):
            value = getattr(self.options, key)
            if value is not None:
                raise InputError(
                    f"stream.{key}={value} does not go with stream=file, whose log says who asks: "
                    "leave it null."
                )
        if regime not in ("user", "item", "interaction"):
            raise InputError(
                f"stream=file does not go with regime={regime}: choose regime=user, item or interaction, "
                "as most rows of the log have it."
            )
        if (self.options.order, self.options.batch) != ("sorted", 1):
            raise InputError(
                f"stream.order={self.options.order} with stream.batch={self.options.batch} does not go with "
                "stream=file, whose log says who asks when: leave them at sorted and 1."
            )

    def size(self, summary: DataSummary, maps: IdMaps | None) -> int:
        """Requests in the log."""
        return len(read_log(self.options.file or "", summary.num_users, summary.num_items, maps))

    def requests(self, data: InteractionData) -> list[DeletionRequest]:
        """The requests of the log that still have something to ask for."""
        from datasets.streams.composing import composed

        logged = read_log(self.options.file or "", data.num_users, data.num_items, data.id_maps)
        _check_in_training(logged, data, self.options.file or "")
        return composed(data, [_named(request.rows) for request in logged])


def _named(rows: tuple[Row, ...]) -> Named:
    import torch

    from datasets.streams.composing import Named

    users = [row.user for row in rows if row.item is None]
    items = [row.item for row in rows if row.user is None]
    pairs = [(row.user, row.item) for row in rows if row.user is not None and row.item is not None]
    return Named(
        torch.tensor(users, dtype=torch.long),
        torch.tensor(items, dtype=torch.long),
        torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).t(),
    )


def _check_in_training(logged: list[LoggedRequest], data: InteractionData, path: str) -> None:
    """Refuse what never was in the training split; what an earlier request took is another matter."""
    train = data.train.cpu()
    users, items = set(train[0].tolist()), set(train[1].tolist())
    pairs = set(zip(*train.tolist(), strict=True))
    for request in logged:
        for row in request.rows:
            where = f"stream.file={path} line {row.line} (request {request.name})"
            if row.user is not None and row.item is not None:
                if (row.user, row.item) not in pairs:
                    raise InputError(
                        f"{where} names the pair {row.user}, {row.item}, which is not in the training split: "
                        "remove the line."
                    )
            elif row.user is not None and row.user not in users:
                raise InputError(f"{where} names user {row.user}, who has no training pair: remove the line.")
            elif row.item is not None and row.item not in items:
                raise InputError(f"{where} names item {row.item}, which has no training pair: remove it.")
