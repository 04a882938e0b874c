"""An index on a Qdrant server or cluster, through `qdrant-client`.

`qdrant://host:6333/collection?shards=2&replicas=2&on_disk=true`; `qdrants://` speaks TLS; without a host,
`qdrant:///folder/collection` is the client's own local mode, for trials and tests. The key is read from the environment
variable QDRANT_API_KEY. Any number of processes read and write; a write returns when the server has applied it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from isogloss.errors import DataError, Fault, FileError, MissingExtraError, UsageError, did_you_mean, raise_faults
from isogloss.indexing.base import BaseEngine
from isogloss.indexing.manifest import IndexOptions, about_from_json, about_to_json
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

ENGINE = "qdrant"
POINTS_AT_ONCE = 1024
PARAMETERS = ("shards", "replicas", "write_consistency", "on_disk")
# `about` is a point of its own: every version of the server has points, only late ones have metadata of a collection.
ABOUT_POINT = "00000000-0000-0000-0000-000000000000"


class QdrantIndex(BaseEngine):
    """Passages and vectors in a collection.

    Args:
        url: Where it is.
        client: An open `QdrantClient`.
        collection: Its name.
        about: What the collection says of itself.
        options: Settings of the searches.
    """

    def __init__(self, url: str, client: Any, collection: str, about: IndexAbout, options: IndexOptions) -> None:
        super().__init__(url, about, options)
        self._client = client
        self._collection = collection

    @classmethod
    def create(cls, url: str, about: IndexAbout, options: IndexOptions | None = None) -> QdrantIndex:
        """Makes an empty collection.

        Raises:
            FileError: The collection exists, or the server does not answer.
            UsageError: The URL has parameters that are not known.
        """
        models = _models()
        client, collection, parameters = _connected(url)
        options = options or IndexOptions()
        about = replace(about, engine=ENGINE)
        with _server_errors(url):
            if client.collection_exists(collection):
                raise FileError(f"{url} exists already", next_step="Give another collection, or delete it.")
            client.create_collection(collection, **_configuration(models, about, options, parameters))
            client.create_payload_index(collection, "language", models.PayloadSchemaType.KEYWORD)
        index = cls(url, client, collection, about, options)
        index._write_about()
        return index

    @classmethod
    def open(cls, url: str, options: IndexOptions | None = None) -> QdrantIndex:
        """Opens a collection that `create` made.

        Raises:
            FileError: There is no such collection, or the server does not answer.
            DataError: The collection was not made by isogloss.
        """
        client, collection, _ = _connected(url)
        with _server_errors(url):
            if not client.collection_exists(collection):
                client.close()
                raise FileError(f"{url} does not exist", next_step=f"Make it: isogloss index BANK --out '{url}'")
            records = client.retrieve(collection, [ABOUT_POINT], with_payload=True)
        if not records:
            raise DataError(
                f"{url} is no index of isogloss", next_step="Give the collection that `isogloss index` made."
            )
        about = about_from_json(json.loads(records[0].payload["about"]), url)
        return cls(url, client, collection, about, options or IndexOptions())

    def delete(self, ids: Sequence[str]) -> None:
        """Removes passages."""
        refuse_unknown(ids, self.known(ids), self.url)
        models = _models()
        with _server_errors(self.url):
            points = models.PointIdsList(points=[point_id(name) for name in ids])
            self._client.delete(self._collection, points, wait=True)

    def passages(self, ids: Sequence[str]) -> list[Text]:
        """The passages with these ids, in their order."""
        with _server_errors(self.url):
            points = [point_id(name) for name in dict.fromkeys(ids)]
            records = self._client.retrieve(self._collection, points, with_payload=True) if points else []
        found = {record.payload["id"]: text_of(record.payload) for record in records}
        refuse_unknown(ids, set(found), self.url)
        return [found[name] for name in ids]

    def all_passages(self) -> Iterator[Text]:
        """Every passage, in the order of the points' UUIDs."""
        offset = None
        while True:
            with _server_errors(self.url):
                records, offset = self._client.scroll(
                    self._collection,
                    scroll_filter=_filter(_models(), EVERY_PASSAGE),
                    limit=POINTS_AT_ONCE,
                    offset=offset,
                )
            yield from (text_of(record.payload) for record in records)
            if offset is None:
                return

    def known(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that are there."""
        with _server_errors(self.url):
            points = [point_id(name) for name in dict.fromkeys(ids)]
            records = self._client.retrieve(self._collection, points, with_payload=["id"]) if points else []
        return {record.payload["id"] for record in records}

    def count(self, where: Where = EVERY_PASSAGE) -> int:
        """How many passages are allowed."""
        with _server_errors(self.url):
            allowed = _filter(_models(), where)
            return int(self._client.count(self._collection, count_filter=allowed, exact=True).count)

    def languages(self) -> dict[str, int]:
        """Passages by language."""
        with _server_errors(self.url):
            found = self._client.facet(self._collection, key="language", limit=10_000, exact=True)
        return dict(sorted((str(hit.value), int(hit.count)) for hit in found.hits))

    def optimize(self) -> None:
        """Does nothing: the server builds its graph by itself."""

    def snapshot(self, path: str) -> None:
        """Is refused: the server keeps its own snapshots."""
        step = f"Use the server's: POST /collections/{self._collection}/snapshots"
        raise UsageError(f"{self.url} cannot be copied to a folder", next_step=step)

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def _write(self, passages: Sequence[Text], matrix: NDArray[np.float32]) -> None:
        models = _models()
        with _server_errors(self.url):
            for start in range(0, len(passages), POINTS_AT_ONCE):
                block = slice(start, start + POINTS_AT_ONCE)
                points = models.Batch(
                    ids=[point_id(passage.id) for passage in passages[block]],
                    vectors=matrix[block].tolist(),
                    payloads=[payload_of(passage) for passage in passages[block]],
                )
                self._client.upsert(self._collection, points, wait=True)

    def _write_about(self) -> None:
        models = _models()
        nowhere = [0.0] * self._about.dimension
        payload = {"about": json.dumps(about_to_json(self._about))}
        with _server_errors(self.url):
            points = models.Batch(ids=[ABOUT_POINT], vectors=[nowhere], payloads=[payload])
            self._client.upsert(self._collection, points, wait=True)

    def _nearest(self, vectors: NDArray[Any], k: int, where: Where, *, exact: bool) -> list[Scores]:
        models = _models()
        options = self._options
        parameters = models.SearchParams(
            hnsw_ef=max(options.search_effort, 2 * k),
            exact=exact,
            quantization=models.QuantizationSearchParams(rescore=True, oversampling=options.oversampling),
        )
        requests = [
            models.QueryRequest(
                query=vector, filter=_filter(models, where), params=parameters, limit=k, with_payload=["id"]
            )
            for vector in np.asarray(vectors, dtype=np.float32).tolist()
        ]
        if not requests:
            return []
        with _server_errors(self.url):
            answers = self._client.query_batch_points(self._collection, requests)
        return [ordered({point.payload["id"]: point.score for point in answer.points}, k) for answer in answers]


def _configuration(models: Any, about: IndexAbout, options: IndexOptions, parameters: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `create_collection`."""
    scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
    precise = about.precision == "float32"
    return {
        "vectors_config": models.VectorParams(
            size=about.dimension,
            distance=models.Distance.DOT,
            datatype=models.Datatype.FLOAT32 if precise else models.Datatype.FLOAT16,
            on_disk=parameters.get("on_disk"),
        ),
        "hnsw_config": models.HnswConfigDiff(m=options.server_degree, ef_construct=options.build_effort),
        "quantization_config": models.ScalarQuantization(scalar=scalar) if about.precision == "int8" else None,
        "shard_number": parameters.get("shards"),
        "replication_factor": parameters.get("replicas"),
        "write_consistency_factor": parameters.get("write_consistency"),
        "on_disk_payload": True,
    }


def _filter(models: Any, where: Where) -> Any:
    conditions: list[Any] = []
    if where.languages:
        match = models.MatchAny(any=list(where.languages))
        conditions.append(models.FieldCondition(key="language", match=match))
    for key, values in where.wanted().items():
        path = metadata_path(key)
        either = [models.FieldCondition(key=path, match=models.MatchValue(value=value)) for value in values]
        conditions.append(models.Filter(should=either))
    return models.Filter(must=conditions, must_not=[models.HasIdCondition(has_id=[ABOUT_POINT])])


def _connected(url: str) -> tuple[Any, str, dict[str, Any]]:
    """Client, collection and parameters of a URL."""
    parts = urlsplit(url)
    folder, _, collection = unquote(parts.path).rpartition("/")
    parameters: dict[str, Any] = {}
    faults = [] if collection else [Fault("url", f"'{url}' names no collection", "qdrant://host:6333/collection")]
    for key, value in parse_qsl(parts.query):
        if key not in PARAMETERS:
            faults.append(Fault(key, f"is no parameter{did_you_mean(key, PARAMETERS)}", ", ".join(PARAMETERS)))
        elif key == "on_disk" and value in ("true", "false"):
            parameters[key] = value == "true"
        elif key != "on_disk" and value.isdecimal() and int(value) > 0:
            parameters[key] = int(value)
        else:
            faults.append(Fault(key, f"'{value}'", "true or false" if key == "on_disk" else "1 and more"))
    raise_faults(UsageError, "index URL", faults)
    qdrant_client = _qdrant_client()
    with _server_errors(url):
        if not parts.netloc:
            return qdrant_client.QdrantClient(path=str(Path(folder or "."))), collection, parameters
        secure = parts.scheme == "qdrants"
        client = qdrant_client.QdrantClient(
            url=f"{'https' if secure else 'http'}://{parts.hostname}:{parts.port or 6333}",
            api_key=os.environ.get("QDRANT_API_KEY"),
            timeout=60,
        )
    return client, collection, parameters


def _models() -> Any:
    return _qdrant_client().models


def _qdrant_client() -> Any:
    try:
        import qdrant_client
    except ImportError as missing:
        raise MissingExtraError("A Qdrant server", "qdrant") from missing
    return qdrant_client


@contextmanager
def _server_errors(url: str) -> Iterator[None]:
    from qdrant_client.http.exceptions import ApiException

    try:
        yield
    except (ApiException, ConnectionError, RuntimeError) as error:
        raise FileError(
            f"{url}: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            next_step="Check that the server runs, its address, and QDRANT_API_KEY.",
        ) from error
