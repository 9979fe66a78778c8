"""Item vectors from interactions alone: the same for every model that is audited."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.decomposition import TruncatedSVD
from torch import Tensor

from datasets.interactions import InteractionData


def item_vectors(data: InteractionData, factors: int, seed: int) -> Tensor:
    """V S of the truncated SVD U S V^T of the training matrix: float64 [num_items, <= factors].

    Scaled to unit mean square. An item without a training pair has a row of zeros.
    """
    users, items = data.train.cpu().numpy()
    matrix = sp.csr_array(
        (np.ones(len(users)), (items, users)), shape=(data.num_items, data.num_users), dtype=np.float64
    )
    width = min(factors, min(matrix.shape) - 1)
    vectors = TruncatedSVD(width, random_state=seed % 2**32).fit_transform(matrix)
    return torch.from_numpy(vectors / np.sqrt(np.mean(vectors**2))).to(data.train.device)
