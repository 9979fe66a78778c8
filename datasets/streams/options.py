"""What a stream of deletion requests asks for. Light on purpose: no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

Order = Literal["sorted", "random", "activity"]
Share = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True)
class StreamOptions:
    """Who asks, in which order, and when the running model is measured (protocol: ERASE, SIGIR 2026).

    ``count`` wins over ``ratio``.
    """

    name: str = "none"
    """A registered kind of stream (``datasets.streams``); ``none``: the one request of ``regime``."""
    ratio: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of the users with a training pair that ask; with ``stream=sensitive`` the share of all training
    pairs that is asked for. ERASE's 1e-5 and 1e-6 are nobody, and a pair or none, on the data sets of this
    field."""
    count: Annotated[int, Field(ge=1)] | None = None
    """How many users ask; wins over ``ratio``."""
    batch: Annotated[int, Field(ge=1)] = 1
    """Users per request; ERASE's default is one."""
    order: Order = "sorted"
    """``sorted`` by id (ERASE), ``random`` by the seed, ``activity``: the most active first."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Draws who asks, and the random order. Independent of the training seed."""
    checkpoints: tuple[Share, ...] = (0.25, 0.5, 0.75, 1.0)
    """Shares of the requests after which the model is measured beside a gold model of the same rest. With N
    requests, the share f stands for the request with index min(N - 1, floor(f N)), counted from 0 (ERASE)."""
    max_seconds: Annotated[float, Field(gt=0)] | None = None
    """Of the method's clock for the whole stream; a request that is not served by then counts as not
    forgotten. Null: no limit."""
    file: str | None = None
    """The log of requests of ``stream=file`` (``datasets.streams.log``)."""
    keywords: tuple[str, ...] = ()
    """Words of the item text that make an item sensitive, for ``stream=sensitive``."""
    signals: Annotated[int, Field(ge=1, le=4)] = 2
    """In how many of title, brand, categories and description a keyword has to stand (ERASE: two)."""
    category: str | None = None
    """Instead of keywords: the name of a node of the category path."""

    @property
    def streams(self) -> bool:
        """Whether there is a stream at all."""
        return self.name != "none"
