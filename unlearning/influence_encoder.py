"""UnlearnRec's influence encoder: from the edges of a request to changes of embedding tables.

Chen, Xia, Huang, arXiv 2505.22649, Eq. 14 to 17. With A the normalised adjacency of the request's edges
alone (no row of a node outside is filled), H0 a learned influence table, E the embeddings that the
request takes something back from, and eta a learned rate per node:

    H      sum over l = 0..L of A^l H0, or A^L H0 alone
    E_w    A^L (E * eta)
    dE     perceptron(H - w E_w)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from models.graph import Propagation, SparseOperator, normalised_adjacency, reweighted
from models.stable import aligned_rows

Readout = Literal["sum", "last"]

PERCEPTRON_LAYERS = 2
SLOPE = 0.99
"""Slope of the leaky rectifier below zero, as released: next to linear."""


class ResidualPerceptron(nn.Module):
    """x <- LeakyReLU(x W + b) + x, twice; W starts Xavier uniform, b at zero: [n, d] -> [n, d]."""

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        drawn = [torch.empty(width, width) for _ in range(PERCEPTRON_LAYERS)]
        for matrix in drawn:
            nn.init.xavier_uniform_(matrix, generator=generator)
        self.weights = nn.ParameterList(drawn)
        self.biases = nn.ParameterList([torch.zeros(width) for _ in drawn])

    def forward(self, x: Tensor) -> Tensor:
        """Zero rows stay zero while the biases are zero."""
        rows = len(x)
        x = aligned_rows(x)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x = nn.functional.leaky_relu(x @ weight + bias, SLOPE) + x
        return x[:rows]


class InfluenceEncoder(nn.Module):
    """The encoder of one branch, over all nodes [users; items].

    Args:
        nodes, width: shape of the tables that it changes, both sides stacked.
        layers: L.
        readout: which layers of H count.
        withdrawal: w.
        rate: eta of every node at the start.
        generator: on the CPU; draws the perceptron's weights.
    """

    def __init__(
        self,
        nodes: int,
        width: int,
        layers: int,
        readout: Readout,
        withdrawal: float,
        rate: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.layers, self.readout, self.withdrawal = layers, readout, withdrawal
        self.influence = nn.Parameter(torch.zeros(nodes, width))
        self.rates = nn.Parameter(torch.full((nodes, 1), rate))
        self.perceptron = ResidualPerceptron(width, generator)
        self.propagation = Propagation()

    def forward(self, edges: SparseOperator, source: Tensor) -> Tensor:
        """dE [nodes, d] for the adjacency ``edges`` of a request; ``source`` [nodes, d] is E."""
        change: Tensor = self.perceptron(self.signal(edges, source))
        return change

    def signal(self, edges: SparseOperator, source: Tensor) -> Tensor:
        """H - w E_w, what the perceptron reads: [nodes, d]."""
        layers = self.layered(edges)
        read = torch.stack(layers).sum(dim=0) if self.readout == "sum" else layers[-1]
        withdrawn = source * self.rates
        for _ in range(self.layers):
            withdrawn = self.propagation(withdrawn, edges)
        return read - self.withdrawal * withdrawn

    def layered(self, edges: SparseOperator) -> list[Tensor]:
        """A^l H0 for l = 0..L, each [nodes, d]."""
        found: list[Tensor] = [self.influence]
        for _ in range(self.layers):
            found.append(self.propagation(found[-1], edges))
        return found


@dataclass(frozen=True, eq=False)
class RequestGraph:
    """A of a request, and per directed edge the position of its reverse: LongTensor [E]."""

    adjacency: SparseOperator
    reverse: Tensor

    def thinned(self, rate: float, generator: torch.Generator) -> SparseOperator:
        """A where each directed edge is lost with chance ``rate``; the others keep their weights."""
        weights = self.adjacency.weights
        kept = torch.rand(len(weights), generator=generator, device=weights.device) >= rate
        return reweighted(self.adjacency, weights * kept, self.reverse)


def request_graph(pairs: Tensor, num_users: int, num_items: int) -> RequestGraph:
    """A of the forgotten ``pairs`` [2, F] over [users; items]: D^-1/2 A D^-1/2 of these edges alone."""
    adjacency = normalised_adjacency(pairs, num_users, num_items)
    sources, targets = adjacency.edges
    return RequestGraph(adjacency, (sources * (num_users + num_items) + targets).argsort())
