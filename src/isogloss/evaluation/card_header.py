"""The head of a model card in the form of the Hugging Face hub: languages, licence, tags, and results by language pair.

Format: https://huggingface.co/docs/hub/model-cards (fields) and its `model-index` of Papers with Code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from isogloss.datasets.registry import KNOWN_SETS
from isogloss.errors import DataError
from isogloss.evaluation.card_sources import Scores

TAGS = ("sentence-transformers", "isogloss", "dense-retrieval", "multilingual")
_FENCE = re.compile(r"\A---\r?\n(.*?)^---[ \t]*\r?\n", re.DOTALL | re.MULTILINE)
_METRICS = {"ndcg": "ndcg", "r": "recall", "rr": "mrr", "ap": "map", "p": "precision"}


def split_header(text: str) -> tuple[dict[str, Any], str]:
    """The fields of a card's head, and the card without it.

    Raises:
        DataError: If there is a head that is no YAML.
    """
    found = _FENCE.match(text)
    if found is None:
        return {}, text
    try:
        fields = yaml.load(found[1], Loader=yaml.BaseLoader)  # noqa: S506 - texts only, so that `no` stays Norwegian
    except yaml.YAMLError as error:
        raise DataError(f"The README's head is no YAML: {error}", next_step="Mend what is between its ---.") from error
    return (dict(fields) if isinstance(fields, dict) else {}), text[found.end() :]


def header(old: Mapping[str, Any], *, name: str, licence: str, scores: Sequence[Scores]) -> str:
    """The head of a card: what it had before, with languages, licence, tags and results of ours.

    Args:
        old: Fields that it had; those that isogloss does not write stay.
        name: Name of the model.
        licence: Its licence, as the hub writes it; empty keeps the old one.
        scores: What was measured.
    """
    fields = dict(old)
    spoken = [*_listed(fields.get("language")), *(tag for found in scores for tag in found.languages)]
    fields["language"] = sorted({tag.partition("-")[0] for tag in spoken})
    if licence:
        fields["license"] = licence.lower()
    fields.setdefault("library_name", "sentence-transformers")
    fields.setdefault("pipeline_tag", "sentence-similarity")
    fields["tags"] = list(dict.fromkeys([*_listed(fields.get("tags")), *TAGS]))
    fields["model-index"] = [{"name": name, "results": [row for found in scores for row in _results(found)]}]
    return f"---\n{yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=120)}---\n"


def metric_name(measure: str) -> str:
    """The hub's name of a measure: `nDCG@10` is `ndcg_at_10`."""
    kind, _, depth = measure.lower().partition("@")
    named = _METRICS.get(kind, re.sub(r"\W+", "_", kind).strip("_"))
    return f"{named}_at_{depth}" if depth else named


def _results(scores: Scores) -> Iterable[dict[str, Any]]:
    known = KNOWN_SETS.get(scores.data)
    place = known.hub.partition("@")[0] if known and known.hub else scores.data
    for (query, passage), cell in scores.cells.items():
        if cell["blank"]:
            continue
        yield {
            "task": {"type": "retrieval", "name": "Retrieval"},
            "dataset": {"type": place, "name": f"{scores.data} ({query}-{passage})", "config": f"{query}-{passage}"},
            "metrics": [
                {"type": metric_name(measure), "name": measure, "value": round(score["value"], 5)}
                for measure, score in cell["scores"].items()
            ],
        }


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(part) for part in value] if isinstance(value, list) else [str(value)]
