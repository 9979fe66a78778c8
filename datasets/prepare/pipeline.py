"""From files to a data set folder, stage by stage; see ``work.py`` for what a restart finds."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.fingerprint import file_digest
from datasets.prepare.coding import code_pairs, read_ids
from datasets.prepare.core_stage import filter_and_split
from datasets.prepare.duck import connection
from datasets.prepare.feature_stage import write_features, write_graph
from datasets.prepare.finish import check_place, finish
from datasets.prepare.modalities import Given, Images, Modality, Texts
from datasets.prepare.pair_files import PairFiles
from datasets.prepare.pictures import read_pictures, told_pictures, write_pictures
from datasets.prepare.plan import Plan
from datasets.prepare.progress import bar
from datasets.prepare.provenance import provenance, same_request, told_source
from datasets.prepare.rows import Rows, write_rows
from datasets.prepare.tables import write_id_map, write_inter, write_item_text
from datasets.prepare.texts import write_texts
from datasets.prepare.work import Stage, Work

Say = Callable[[str], None]


class Pipeline:
    """The stages of one command; ``run`` goes through them in order."""

    def __init__(self, plan: Plan, say: Say) -> None:
        self.plan, self.options, self.say = plan, plan.options, say
        self.work = Work(self.options.out.parent / f".{self.options.name}.prepare", say)

    def run(self) -> bool:
        """Make the folder; False where it was made before from the same files with the same options.

        Raises:
            InputError: naming file, row and value of what does not fit. The final folder is untouched then.
        """
        with self.work.locked():
            told = provenance(self.options, self._sources(), {}, {})
            if same_request(self.options.out, told):
                shutil.rmtree(self.work.folder, ignore_errors=True)
                return False
            check_place(self.options)
            rows = [self._rows(place) for place in range(len(self.plan.sources))]
            coded = self._coded(rows)
            content = {"text": self._texts(coded), "image": self._pictures(coded)}
            modalities = self._modalities(coded, content)
            core = self._core(coded, modalities)
            stages = {"rows": coded, "text": content["text"], "pictures": content["image"], "core": core}
            made = {name: self._features(core, modality) for name, modality in modalities.items()}
            tables = self._tables(coded, core, content["text"])
            graphs = [
                self._graph(name, stage) for name, stage in made.items() if self.options.features.graphs
            ]
            counts = {name: _counts(stage) for name, stage in stages.items() if stage is not None}
            told = provenance(self.options, self._sources(), counts, {m: s.notes for m, s in made.items()})
            folders = [stage.folder for stage in (tables, *made.values(), *graphs)]
            finish(self.options, self.work.folder, folders, told)
        shutil.rmtree(self.work.folder, ignore_errors=True)
        return True

    def _sources(self) -> list[dict[str, Any]]:
        paths = [("interactions", path) for path in self.options.source.files]
        paths += [("items", path) for path in self.options.items.files]
        paths += [(f"{m} features", path) for m, path in sorted(self.options.features.given.items())]
        told = [told_source(path, self._digest(path), role) for role, path in paths]
        return told if self._told_pictures is None else [*told, self._told_pictures]

    @cached_property
    def _told_pictures(self) -> dict[str, Any] | None:
        images = self.options.items.images
        return None if images is None else told_pictures(images)

    def _digest(self, path: Path) -> str:
        return file_digest(path, self.work.folder / "checksums.json")

    def _rows(self, place: int) -> Rows:
        source = self.plan.sources[place]

        def build(folder: Path) -> dict[str, Any]:
            with self._duck(folder) as opened:
                rows = write_rows(opened, source, folder)
            return {"count": rows.count, "has_rating": rows.has_rating, "has_time": rows.has_time}

        inputs = {"source": self._digest(source.path), "format": source.format, "columns": source.columns}
        # The expression tells the dialect; the place in the file system does not matter.
        inputs["relation"] = source.relation.replace(str(source.path), "")
        stage = self.work.stage(f"rows-{place}", inputs, build)
        self.say(f"{source.path.name}: {stage.notes['count']:,} rows")
        return Rows(stage.folder / "rows.parquet", key=stage.key, **stage.notes)

    def _coded(self, rows: list[Rows]) -> Stage:
        def build(folder: Path) -> dict[str, Any]:
            with self._duck(folder) as opened:
                coded = code_pairs(opened, rows, self.options.filters, folder)
            return {"columns": coded.pairs.columns, **coded.counts}

        filters = self.options.filters
        inputs: dict[str, Any] = {"rows": [one.key for one in rows]}
        inputs |= {"min_rating": filters.min_rating, "duplicates": filters.duplicates}
        stage = self.work.stage("coded", inputs, build)
        notes = stage.notes
        self.say(
            f"{notes['pairs']:,} distinct pairs of {notes['users']:,} users and {notes['items']:,} items "
            f"({notes['rows_rated_too_low']:,} rows rated too low, {notes['duplicate_rows']:,} duplicates)"
        )
        return stage

    def _texts(self, coded: Stage) -> Stage | None:
        items = self.options.items
        if not items.files:
            return None
        inputs: dict[str, Any] = {"coded": coded.key, "files": [self._digest(path) for path in items.files]}
        inputs |= {"format": items.format, "id_column": items.id_column, "duplicates": items.duplicates}
        inputs |= {"seq_separator": items.seq_separator, "names": [path.suffixes for path in items.files]}
        own = read_ids(coded.folder, "item")
        stage = self.work.stage("texts", inputs, lambda folder: write_texts(items, own, folder))
        self.say(f"text of {stage.notes['items_with_text']:,} items")
        return stage

    def _pictures(self, coded: Stage) -> Stage | None:
        items = self.options.items
        if items.images is None:
            return None

        def build(folder: Path) -> dict[str, Any]:
            with bar("checking pictures") as advance:
                return write_pictures(items, read_ids(coded.folder, "item"), folder, advance)

        inputs = {"coded": coded.key, "files": self._told_pictures, "broken": items.broken_images}
        stage = self.work.stage("pictures", inputs, build)
        self.say(f"pictures of {stage.notes['items_with_picture']:,} items")
        return stage

    def _modalities(self, coded: Stage, content: Mapping[str, Stage | None]) -> dict[str, Modality]:
        size, cache = int(coded.notes["items"]), self.options.features.cache
        found: dict[str, Modality] = {}
        for name in self.plan.modalities:
            path, stage = self.options.features.given.get(name), content.get(name)
            if path is not None:
                found[name] = Given(name, path, self._digest(path), read_ids(coded.folder, "item"))
            elif name == "text":
                assert stage is not None
                found[name] = Texts(self.plan.extractors[name], stage.folder, size, cache)
            else:
                assert stage is not None
                assert self.options.items.images is not None
                pictures = read_pictures(stage.folder, self.options.items.images)
                found[name] = Images(self.plan.extractors[name], pictures, size, cache)
        self._content_keys = {name: None if stage is None else stage.key for name, stage in content.items()}
        return found

    def _core(self, coded: Stage, modalities: Mapping[str, Modality]) -> Stage:
        drop = self.options.features.missing == "drop"

        def build(folder: Path) -> dict[str, Any]:
            items = np.ones(int(coded.notes["items"]), dtype=bool)
            for modality in modalities.values() if drop else ():
                items &= modality.present()
            counts = filter_and_split(
                _pairs(coded),
                int(coded.notes["users"]),
                items,
                self.options.filters,
                self.options.split,
                folder,
            )
            return {"items_dropped_without_content": int((~items).sum()), **counts}

        inputs: dict[str, Any] = {"coded": coded.key, "k": self.options.filters.k_core}
        inputs["split"] = repr(self.options.split)
        if drop:
            inputs["content"] = [self._content_key(modality) for modality in modalities.values()]
        stage = self.work.stage("core", inputs, build)
        notes = stage.notes
        self.say(
            f"{notes['users']:,} users, {notes['items']:,} items, {notes['train']:,} / {notes['valid']:,} / "
            f"{notes['test']:,} pairs to train / validate / test"
        )
        return stage

    def _features(self, core: Stage, modality: Modality) -> Stage:
        inputs = {"core": core.key, **self._content_key(modality), "missing": self.options.features.missing}
        stage = self.work.stage(
            f"features-{modality.name}",
            inputs,
            lambda folder: write_features(modality, _items(core), self.options.features.missing, folder),
        )
        empty = stage.notes["items_without_content"]
        self.say(
            f"{modality.name} features: {stage.notes['columns']} columns, {empty:,} items without content"
        )
        return stage

    def _content_key(self, modality: Modality) -> dict[str, Any]:
        key = None if isinstance(modality, Given) else self._content_keys[modality.name]
        return {"modality": modality.name, "identity": modality.identity(), "content": key}

    def _graph(self, name: str, features: Stage) -> Stage:
        path = features.folder / f"{name}_feat.npy"
        return self.work.stage(
            f"graph-{name}", {"features": features.key}, lambda folder: write_graph(path, name, folder)
        )

    def _tables(self, coded: Stage, core: Stage, texts: Stage | None) -> Stage:
        def build(folder: Path) -> dict[str, Any]:
            columns = (*_pairs(coded).columns, "label")
            count = sum(core.notes[split] for split in ("train", "valid", "test"))
            write_inter(
                PairFiles(core.folder / "pairs", columns, count), folder / f"{self.options.name}.inter"
            )
            write_id_map("user", read_ids(coded.folder, "user")[np.load(core.folder / "users.npy")], folder)
            write_id_map("item", read_ids(coded.folder, "item")[_items(core)], folder)
            if texts is None:
                return {}
            return {
                "items_with_text": write_item_text(texts.folder, _items(core), folder / "item_text.jsonl")
            }

        inputs = {"core": core.key, "texts": None if texts is None else texts.key, "name": self.options.name}
        return self.work.stage("tables", inputs, build)

    @contextmanager
    def _duck(self, folder: Path) -> Iterator[Any]:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            options = self.options
            with connection(Path(scratch), options.memory_gib, options.threads) as opened:
                yield opened


def _counts(stage: Stage) -> dict[str, int]:
    return {key: value for key, value in stage.notes.items() if isinstance(value, int)}


def _pairs(coded: Stage) -> PairFiles:
    return PairFiles(coded.folder / "pairs", tuple(coded.notes["columns"]), int(coded.notes["pairs"]))


def _items(core: Stage) -> NDArray[np.int64]:
    items: NDArray[np.int64] = np.load(core.folder / "items.npy")
    return items
