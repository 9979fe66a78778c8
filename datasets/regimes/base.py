"""The contract of a regime: how a request is drawn, how large it is, what a list of it looks like.

What leaves with a request follows from its content (``DeletionRequest.apply``): users take their validation
pairs with them, items their validation pairs, their content and their places in item graphs, pairs nothing.
No torch at import, so that plans and refusals stay cheap.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from datasets.errors import InputError
from datasets.request_files import ListForm, check_ids, read_request_file
from datasets.request_options import RequestOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from datasets.id_maps import IdMaps
    from datasets.interactions import InteractionData
    from datasets.requests import DeletionRequest
    from datasets.validation import DataSummary


class Regime(ABC):
    """One regime with its options.

    A subclass sets ``Options`` to a frozen dataclass that extends ``RequestOptions`` where it has options of
    its own; ``conf/regime/<name>.yaml`` states every one.
    """

    Options: ClassVar[type[RequestOptions]] = RequestOptions
    form: ClassVar[ListForm | None] = None
    """What one row of ``regime.file`` names; None where the regime takes no list."""
    forgets: ClassVar[bool] = True
    """Whether anything is forgotten; without, there is no gold model beside the original."""
    sized_by: ClassVar[str | None] = None
    """Where the size comes from if not from ``ratio``, ``count`` or ``file``, with the remedy."""

    def __init__(self, options: RequestOptions) -> None:
        self.options = options

    def check(self, poison: str, method: str, audits: Sequence[str]) -> None:
        """Refuse what the regime does not go with, by the names that a cell chose. Raises ``InputError``."""
        if self.sized_by is None:
            if self.form is None and self.options.file is not None:
                raise InputError(
                    f"regime.file={self.options.file} does not go with regime={self.options.name}, "
                    "which takes no list: leave it null."
                )
            return
        for key in ("ratio", "count", "file"):
            value = getattr(self.options, key)
            if value is not None:
                given = f"regime.{key}={value}"
                raise InputError(f"{given} does not go with regime={self.options.name}: {self.sized_by}.")

    @abstractmethod
    def size(self, summary: DataSummary, maps: IdMaps | None) -> int:
        """How many users, items or pairs the request names, from counts alone.

        Raises:
            InputError: if it asks for nothing, for more than there is, or for everything; for a request
                file if it is malformed or an id is out of range.
        """

    @abstractmethod
    def draw(self, data: InteractionData) -> DeletionRequest:
        """The request, on the device of ``data``.

        Drawn on the CPU from ``options.seed``: the same on every device, whatever the training seed.

        Raises:
            InputError: if the request is empty, leaves no training or validation pair, or its file names
                something that is not in the training split.
        """

    def listed(self, num_users: int, num_items: int, maps: IdMaps | None) -> NDArray[np.int64]:
        """The dense ids [N, 1] or pairs [N, 2] of ``regime.file``, sorted. Raises ``InputError``."""
        if self.form is None or self.options.file is None:
            raise InputError(f"regime={self.options.name} takes no request file: leave regime.file null.")
        rows = read_request_file(self.options.file, self.form, maps)
        check_ids(rows, self.form, self.options.file, num_users, num_items)
        return rows
