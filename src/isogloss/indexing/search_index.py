"""Search as a user means it: texts in, passages out, by meaning, by words, or by both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from isogloss.errors import Fault, UsageError, raise_faults
from isogloss.indexing.fusion import reciprocal_rank_fusion, weighted_fusion
from isogloss.indexing.hits import Hit, Stage, checked_languages
from isogloss.indexing.lexical import LexicalIndex
from isogloss.indexing.lexical_files import lexical_index
from isogloss.indexing.manifest import is_index
from isogloss.indexing.protocol import EVERY_PASSAGE, Index, IndexAbout, Scores, Value, Where, check_where, ordered
from isogloss.indexing.rerank import CrossEncoderReranker, Reranker
from isogloss.languages import normalize
from isogloss.records import Text

if TYPE_CHECKING:
    from isogloss.models.retriever import Retriever

Mode = Literal["dense", "lexical", "hybrid"]
Fusion = Literal["rrf", "weighted"]
MODES = ("dense", "lexical", "hybrid")
FUSIONS = ("rrf", "weighted")
CANDIDATES = 100


class SearchIndex:
    """An index with the retriever that belongs to it; threads may share it.

    Args:
        index: The engine that holds the passages.
        retriever: Encodes queries and new passages; None searches by words alone.

    Raises:
        StaleBankError: The retriever's passage tower did not make the vectors of the index.

    Examples:
        >>> with open_index("my-index") as index:  # doctest: +SKIP
        ...     for hit in index.search(["wie entsteht ein Regenbogen?"], k=3, languages=["en"])[0]:
        ...         print(hit.rank, hit.score, hit.id, hit.text)
    """

    def __init__(self, index: Index, retriever: Retriever | None = None) -> None:
        self.index = index
        self.retriever = retriever
        self._lexical: LexicalIndex | None = None
        self._lexical_lock = threading.Lock()
        self._rerankers: dict[str, Reranker] = {}
        if retriever is not None:
            index.about.require(retriever.passage.fingerprint, index.url)

    def __enter__(self) -> SearchIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where the index is."""
        return self.index.url

    @property
    def about(self) -> IndexAbout:
        """What made the vectors, and how they are kept."""
        return self.index.about

    @property
    def fingerprint(self) -> dict[str, str]:
        """What made the vectors, by named part."""
        return dict(self.index.about.parts)

    def languages(self) -> dict[str, int]:
        """Passages by language."""
        return self.index.languages()

    def not_by_words(self, languages: Sequence[str] = ()) -> tuple[str, ...]:
        """Those of these languages, or of all, that the lexical index leaves out: only their meaning is searched.

        Args:
            languages: Languages of passages, in any spelling; all where there are none.
        """
        left_out = self.about.no_words
        wanted = {normalize(language) for language in languages} if languages else set(self.languages())
        return tuple(language for language in left_out if language in wanted)

    def count(self, *, languages: Sequence[str] = (), metadata: Mapping[str, Any] | None = None) -> int:
        """How many passages a filter allows."""
        return self.index.count(self._where(languages, metadata))

    def search(
        self,
        queries: Sequence[str],
        *,
        k: int = 10,
        languages: Sequence[str] = (),
        metadata: Mapping[str, Value | Sequence[Value]] | None = None,
        mode: Mode = "dense",
        fusion: Fusion = "rrf",
        weight: float = 0.5,
        rerank: str | Reranker | None = None,
        depth: int = CANDIDATES,
        vectors: NDArray[np.float32] | None = None,
    ) -> list[list[Hit]]:
        """Finds the k best passages of each query.

        Args:
            queries: Texts in any languages, without prompts.
            k: Results per query. There are fewer only where fewer passages are allowed or, in mode `lexical`, share a
                term with the query.
            languages: Languages of the passages that may be found, in any spelling; all where there are none.
            metadata: Values that a passage's metadata must have, by key: one, or several of which one.
            mode: `dense` (by meaning), `lexical` (BM25), or `hybrid`: both, fused.
            fusion: `rrf`, by reciprocal ranks, or `weighted`, by scores brought to 0 … 1.
            weight: Share of the dense stage in the fusion, 0 to 1; the lexical stage has the rest.
            rerank: A cross-encoder, or its name, that reorders the best `depth` of the stages before it.
            depth: Candidates that a stage hands to the next; at least k.
            vectors: The queries' vectors, shape (queries, dimension), where the caller has them; else they are encoded.

        Raises:
            UsageError: Arguments out of range, languages that no passage has, or, in mode `lexical`, languages that the
                lexical index leaves out, all of them.
            DataError: An empty query; or lexical search over a language without a tokenizer.
        """
        self._check(queries, k, mode, fusion, weight, depth)
        where = self._where(languages, metadata)
        if mode == "lexical" and languages:
            self._refuse_without_words(where.languages)
        wanted = k if mode != "hybrid" and rerank is None else max(k, depth)
        stages: dict[str, list[Scores]] = {}
        if mode != "lexical":
            known = self._vectors(queries) if vectors is None else vectors
            stages["dense"] = self.index.search(known, k=wanted, where=where)
        if mode != "dense":
            stages["lexical"] = self._by_words(queries, wanted, where)
        if mode == "hybrid":
            stages["fusion"] = fused(stages["dense"], stages["lexical"], fusion=fusion, weight=weight, k=wanted)
        texts = self._texts(list(stages.values())[-1], wanted if rerank is not None else k)
        if rerank is not None:
            last = list(stages.values())[-1]
            stages["rerank"] = [
                self._reranked(self._reranker(rerank), query, scores, texts)
                for query, scores in zip(queries, last, strict=True)
            ]
        return [_hits({name: found[row] for name, found in stages.items()}, texts, k) for row in range(len(queries))]

    def add(self, passages: Sequence[Text]) -> None:
        """Encodes and adds passages that are not there yet; on return they are durable and can be found.

        Raises:
            DataError: An id is there already, or appears twice, or a text is empty; nothing was added then.
        """
        self._written(lambda: self.index.add(passages, self._retriever().encode_passage(passages)))

    def update(self, passages: Sequence[Text]) -> None:
        """As `add`, replacing passages with the same ids."""
        self._written(lambda: self.index.update(passages, self._retriever().encode_passage(passages)))

    def delete(self, ids: Sequence[str]) -> None:
        """Removes passages.

        Raises:
            DataError: An id is not there; nothing was removed then.
        """
        self._written(lambda: self.index.delete(ids))

    def passages(self, ids: Sequence[str]) -> list[Text]:
        """The passages with these ids, in their order."""
        return self.index.passages(ids)

    def metadata_keys(self, look_at: int = 1000) -> list[str]:
        """Keys that the metadata of the first passages have, sorted; of others there may be more."""
        return sorted({key for passage in islice(self.index.all_passages(), look_at) for key in passage.metadata or ()})

    def optimize(self) -> None:
        """Builds what makes searches fast, after many additions."""
        self.index.optimize()

    def prepare_lexical(self) -> LexicalIndex:
        """The lexical index: as it is kept, or made now.

        Raises:
            DataError: A language without a tokenizer.
        """
        with self._lexical_lock:
            lexical = self._lexical
            if lexical is None or len(lexical) + lexical.left_out != self.index.count():
                folder = Path(self.index.url) if "://" not in self.index.url else None
                kept_in = folder if folder and is_index(folder) else None
                lexical = lexical_index(
                    kept_in, self.index.all_passages, without=self.about.no_words, parts=self.about.word_parts
                )
                self._lexical = lexical
            return lexical

    def close(self) -> None:
        """Lets go of the engine."""
        self.index.close()

    def _written(self, write: Callable[[], None]) -> None:
        # Held, so that a lexical index being made in another thread cannot outlive the passages that it was made of.
        with self._lexical_lock:
            self._lexical = None
            write()

    def _retriever(self) -> Retriever:
        if self.retriever is None:
            raise UsageError("The index was opened without a model", next_step="Open it with one, or use mode=lexical.")
        return self.retriever

    def _vectors(self, queries: Sequence[str]) -> NDArray[np.float32]:
        return self._retriever().encode_query(queries)

    def _where(self, languages: Sequence[str], metadata: Mapping[str, Any] | None) -> Where:
        if not languages and not metadata:
            return EVERY_PASSAGE
        check_where(metadata or {})
        tags = checked_languages(languages, set(self.index.languages()), "index") if languages else ()
        return Where(tags, dict(metadata or {}))

    def _by_words(self, queries: Sequence[str], k: int, where: Where) -> list[Scores]:
        lexical = self.prepare_lexical()
        languages = [language for language in where.languages if language not in lexical.without]
        if where.languages and not languages:
            return [{} for _ in queries]
        named = [Text(str(row), query) for row, query in enumerate(queries)]
        allowed = None
        if where.metadata:
            allowed = {passage.id for passage in self.index.all_passages() if where.allows(passage)}
        run = lexical.search(named, k=k, languages=languages, allowed=allowed)
        return [run[query.id] for query in named]

    def _refuse_without_words(self, languages: Sequence[str]) -> None:
        faults = [
            Fault(f"language {language}", "is left out of the lexical index")
            for language in self.not_by_words(languages)
        ]
        next_step = f"Search by meaning, or put it back: isogloss index --out '{self.url}' --no-words none"
        raise_faults(UsageError, "lexical search", faults, next_step)

    def _texts(self, found: Sequence[Scores], count: int) -> dict[str, Text]:
        names = list(dict.fromkeys(name for scores in found for name in list(scores)[:count]))
        return {passage.id: passage for passage in self.index.passages(names)} if names else {}

    def _reranker(self, rerank: str | Reranker) -> Reranker:
        if not isinstance(rerank, str):
            return rerank
        if rerank not in self._rerankers:
            self._rerankers[rerank] = CrossEncoderReranker(rerank)
        return self._rerankers[rerank]

    def _reranked(self, reranker: Reranker, query: str, scores: Scores, texts: Mapping[str, Text]) -> Scores:
        names = list(scores)
        if not names:
            return {}
        whole = [f"{texts[name].title} {texts[name].text}".strip() for name in names]
        return ordered(dict(zip(names, reranker.scores(query, whole).tolist(), strict=True)), len(names))

    def _check(self, queries: Sequence[str], k: int, mode: str, fusion: str, weight: float, depth: int) -> None:
        faults = [Fault(name, f"{value}", "at least 1") for name, value in (("k", k), ("depth", depth)) if value < 1]
        if isinstance(queries, str):
            faults.append(Fault("queries", "is one text", "a list of texts"))
        if mode not in MODES:
            faults.append(Fault("mode", f"'{mode}'", ", ".join(MODES)))
        if fusion not in FUSIONS:
            faults.append(Fault("fusion", f"'{fusion}'", ", ".join(FUSIONS)))
        if not 0 <= weight <= 1:
            faults.append(Fault("weight", f"{weight}", "0 to 1"))
        if mode != "lexical" and self.retriever is None:
            faults.append(Fault("mode", f"'{mode}' needs a model, and the index was opened without one", "lexical"))
        raise_faults(UsageError, "search", faults)


def fused(dense: Sequence[Scores], lexical: Sequence[Scores], *, fusion: str, weight: float, k: int) -> list[Scores]:
    """The fusion of two stages, query by query.

    Args:
        dense: Scores by passage id, for each query.
        lexical: The same, of the other stage.
        fusion: `rrf` or `weighted`.
        weight: Share of the dense stage.
        k: Results per query.
    """
    runs = [{str(row): scores for row, scores in enumerate(stage)} for stage in (dense, lexical)]
    weights = [weight, 1 - weight]
    if fusion == "weighted":
        run = weighted_fusion(runs, weights, k=k)
    else:
        run = reciprocal_rank_fusion(runs, weights=weights, k=k)
    return [run[str(row)] for row in range(len(dense))]


def _hits(stages: Mapping[str, Scores], texts: Mapping[str, Text], k: int) -> list[Hit]:
    """The hits of one query, with what each stage said of them."""
    by_stage = {
        stage: {name: Stage(rank, score) for rank, (name, score) in enumerate(scores.items(), start=1)}
        for stage, scores in stages.items()
    }
    last = list(stages.values())[-1]
    return [
        Hit(rank, score, texts[name], {stage: found[name] for stage, found in by_stage.items() if name in found})
        for rank, (name, score) in enumerate(list(last.items())[:k], start=1)
    ]
