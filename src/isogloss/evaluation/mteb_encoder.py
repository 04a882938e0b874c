"""A retriever as mteb's encoder, with roles: mteb says `query` or `document`, and the tower of that role answers.

    import mteb
    from isogloss.evaluation.mteb_encoder import MtebEncoder

    encoder = MtebEncoder(Retriever.load("my-model"), name="me/my-model")
    mteb.evaluate(encoder, mteb.get_tasks(["MIRACLRetrievalHardNegatives"], languages=["swa"]))

For the protocol of mteb 2 (`mteb.models.EncoderProtocol`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogloss.errors import MissingExtraError, UsageError
from isogloss.records import Role, Text

_REVISION_CHARACTERS = 16


class MtebEncoder:
    """Gives mteb the vectors of a retriever.

    Args:
        retriever: Its prompts, lengths and title template are used; mteb adds none of its own.
        name: `owner/model`, under which mteb files the results.
        revision: Which version of the model; by default the beginning of the fingerprint of its weights and prompts.
        symmetric_role: Role of texts for which mteb names none, as in tasks of similarity or classification.

    Raises:
        UsageError: If the name is not `owner/model`, or the role is none.
    """

    def __init__(
        self, retriever: Any, *, name: str, revision: str | None = None, symmetric_role: Role = "query"
    ) -> None:
        owner, slash, model = name.partition("/")
        if not owner or not slash or not model or "/" in model:
            raise UsageError(f"'{name}' is no name for mteb", next_step="Write it as owner/model.")
        if symmetric_role not in ("query", "passage"):
            raise UsageError(f"symmetric_role '{symmetric_role}' is no role", next_step="Choose query or passage.")
        self._retriever = retriever
        self._name = name
        self._revision = revision or model_revision(retriever)
        self._symmetric_role = symmetric_role

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **kwargs: Any,
    ) -> NDArray[np.float32]:
        """Vectors of shape (texts, dimension), float32.

        mteb's collections hold empty texts, which have no vector: they get zeros, whose similarity to all texts is 0.

        Args:
            inputs: Batches with the key `text`, and `title` and `body` where passages have titles.
            task_metadata: Not used, like split, subset and options: the role alone decides.
            hf_split: Not used.
            hf_subset: Not used.
            prompt_type: mteb's `PromptType`, or None.
            kwargs: Not used.
        """
        role = self._role(prompt_type)
        texts = [text for batch in inputs for text in _texts(batch)]
        vectors = np.zeros((len(texts), self._retriever.dimension), dtype=np.float32)
        filled = [index for index, text in enumerate(texts) if (text.text + text.title).strip()]
        if filled:
            vectors[filled] = self._retriever.encode([texts[index] for index in filled], role=role)
        return vectors

    def similarity(self, embeddings1: Any, embeddings2: Any) -> NDArray[np.float32]:
        """Cosines of all pairs, shape (first, second): the vectors have unit length."""
        return np.atleast_2d(_array(embeddings1)) @ np.atleast_2d(_array(embeddings2)).T

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> NDArray[np.float32]:
        """Cosines of the pairs in order, shape (pairs,)."""
        products: NDArray[np.float32] = np.einsum("ij,ij->i", _array(embeddings1), _array(embeddings2))
        return products

    @property
    def mteb_model_meta(self) -> Any:
        """What mteb records of the model.

        Raises:
            MissingExtraError: If mteb is not installed.
        """
        try:
            from mteb.models import ModelMeta
        except ImportError as missing:
            raise MissingExtraError("Running mteb", "mteb") from missing
        return ModelMeta.create_empty(overwrites=model_meta(self._retriever, self._name, self._revision))

    def _role(self, prompt_type: Any) -> Role:
        written = getattr(prompt_type, "value", prompt_type)
        if written is None:
            return self._symmetric_role
        return "query" if written == "query" else "passage"


def model_revision(retriever: Any) -> str:
    """A short name of what decides the vectors of both towers."""
    digests = dict.fromkeys(tower.fingerprint.digest for tower in (retriever.query, retriever.passage))
    each = _REVISION_CHARACTERS // len(digests)
    return "".join(digest[:each] for digest in digests)


def model_meta(retriever: Any, name: str, revision: str) -> dict[str, Any]:
    """What isogloss knows for mteb's `model_meta.json`."""
    lengths = [tower.max_length for tower in (retriever.query, retriever.passage)]
    return {
        "name": name,
        "revision": revision,
        "embed_dim": retriever.dimension,
        "max_tokens": None if None in lengths else min(lengths),
        "similarity_fn_name": "cosine",
        "use_instructions": bool(retriever.query.prompt or retriever.passage.prompt),
        "framework": ["Sentence Transformers"],
    }


def _texts(batch: Mapping[str, Any]) -> Sequence[Text]:
    """Texts of a batch; titles apart, so that the retriever's own template joins them."""
    titles, bodies = batch.get("title"), batch.get("body")
    if titles is not None and bodies is not None:
        return [Text("", body.strip(), title=title or "") for title, body in zip(titles, bodies, strict=True)]
    return [Text("", text) for text in batch["text"]]


def _array(embeddings: Any) -> NDArray[np.float32]:
    return np.asarray(embeddings, dtype=np.float32)
