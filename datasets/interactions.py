"""The containers every other package works on.

``RawDataset`` is what a reader returns (NumPy, memory-mapped where possible, torch-free so that
checks are cheap); ``InteractionData`` is the same on a device, ready for models.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from datasets.id_maps import IdMaps
from datasets.item_text import ItemText

if TYPE_CHECKING:
    import scipy.sparse as sp
    import torch
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True)
class RawDataset:
    """A data set as read from disk or generated.

    ``train``, ``valid``, ``test`` are int64 arrays of shape [2, E] (row 0 users, row 1 items, dense
    ids from 0). ``features[m]`` is [num_items, d_m] of any float type, row = item id.
    ``item_graphs[m]`` is a [num_items, num_items] CSR of cosine similarities to the nearest
    neighbours (self included, not normalised). ``item_text`` has one entry per item. ``id_maps`` leads
    from the data set's own ids to the dense ones. ``provenance`` is JSON-able and says where the content
    comes from.
    """

    num_users: int
    num_items: int
    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    test: NDArray[np.int64]
    features: dict[str, NDArray[Any]] = field(default_factory=dict)
    item_graphs: dict[str, sp.csr_array] = field(default_factory=dict)
    item_text: tuple[ItemText, ...] | None = None
    id_maps: IdMaps | None = None
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class InteractionData:
    """Interactions and item content on one device.

    ``train``, ``valid``, ``test``: LongTensor [2, E]. ``features[m]``: float32 [num_items, d_m].
    ``item_graphs[m]``: torch CSR [num_items, num_items]; ``item_text`` and ``id_maps``: as in ``RawDataset``.
    ``withdrawn_items``: LongTensor [W], items whose content and neighbours are gone (item-level
    deletion requests); empty otherwise.
    """

    num_users: int
    num_items: int
    train: Tensor
    valid: Tensor
    test: Tensor
    withdrawn_items: Tensor
    features: dict[str, Tensor] = field(default_factory=dict)
    item_graphs: dict[str, Tensor] = field(default_factory=dict)
    item_text: tuple[ItemText, ...] | None = None
    id_maps: IdMaps | None = None
    fingerprint: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities with features or an item graph, sorted."""
        return tuple(sorted(self.features.keys() | self.item_graphs.keys()))

    def to(self, device: torch.device) -> InteractionData:
        """The same data on ``device``."""
        moved = {
            name: getattr(self, name).to(device) for name in ("train", "valid", "test", "withdrawn_items")
        }
        features = {m: x.to(device) for m, x in self.features.items()}
        graphs = {m: g.to(device) for m, g in self.item_graphs.items()}
        return replace(self, features=features, item_graphs=graphs, **moved)


def to_torch(raw: RawDataset, fingerprint: str) -> InteractionData:
    """Copy a checked ``RawDataset`` into torch tensors on the CPU; features become float32."""
    import torch

    from datasets.sparse import csr_tensor

    def csr(graph: sp.csr_array) -> Tensor:
        return csr_tensor(
            torch.from_numpy(np.asarray(graph.indptr, dtype=np.int64)),
            torch.from_numpy(np.asarray(graph.indices, dtype=np.int64)),
            torch.from_numpy(np.asarray(graph.data, dtype=np.float32)),
            size=graph.shape,
            check=True,
        )

    def floats(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.array(array, dtype=np.float32, order="C"))

    return InteractionData(
        num_users=raw.num_users,
        num_items=raw.num_items,
        train=torch.from_numpy(raw.train),
        valid=torch.from_numpy(raw.valid),
        test=torch.from_numpy(raw.test),
        withdrawn_items=torch.empty(0, dtype=torch.long),
        features={m: floats(x) for m, x in raw.features.items()},
        item_graphs={m: csr(g) for m, g in raw.item_graphs.items()},
        item_text=raw.item_text,
        id_maps=raw.id_maps,
        fingerprint=fingerprint,
        provenance=raw.provenance,
    )
