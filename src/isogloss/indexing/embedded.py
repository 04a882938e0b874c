"""The embedded index: `qdrant-edge-py` in this process, on disk, without a server.

A folder with `index.json` (what made the vectors, how they are kept), `qdrant/` (vectors, passages and
write-ahead log) and `lexical/` (see `lexical_files`). A write is in the log when it returns, so that a killed process
loses nothing of it. One process at a time opens the folder; its threads may search while one of them writes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogloss.errors import DataError, FileError, MissingExtraError
from isogloss.files import atomic_folder, refuse_occupied, remove_leftovers
from isogloss.indexing.base import BaseEngine
from isogloss.indexing.codes import Codes
from isogloss.indexing.lexical_files import forget_lexical
from isogloss.indexing.manifest import IndexOptions, read_about, write_about
from isogloss.indexing.protocol import (
    EVERY_PASSAGE,
    IndexAbout,
    Scores,
    Where,
    ordered,
    refuse_unknown,
)
from isogloss.indexing.qdrant_points import metadata_path, payload_of, point_id, text_of
from isogloss.records import Text

ENGINE = "qdrant-edge"
POINTS_AT_ONCE = 1024
POINTS_BETWEEN_FLUSHES = 8192
UNFINISHED_PARTS = "temp_segments"
INDEXED_METADATA_KEYS = 16
READ_ONLY = ("Permission denied", "PermissionDenied", "Read-only file system", "ReadOnlyFilesystem")
NO_GRAPH = 10**10  # kilobytes of vectors up to which a part has none


class EmbeddedIndex(BaseEngine):
    """Passages and vectors in a folder.

    Args:
        path: Folder of the index.
        about: What `index.json` says.
        shard: The open engine.
        options: Settings of the searches.
    """

    def __init__(self, path: Path, about: IndexAbout, shard: Any, options: IndexOptions) -> None:
        super().__init__(str(path), about, options)
        self.part = options.part
        self.path = path
        self._shard = shard
        self._unflushed = 0
        self._count: int | None = None
        self._languages: dict[str, int] | None = None
        self._codes = Codes(path / "qdrant", coded=about.precision == "int8")
        self._indexed = {key for key in shard.info().payload_schema if key.startswith("metadata.")}

    @classmethod
    def create(cls, path: str | Path, about: IndexAbout, options: IndexOptions | None = None) -> EmbeddedIndex:
        """Makes an empty index at a place that holds nothing.

        Raises:
            FileError: If something is there, or the disk refuses.
        """
        edge = _edge()
        place = Path(path)
        options = options or IndexOptions()
        refuse_occupied(place)
        remove_leftovers(place.absolute().parent, place.name)
        with atomic_folder(place) as partial:
            (partial / "qdrant").mkdir()
            with _engine_errors(place):
                shard = edge.EdgeShard.create(str(partial / "qdrant"), _configuration(edge, about, options))
                shard.update(edge.UpdateOperation.create_field_index("language", _words_on_disk(edge)))
                shard.close()
            write_about(partial, replace(about, engine=ENGINE))
        return cls.open(place, options)

    @classmethod
    def open(cls, path: str | Path, options: IndexOptions | None = None) -> EmbeddedIndex:
        """Opens the index at `path`.

        Raises:
            FileError: If there is none, or another process has it open.
            DataError: If it is damaged.
        """
        place = Path(path)
        about = read_about(place)
        edge = _edge()
        with _engine_errors(place):
            shard = edge.EdgeShard.load(str(place / "qdrant"))
        # Loaded, the folder is ours alone: what is unfinished is of a process that was killed.
        shutil.rmtree(place / "qdrant" / UNFINISHED_PARTS, ignore_errors=True)
        remove_leftovers(place)
        return cls(place, about, shard, options or IndexOptions())

    def delete(self, ids: Sequence[str]) -> None:
        """Removes passages."""
        with self._writing, self._engine() as edge:
            refuse_unknown(ids, self.known(ids), self.url)
            forget_lexical(self.path)
            self._shard.update(edge.UpdateOperation.delete_points([point_id(name) for name in ids]))
            self._languages = self._count = None

    def passages(self, ids: Sequence[str]) -> list[Text]:
        """The passages with these ids, in their order."""
        with self._engine():
            records = self._shard.retrieve([point_id(name) for name in dict.fromkeys(ids)], True, False)
        found = {record.payload["id"]: text_of(record.payload) for record in records}
        refuse_unknown(ids, set(found), self.url)
        return [found[name] for name in ids]

    def all_passages(self) -> Iterator[Text]:
        """Every passage, in the order of the points' UUIDs."""
        offset = None
        while True:
            with self._engine() as edge:
                request = edge.ScrollRequest(offset=offset, limit=POINTS_AT_ONCE, with_payload=True, with_vector=False)
                records, offset = self._shard.scroll(request)
            yield from (text_of(record.payload) for record in records)
            if offset is None:
                return

    def known(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that are there."""
        with self._engine():
            points = [point_id(name) for name in dict.fromkeys(ids)]
            return {record.payload["id"] for record in self._shard.retrieve(points, ["id"], False)}

    def count(self, where: Where = EVERY_PASSAGE) -> int:
        """How many passages are allowed."""
        if not where:
            total = self._count
            if total is None:
                with self._engine() as edge:
                    self._count = total = int(self._shard.count(edge.CountRequest(exact=True)))
            return total
        if where.languages and not where.metadata:
            here = self.languages()
            return sum(here.get(language, 0) for language in set(where.languages))
        with self._engine() as edge:
            return int(self._shard.count(edge.CountRequest(filter=_filter(edge, where), exact=True)))

    def languages(self) -> dict[str, int]:
        """Passages by language, counted once after each write."""
        found = self._languages
        if found is None:
            with self._engine() as edge:
                request = edge.FacetRequest("language", limit=100_000, exact=True)
                found = {_plain(hit.value): int(hit.count) for hit in self._shard.facet(request).hits}
            self._languages = found = dict(sorted(found.items()))
        return dict(found)

    def optimize(self) -> None:
        """Makes the codes, or the graph, of what was written since the last time."""
        with self._writing, self._engine():
            # Up to there every search is exact, and would never look at codes or into a graph.
            if self.count() > self._options.exact_below:
                self._shard.optimize()
            self._shard.flush()

    def snapshot(self, path: str) -> None:
        """Copies the folder, with writes held back meanwhile."""
        with self._writing, self._engine(), atomic_folder(path) as partial:
            self._shard.flush()
            shutil.copytree(self.path, partial, dirs_exist_ok=True)

    def close(self) -> None:
        """Writes what is in memory and lets go of the folder."""
        with self._writing, self._engine():
            self._shard.flush()
            self._shard.close()

    def _write_about(self) -> None:
        write_about(self.path, self._about)

    def _write(self, passages: Sequence[Text], matrix: NDArray[np.float32]) -> None:
        forget_lexical(self.path)
        with self._engine() as edge:
            self._index_metadata(edge, passages)
            for start in range(0, len(passages), POINTS_AT_ONCE):
                block = slice(start, start + POINTS_AT_ONCE)
                points = [
                    edge.Point(point_id(passage.id), vector, payload_of(passage))
                    for passage, vector in zip(passages[block], matrix[block], strict=True)
                ]
                self._shard.update(edge.UpdateOperation.upsert_points(points))
            self._languages = self._count = None
            self._unflushed += len(passages)
            # What is flushed need not be replayed from the log by the next process that opens the folder.
            if self._unflushed >= POINTS_BETWEEN_FLUSHES:
                self._shard.flush()
                self._unflushed = 0

    def _index_metadata(self, edge: Any, passages: Sequence[Text]) -> None:
        """Makes filters fast on the first keys that hold words."""
        for passage in passages:
            for key, value in (passage.metadata or {}).items():
                path = metadata_path(key)
                if isinstance(value, str) and path not in self._indexed and len(self._indexed) < INDEXED_METADATA_KEYS:
                    self._shard.update(edge.UpdateOperation.create_field_index(path, _words_on_disk(edge)))
                    self._indexed.add(path)

    def _nearest(self, vectors: NDArray[Any], k: int, where: Where, *, exact: bool) -> list[Scores]:
        if not exact:
            self._codes.read()
        with self._engine() as edge:
            options = self._options
            rescored = edge.QuantizationSearchParams(rescore=True, oversampling=options.oversampling)
            effort = max(options.search_effort, 2 * k)
            parameters = edge.SearchParams(hnsw_ef=effort, exact=exact, quantization=rescored)
            allowed = _filter(edge, where)
            requests = [
                edge.QueryRequest(
                    query=edge.Query.Nearest(vector), limit=k, filter=allowed, params=parameters, with_payload=["id"]
                )
                for vector in np.ascontiguousarray(vectors, dtype=np.float32)
            ]
            if not requests:
                return []
            answers = self._shard.query_batch(edge.QueryBatchRequest(requests))
        return [ordered({point.payload["id"]: point.score for point in points}, k) for points in answers]

    @contextmanager
    def _engine(self) -> Iterator[Any]:
        with _engine_errors(self.path):
            yield _edge()


def _words_on_disk(edge: Any) -> Any:
    """An index of words that is read where it is asked: in memory, it would be most of the time of opening."""
    return edge.KeywordIndexParams(memory=edge.Memory.Cold)


def _configuration(edge: Any, about: IndexAbout, options: IndexOptions) -> Any:
    types = edge.VectorStorageDatatype
    # What every search looks at is read by `codes`: the engine would read what is `Cached` at opening, page by page.
    coded = about.precision == "int8"
    quantized = edge.ScalarQuantizationConfig(type=edge.ScalarType.Int8, quantile=0.99, memory=edge.Memory.Cold)
    kilobytes = about.dimension * (4 if about.precision == "float32" else 2) / 1024
    return edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(
            size=about.dimension,
            distance=edge.Distance.Dot,
            datatype=types.Float32 if about.precision == "float32" else types.Float16,
            memory=edge.Memory.Cold,
        ),
        quantization_config=quantized if coded else None,
        hnsw_config=edge.HnswIndexConfig(
            m=options.graph_degree,
            ef_construct=options.build_effort,
            full_scan_threshold=10_000 if options.graph_degree else NO_GRAPH,
            max_indexing_threads=options.threads,
        ),
        optimizers=edge.EdgeOptimizersConfig(
            # Too large to be merged with another one, so that no part is made twice.
            max_segment_size=max(1, round(options.part * kilobytes)),
            # So few are compared whole in any case.
            indexing_threshold=max(1, round(options.exact_below / 2 * kilobytes)),
        ),
    )


def _filter(edge: Any, where: Where) -> Any:
    if not where:
        return None
    conditions = []
    if where.languages:
        conditions.append(edge.FieldCondition("language", match=edge.MatchAny(list(where.languages))))
    for key, values in where.wanted().items():
        path = metadata_path(key)
        # The engine takes Python's True for the number 1, and NumPy's for what it is.
        matched = [edge.MatchValue(np.bool_(value) if isinstance(value, bool) else value) for value in values]
        conditions.append(edge.Filter(should=[edge.FieldCondition(path, match=match) for match in matched]))
    return edge.Filter(must=conditions)


def _plain(value: Any) -> str:
    """The text of a facet's value, which the engine wraps."""
    return str(getattr(value, "_0", getattr(value, "value", value)))


def _edge() -> Any:
    try:
        import qdrant_edge
    except ImportError as missing:
        raise MissingExtraError("The embedded index", "index") from missing
    return qdrant_edge


@contextmanager
def _engine_errors(place: Path) -> Iterator[None]:
    """Turns what the engine raises into ours; it knows no other kind than `Exception` itself."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:
            raise
        reason = str(error)
        if "WouldBlock" in reason:
            raise FileError(
                f"{place} is open in another process",
                next_step="One process at a time opens an embedded index: search through `isogloss serve`, or copy it.",
            ) from error
        if any(sign in reason for sign in READ_ONLY):
            raise FileError(
                f"{place} cannot be opened for writing: {reason}",
                next_step="The embedded index writes into its folder also where it is only searched: make the folder "
                "and all in it writable, or copy it to a folder of your own. A bank is only read.",
            ) from error
        raise DataError(
            f"the index {place} cannot be used: {reason}", next_step="Index the bank again into another folder."
        ) from error
