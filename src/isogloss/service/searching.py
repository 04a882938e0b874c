"""Search for many callers: the query is encoded, the corpus is asked, and the answer says where each hit came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogloss.errors import UnknownLanguageError, UsageError, did_you_mean
from isogloss.indexing.protocol import check_where
from isogloss.languages import language_name, normalize
from isogloss.service.batching import Batcher
from isogloss.service.corpus import EVEN_WEIGHT, Corpus, Found, Question, in_turn
from isogloss.service.encoding import EncodedTexts, Encoder
from isogloss.service.failures import RefusalError
from isogloss.service.metrics import Metrics
from isogloss.service.schemas import Mode, SearchRequest
from isogloss.service.settings import ServiceSettings
from isogloss.service.snippets import Snippet, best_span, candidates, snippet
from isogloss.service.texts import named, without_control_characters

MOST_LANGUAGES_IN_TURN = 64
_SENTENCES_AT_ONCE = 64
_SHOWN_FAULTS = 20


@dataclass(frozen=True)
class _Job:
    question: Question
    in_turn: bool
    facet_hits: int


@dataclass(frozen=True)
class _Answer:
    hits: list[Found]
    facets: dict[str, int]


class Searcher:
    """A corpus behind a queue.

    Args:
        corpus: What is searched.
        encoder: Encodes the queries, and the sentences of snippets.
        settings: Limits.
        metrics: Counts searches.
    """

    def __init__(self, corpus: Corpus, encoder: Encoder, settings: ServiceSettings, metrics: Metrics) -> None:
        self.corpus = corpus
        self._encoder = encoder
        self._settings = settings
        self._metrics = metrics
        self.queue: Batcher[_Job, _Answer] = Batcher(
            "searching",
            self._search_jobs,
            max_batch=1,
            max_waiting=settings.max_waiting_searches,
            on_batch=lambda weight, seconds: metrics.batch_done("searching", weight, seconds),
        )
        metrics.watch_queue("searching", lambda: self.queue.waiting)

    @property
    def default_mode(self) -> Mode:
        """How a request is searched that names no mode."""
        wanted = self._settings.default_mode
        return wanted if wanted in self.corpus.modes else "dense"

    def about(self) -> dict[str, Any]:
        """What the corpus holds, for people."""
        languages = sorted(self.corpus.languages.items(), key=lambda item: (-item[1], item[0]))
        return {
            "name": self.corpus.name,
            "passages": len(self.corpus),
            "languages": [{"language": tag, "name": language_name(tag), "passages": count} for tag, count in languages],
            "modes": list(self.corpus.modes),
            "no_words": list(self.corpus.no_words),
            "preparing": self.corpus.preparing,
            "default_mode": self.default_mode,
            "rerank": self.corpus.reranks,
        }

    async def search(self, request: SearchRequest) -> tuple[dict[str, Any], EncodedTexts]:
        """The answer to a request as JSON values, and what was done to its query.

        Raises:
            RefusalError: 400 where the request does not fit the corpus, 429 where the queue is full.
        """
        query = without_control_characters(request.query).strip()
        mode = self._checked_mode(request)
        self._check_rerank(request)
        languages = self._checked_languages(request.languages)
        not_by_words = [tag for tag in self.corpus.no_words if not languages or tag in languages]
        if mode == "lexical" and languages:
            _check_words(not_by_words)
        _check_metadata(request.metadata)
        encoded = await self._encoder.encode([query], "query", field="query")
        weight = EVEN_WEIGHT if request.dense_weight is None else request.dense_weight
        question = Question(
            query, request.k, mode, languages, request.metadata, weight, encoded.vectors[0], request.rerank
        )
        answer = await self.queue.submit(
            _Job(question, request.preference_neutral, self._settings.facet_hits if request.facets else 0)
        )
        self._metrics.searches.labels(mode).inc()
        marked = (
            await self._snippets(answer.hits, encoded.vectors[0]) if request.snippets else [None] * len(answer.hits)
        )
        hits = [
            _hit(rank, found, piece) for rank, (found, piece) in enumerate(zip(answer.hits, marked, strict=True), 1)
        ]
        body: dict[str, Any] = {"object": "list", "mode": mode, "languages": list(languages), "hits": hits}
        if not_by_words and mode != "dense":
            body["not_by_words"] = not_by_words
        if request.facets:
            counted = Counter(answer.facets).most_common()
            body["facets"] = [{"language": tag, "name": language_name(tag), "hits": count} for tag, count in counted]
        return body, encoded

    def _checked_mode(self, request: SearchRequest) -> Mode:
        mode = request.mode or self.default_mode
        has = ", ".join(self.corpus.modes)
        if mode not in self.corpus.modes and self.corpus.preparing:
            message = f"mode: the {mode} search is being prepared; dense search is ready."
            raise RefusalError(503, message, code="preparing", parameter="mode", retry_after=2)
        if mode not in self.corpus.modes:
            raise RefusalError(
                400, f"mode: this corpus has no {mode} search (it has: {has}).", code="mode", parameter="mode"
            )
        if request.dense_weight is not None and mode != "hybrid":
            message = f"dense_weight: only a hybrid search has one, this is {mode}."
            raise RefusalError(400, message, code="dense_weight", parameter="dense_weight")
        if request.k > self._settings.max_hits:
            message = f"k: {request.k} (at most {self._settings.max_hits})."
            raise RefusalError(400, message, code="k", parameter="k")
        return mode

    def _check_rerank(self, request: SearchRequest) -> None:
        if request.rerank and not self.corpus.reranks:
            message = "rerank: this service was started without a cross-encoder."
            raise RefusalError(400, message, code="rerank", parameter="rerank")
        if request.rerank and request.preference_neutral:
            message = "rerank: a cross-encoder's order and that of languages in turn exclude each other."
            raise RefusalError(400, message, code="rerank", parameter="rerank")

    def _checked_languages(self, tags: Sequence[str]) -> tuple[str, ...]:
        wanted: dict[str, None] = {}
        faults = []
        for given in dict.fromkeys(tags):
            try:
                tag = normalize(given[:64])
            except UnknownLanguageError:
                faults.append(f"'{named(given)}' is in no known spelling")
                continue
            if tag in self.corpus.languages:
                wanted[tag] = None
            else:
                faults.append(f"no passage is in '{tag}'{did_you_mean(tag, self.corpus.languages)}")
        if faults:
            more = f"; and {len(faults) - _SHOWN_FAULTS} more" if len(faults) > _SHOWN_FAULTS else ""
            message = f"languages: {'; '.join(faults[:_SHOWN_FAULTS])}{more}."
            raise RefusalError(400, message, code="language", parameter="languages")
        return tuple(wanted)

    def _search_jobs(self, jobs: Sequence[_Job]) -> list[_Answer]:
        return [self._answer(job) for job in jobs]

    def _answer(self, job: _Job) -> _Answer:
        question = job.question
        unfiltered = replace(question, k=max(question.k, job.facet_hits), languages=(), rerank=False)
        counted: list[Found] = []
        try:
            if job.facet_hits:
                counted = self.corpus.search(unfiltered)
            if job.in_turn:
                hits = self._in_turn(question)
            elif counted and not question.languages and not question.rerank:
                hits = counted[: question.k]
            else:
                hits = self.corpus.search(question)
        except UsageError as fault:
            raise RefusalError(400, "The index does not take this query.", code="query") from fault
        facets = Counter(found.passage.language for found in counted[: job.facet_hits] if found.passage.language)
        return _Answer(hits, dict(facets))

    def _in_turn(self, question: Question) -> list[Found]:
        """Hits of each language by itself; of very many languages, those that have most passages."""
        sizes = self.corpus.languages
        asked: Sequence[str] = question.languages or tuple(sizes)
        if question.mode == "lexical":
            asked = [tag for tag in asked if tag not in self.corpus.no_words]
        most = sorted(asked, key=lambda tag: (-sizes[tag], tag))[:MOST_LANGUAGES_IN_TURN]
        return in_turn([self.corpus.search(replace(question, languages=(tag,))) for tag in most], question.k)

    async def _snippets(self, hits: Sequence[Found], query: NDArray[np.float32]) -> list[Snippet | None]:
        """The sentence of each hit that is closest to the query; None for a text without a letter."""
        texts = [found.passage.text for found in hits]
        spans = [candidates(text) for text in texts]
        sentences = [text[slice(*span)] for text, own in zip(texts, spans, strict=True) for span in own]
        parts = [
            sentences[start : start + _SENTENCES_AT_ONCE] for start in range(0, len(sentences), _SENTENCES_AT_ONCE)
        ]
        blocks = [(await self._encoder.encode(part, "passage", field="hits")).vectors for part in parts]
        vectors = iter(np.concatenate(blocks) if blocks else ())
        own_vectors = [[next(vectors) for _ in own] for own in spans]
        return [
            snippet(text, best_span(own, np.stack(rows), query)) if own else None
            for text, own, rows in zip(texts, spans, own_vectors, strict=True)
        ]


def _check_words(left_out: Sequence[str]) -> None:
    if left_out:
        message = f"languages: the lexical index leaves out {', '.join(left_out)}; search in mode dense or hybrid."
        raise RefusalError(400, message, code="language", parameter="languages")


def _check_metadata(metadata: Mapping[str, Any]) -> None:
    words = [
        part for key, values in metadata.items() for part in (key, *(values if isinstance(values, list) else [values]))
    ]
    if any(word != without_control_characters(word) for word in words if isinstance(word, str)):
        raise RefusalError(400, "metadata: no control characters.", code="metadata", parameter="metadata")
    try:
        check_where(metadata)
    except UsageError:
        message = "metadata: keys have no quotes and no backslashes."
        raise RefusalError(400, message, code="metadata", parameter="metadata") from None


def _hit(rank: int, found: Found, piece: Snippet | None) -> dict[str, Any]:
    passage = found.passage
    hit = {
        "rank": rank,
        "id": passage.id,
        "score": found.score,
        "language": passage.language,
        "title": passage.title,
        "text": passage.text,
        "ranks": dict(found.ranks),
        "scores": dict(found.scores),
    }
    if passage.metadata:
        hit["metadata"] = dict(passage.metadata)
    return hit | ({"snippet": asdict(piece)} if piece else {})
