"""``stream=users``: whole users leave, one (or a few) at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datasets.errors import InputError
from datasets.regimes.size import number
from datasets.request_options import RequestOptions
from datasets.streams.base import Stream, refuse_category

if TYPE_CHECKING:
    from datasets.id_maps import IdMaps
    from datasets.interactions import InteractionData
    from datasets.requests import DeletionRequest
    from datasets.validation import DataSummary


class UserStream(Stream):
    """Users with a training pair, drawn as ``regime=user`` draws them, asked away in order."""

    def check(self, poison: str, regime: str) -> None:
        """Its requests are of the user regime; a size and no log."""
        refuse_category(self.options)
        if regime != "user":
            raise InputError(
                f"stream=users asks for whole users, which regime={regime} is not: choose regime=user."
            )
        if self.options.file is not None:
            raise InputError(
                f"stream.file={self.options.file} does not go with stream=users: choose stream=file."
            )

    def size(self, summary: DataSummary, maps: IdMaps | None) -> int:
        """Requests of ``batch`` users each."""
        users = number(self._request(), summary.num_users - summary.users_without_train, "stream")
        return -(-users // self.options.batch)

    def requests(self, data: InteractionData) -> list[DeletionRequest]:
        """Users in order, ``batch`` at a time."""
        from datasets.regimes.drawing import drawn_ids
        from datasets.streams.composing import Named, composed, in_order

        users = in_order(drawn_ids(self._request(), data.train.cpu()[0]), data, self.options)
        return composed(data, [Named(users=part) for part in users.split(self.options.batch)])

    def _request(self) -> RequestOptions:
        options = self.options
        if options.ratio is None and options.count is None:
            raise InputError("stream.ratio and stream.count are both null: set one of them.")
        return RequestOptions(name="user", ratio=options.ratio, count=options.count, seed=options.seed)
