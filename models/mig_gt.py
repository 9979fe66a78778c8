"""MIG-GT: receptive fields of their own per modality, and attention to items sampled from everywhere.

Hu et al., "Modality-Independent Graph Neural Networks with Global Transformers for Multimodal
Recommendation", AAAI 2025. For any set of modalities. With p the user embeddings, f_m a two-layer
perceptron, G_K the diffusion over K hops (``models.diffusion``) and c(i) S items drawn for node i:

    branches    H_id = G_{K_id} [p ; 0],   H_m = G_{K_m} [0 ; f_m(x_m)],   Z = H_id + sum_m H_m
    tokens      T_i = [Z_i, Z_{c_1(i)} ... Z_{c_S(i)}]
    attention   O_i as in models.attention,  final = O_i0
    unsmooth    -log softmax(<final_u, O_i>)_0 for each training pair (u, i)
    loss        BPR + unsmooth + L2 of all final embeddings

There is no item ID table: an item is its content and its users. Features are fixed; an image wider
than the text is projected to the text's width by a random matrix and each row scaled to unit length.
Users and items sample anew in every step of training, and from a fixed seed in evaluation, so that
scores are a function of weights.

A withdrawn item has no content, is never sampled, and is left out of the batch statistics of f_m
(which ``models.perceptron`` takes afresh instead of keeping running averages).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.attention import SampledAttention
from models.base import LossTerms, Recommender, Side
from models.diffusion import diffuse, diffusion_graph, drop_edges
from models.features import FeatureTables, chosen_modalities
from models.graph import Propagation
from models.initialisation import normal_table, redraw_normal
from models.layers import LayerEdit
from models.losses import triple_bpr, triple_rows
from models.perceptron import Perceptron
from models.stable import aligned_columns, aligned_rows

Rate = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class MIGGTOptions:
    """Defaults: the released configuration for Baby."""

    embedding_dim: Annotated[int, Field(ge=1)] = 64
    """Width of all embeddings."""
    hidden_dim: Annotated[int, Field(ge=1)] = 512
    """Width of the hidden layer of each modality's perceptron."""
    id_hops: Annotated[int, Field(ge=0)] = 4
    """Diffusion steps K of the user embeddings."""
    image_hops: Annotated[int, Field(ge=0)] = 1
    """Diffusion steps K of the modality ``image``."""
    text_hops: Annotated[int, Field(ge=0)] = 2
    """Diffusion steps K of the modality ``text``."""
    other_hops: Annotated[int, Field(ge=0)] = 2
    """Diffusion steps K of any other modality. Ours: only image and text are published."""
    alpha: Annotated[float, Field(gt=0)] = 0.1
    """Weight of the start in each diffusion step."""
    beta: Annotated[float, Field(gt=0)] = 0.9
    """Weight of the neighbours in each diffusion step."""
    samples: Annotated[int, Field(ge=1)] = 10
    """Items S that each node samples."""
    attention_dim: Annotated[int, Field(ge=1)] = 4
    """Width a of queries and keys."""
    residual: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Share r of a token itself in its output."""
    input_dropout: Rate = 0.3
    """Dropout on the raw features."""
    feature_dropout: Rate = 0.3
    """Dropout between the layers of the perceptrons."""
    user_dropout: Rate = 0.3
    """Dropout on the user embeddings before diffusion."""
    item_dropout: Rate = 0.3
    """Dropout on the encoded content before diffusion."""
    edge_dropout: Rate = 0.2
    """Share of edges lost in each branch and step."""
    output_dropout: Rate = 0.2
    """Dropout on the sum of the branches."""
    l2: Annotated[float, Field(ge=0)] = 1e-5
    """Weight of half the squared norm of all final embeddings, per example of the batch."""
    unsmooth_weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the unsmooth term."""
    modalities: tuple[str, ...] | None = None
    """Names of the modalities to use; None: all that the data has."""
    featureless: Literal["error", "free_table"] = "error"
    """A modality with an item graph but no features: refuse, or train a free table in their place
    (as wide as the embeddings, Xavier uniform; not in the paper)."""
    unit_projection: bool = True
    """Whether each row of a projected image is scaled to unit length, as in the released code."""
    projection_seed: int = 0
    """Seed of the random projection of the image. Ours: the published one is drawn once per run."""
    evaluation_seed: int = 0
    """Seed of the items sampled in evaluation, and of the noise behind its batch statistics. Ours: the
    released code samples anew each time."""


class _Forward(NamedTuple):
    """Z [nodes, d], the sampled items [nodes, S] and the final embeddings [nodes, d]."""

    z: Tensor
    sampled: Tensor
    final: Tensor


class MIGGT(Recommender):
    """MIG-GT."""

    Options = MIGGTOptions
    multimodal = True

    def __init__(self, data: InteractionData, options: Any) -> None:
        super().__init__(data, options)
        width = options.embedding_dim
        self.modalities = chosen_modalities(data, "mig_gt", options.modalities, options.featureless)
        data = self._projected(data)
        self.user_embedding = normal_table(self.num_users, width, width**-0.5)
        self.feature_tables = FeatureTables(data, self.modalities, trained=False, free_width=width)
        self.encoders = nn.ModuleDict({m: self._encoder(m) for m in self.modalities})
        self.attention = SampledAttention(width, options.attention_dim, options.residual)
        self.propagation = Propagation()
        self.layer_edit: LayerEdit | None = None
        self.bind(data)

    def bind(self, data: InteractionData) -> None:
        """Rebuild the interaction graph and the content inputs."""
        self._graph = diffusion_graph(data.train, self.num_users, self.num_items)
        self.feature_tables.bind(self._projected(data))
        present = torch.ones(self.num_items, dtype=torch.bool, device=data.train.device)
        present[data.withdrawn_items] = False
        self._present = present.nonzero().squeeze(1)

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """Own token of each user and item after the attention."""
        final = self._forward().final
        return final[: self.num_users], final[self.num_users :]

    def branch_embeddings(self) -> dict[str, tuple[Tensor, Tensor]]:
        """The diffused branches before they are summed: ``id`` and one per modality, each (users, items)."""
        return {m: (h[: self.num_users], h[self.num_users :]) for m, h in self._branches().items()}

    @property
    def id_layers(self) -> int:
        """Diffusion steps of the ID branch."""
        return int(self.options.id_hops)

    def id_view(self) -> Tensor:
        """The diffused ID branch: [users + items, d]."""
        return self._diffused("id", self._id_start())

    def loss(self, batch: Batch) -> LossTerms:
        """BPR and the unsmooth term on the batch, L2 on all final embeddings."""
        forward = self._forward()
        rows = triple_rows(forward.final, forward.final[self.num_users :], batch)
        weight = self.options.unsmooth_weight
        unsmooth = (
            weight * self._unsmooth(forward, rows[0], batch.positives + self.num_users) if weight else None
        )
        return LossTerms(
            ranking=triple_bpr(*rows),
            regulariser=self.options.l2 * forward.final.square().sum(dim=-1).sum() / (2 * len(rows[0])),
            auxiliary={} if unsmooth is None else {"unsmooth": unsmooth},
        )

    def id_tables(self) -> dict[Side, nn.Parameter]:
        """Users only."""
        return {"user": self.user_embedding}

    def reinitialise_rows(self, side: Side, ids: Tensor, generator: torch.Generator) -> None:
        """Redraw user rows from the distribution of a fresh table (normal, variance 1 / width)."""
        if side == "user":
            redraw_normal(self.user_embedding, ids, self.options.embedding_dim**-0.5, generator)

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        """Branches ``id``, each modality and ``shared`` (the attention)."""
        branches: dict[str, dict[str, list[nn.Parameter]]] = {"id": {"user_embedding": [self.user_embedding]}}
        for m in self.modalities:
            encoder = {f"encoders.{m}": list(self.encoders[m].parameters())}
            branches[m] = self.feature_tables.parameters_of(m) | encoder
        layers = {"attention.queries": self.attention.queries, "attention.keys": self.attention.keys}
        branches["shared"] = {name: list(layer.parameters()) for name, layer in layers.items()}
        return branches

    def fusion_parameters(self) -> list[nn.Parameter]:
        """Weight matrices of the perceptrons (projections) and of the attention."""
        modules: list[nn.Module] = [self.encoders, self.attention]
        return [p for module in modules for p in module.parameters() if p.dim() == 2]

    def _encoder(self, m: str) -> Perceptron:
        width, options = self.feature_tables.widths[m], self.options
        drops = (options.input_dropout, options.feature_dropout, options.evaluation_seed)
        return Perceptron(width, options.hidden_dim, options.embedding_dim, *drops)

    def _forward(self) -> _Forward:
        z = torch.stack(list(self._branches().values())).sum(dim=0)
        z = self._dropout(z, self.options.output_dropout)
        sampled = self._sample(len(z))
        return _Forward(z, sampled, self.attention(z, sampled))

    def _unsmooth(self, forward: _Forward, users: Tensor, nodes: Tensor) -> Tensor:
        """Cross-entropy of each user [B, d] for a node's own token among all that it sees; nodes [B]."""
        tokens = self.attention.all_tokens(forward.z, forward.sampled, nodes)
        logits = (users[:, None] * tokens).sum(dim=-1)
        return (logits.logsumexp(dim=1) - logits[:, 0]).mean()

    def _branches(self) -> dict[str, Tensor]:
        """Per branch the diffused nodes [users + items, d]."""
        users, starts = self.user_embedding, {"id": self._id_start()}
        for m in self.modalities:
            content = self._dropout(self._encoded(m), self.options.item_dropout)
            starts[m] = torch.cat([torch.zeros_like(users), content])
        return {branch: self._diffused(branch, start) for branch, start in starts.items()}

    def _id_start(self) -> Tensor:
        """Users with dropout, zero rows for the items: [users + items, d]."""
        users = self.user_embedding
        items = users.new_zeros(self.num_items, users.shape[1])
        return torch.cat([self._dropout(users, self.options.user_dropout), items])

    def _encoded(self, m: str) -> Tensor:
        """f_m of the present items, zero rows for the withdrawn: [items, d]."""
        rows = self.feature_tables.rows(m)
        if len(self._present) == self.num_items:
            encoded: Tensor = self.encoders[m](rows)
            return encoded
        encoded = self.encoders[m](F.embedding(self._present, rows))
        return encoded.new_zeros(self.num_items, encoded.shape[1]).index_copy(0, self._present, encoded)

    def _diffused(self, branch: str, start: Tensor) -> Tensor:
        options = self.options
        rate = options.edge_dropout if self.training else 0.0
        operator = drop_edges(self._graph, rate) if rate else self._graph.operator
        named = {"id": options.id_hops, "image": options.image_hops, "text": options.text_hops}
        hops = named.get(branch, options.other_hops)
        edit = self.layer_edit if branch == "id" else None
        return diffuse(self.propagation, operator, start, hops, options.alpha, options.beta, edit)

    def _sample(self, nodes: int) -> Tensor:
        """Node ids of S present items for every node: LongTensor [nodes, S]."""
        device, generator = self._present.device, None
        if not self.training:
            generator = torch.Generator(device).manual_seed(self.options.evaluation_seed)
        shape = (nodes, self.options.samples)
        picks = torch.randint(len(self._present), shape, generator=generator, device=device)
        return self._present[picks] + self.num_users

    def _dropout(self, x: Tensor, rate: float) -> Tensor:
        return F.dropout(x, rate, self.training)

    def _projected(self, data: InteractionData) -> InteractionData:
        """``data`` with the image projected to the width of the text, where it is wider."""
        both = all(m in self.modalities and m in data.features for m in ("image", "text"))
        if not both or data.features["image"].shape[1] <= data.features["text"].shape[1]:
            return data
        image, width = data.features["image"], data.features["text"].shape[1]
        generator = torch.Generator().manual_seed(self.options.projection_seed)
        matrix = torch.randn(width, image.shape[1], generator=generator) * width**-0.5
        weight = aligned_rows(aligned_columns(matrix.to(image)))
        projected = F.linear(aligned_rows(aligned_columns(image)), weight)[: len(image), :width]
        if self.options.unit_projection:
            projected = F.normalize(projected, dim=-1)
        return replace(data, features={**data.features, "image": projected.contiguous()})
