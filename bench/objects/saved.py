"""What is kept of an unlearned model with ``run.save_model=true`` (``bench/cell/run.py``), had back.

Below the artifact folder ``model/`` of the cell's run: ``cell.json``, the whole configuration;
``embeddings.safetensors``, the final representations ``users`` [U, d] and ``items`` [I, d] on the graph that
the model is served with (a score is their inner product); ``weights.safetensors``, its parameters and
buffers.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from safetensors.torch import load_file
from torch import Tensor

from bench.cell.setting import SettingStage
from bench.cell.workshop import fresh_model
from bench.config.registry import load_class
from bench.config.schema import CellConfig, parse_cell
from bench.measure.evaluate import ranked_lists
from bench.planning.planner import Planner
from bench.record.names import MODEL_CELL, MODEL_CLASS_TAG, MODEL_EMBEDDINGS, MODEL_FOLDER, MODEL_WEIGHTS
from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.pairs import PairIndex
from models.base import Recommender


@dataclass(frozen=True)
class SavedModel:
    """An unlearned model as it was kept.

    Attributes:
        run_id: of the cell that made it.
        config: of that cell.
        users: final user representations [U, d], on the CPU.
        items: final item representations [I, d].
        weights: parameters and buffers by name.
        model_class: name of its class: the backbone's, or that of what the method serves instead.
    """

    run_id: str
    config: CellConfig
    users: Tensor
    items: Tensor
    weights: Mapping[str, Tensor]
    model_class: str

    def scores(self, users: Tensor) -> Tensor:
        """Scores of all items for ``users`` [B]: Tensor [B, I]. Nothing is masked."""
        return self.users[users] @ self.items.t()

    def backbone(self) -> Recommender:
        """The model itself, on the cell's device, bound to the graph that it was measured on; reads the data.

        Raises:
            InputError: where the method serves something else than the cell's backbone.
        """
        config = self.config
        kind = load_class("backbone", config.backbone.name)
        if kind.__name__ != self.model_class:
            raise InputError(
                f"run {self.run_id} keeps a {self.model_class} of method {config.method.name}, which cannot "
                f"be built from backbone={config.backbone.name} alone: use its embeddings or weights."
            )
        full, retain = self._data()
        data = full if config.method.options.graph_at_evaluation == "full" else retain
        model = fresh_model(config.backbone, data, config.seed)
        model.load_state_dict(dict(self.weights))
        return model

    def top_items(self, count: int) -> Tensor:
        """The best items of every user, best first: LongTensor [U, count], -1 where there are no more.

        A user's retained training pairs and withdrawn items are left out, as a service would. Reads the data.
        """
        retain = self._data()[1]
        known = PairIndex(retain.train.cpu(), len(self.users), len(self.items))
        gone = retain.withdrawn_items.cpu()

        def scorer(users: Tensor) -> Tensor:
            return self.scores(users).index_fill_(1, gone, -torch.inf)

        every, most = torch.arange(len(self.users)), min(count, len(self.items))
        chunks = ranked_lists(scorer, every, known, len(self.items), most, self.config.evaluate.chunk_scores)
        return torch.cat([items.where(valid, -1) for _, items, valid in chunks])

    def _data(self) -> tuple[InteractionData, InteractionData]:
        return SettingStage(Planner(one=True).plan(self.config)).data()


def load(client: MlflowClient, run_id: str) -> SavedModel:
    """The model that a run keeps. Raises ``InputError`` where it keeps none."""
    try:
        tags = client.get_run(run_id).data.tags
    except MlflowException as error:
        raise InputError(
            f"there is no run {run_id} in the store {client.tracking_uri}: {error.message}"
        ) from error
    if MODEL_CLASS_TAG not in tags:
        raise InputError(
            f"run {run_id} keeps no model: run its cell with run.save_model=true, which runs it again."
        )
    with tempfile.TemporaryDirectory() as folder:
        return download(client, run_id, Path(folder))


def download(client: MlflowClient, run_id: str, folder: Path) -> SavedModel:
    """The same for a run that keeps one; its files stay in ``folder/model``."""
    folder.mkdir(parents=True, exist_ok=True)
    files = Path(client.download_artifacts(run_id, MODEL_FOLDER, str(folder)))
    if not (files / MODEL_EMBEDDINGS).is_file():
        raise InputError(
            f"run {run_id} keeps a model without embeddings, which cannot be had back: its weights are in "
            f"the artifact {MODEL_FOLDER}/{MODEL_WEIGHTS}."
        )
    tables = load_file(files / MODEL_EMBEDDINGS)
    config = parse_cell(json.loads((files / MODEL_CELL).read_text(encoding="utf-8")))
    weights, own_class = load_file(files / MODEL_WEIGHTS), client.get_run(run_id).data.tags[MODEL_CLASS_TAG]
    return SavedModel(run_id, config, tables["users"], tables["items"], weights, own_class)
