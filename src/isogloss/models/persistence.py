"""Writes a retriever in the sentence-transformers layout, with the class names that all its releases resolve."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from isogloss import __version__
from isogloss.engines.hashing import text_digest, tokenizer_digest
from isogloss.engines.protocol import Engine, SavedModule
from isogloss.engines.truncated import TruncatedEngine
from isogloss.files import FolderKind, atomic_folder
from isogloss.models.folder import CHECKPOINT_FILES, TOKENIZER_DIGESTS

LEGACY_PACKAGE = "sentence_transformers.models"
OLDEST_SENTENCE_TRANSFORMERS = "5.0.0"  # first with Router; releases warn of folders newer than themselves
NOTES_FORMAT = 1
MODEL = FolderKind(
    "a model",
    "modules.json",
    (
        *CHECKPOINT_FILES,
        *("config_sentence_transformers.json", "sentence_bert_config.json", "router_config.json", "isogloss.json"),
        *("parity.json", "[0-9]_[A-Z]*/*", "query_[0-9]_*/*", "document_[0-9]_*/*", "onnx/*", "openvino/*"),
    ),
)


def write_model_folder(
    path: Path,
    query: Engine,
    passage: Engine,
    *,
    shared: bool,
    prompts: Mapping[str, str],
    default_prompt_name: str | None,
    notes: Mapping[str, Any],
    overwrite: bool = False,
) -> None:
    """Writes a model folder, whole or not at all.

    Args:
        path: Where it shall be.
        query: Engine of the queries.
        passage: Engine of the passages.
        shared: Whether one set of modules serves both; else a router has a route for each.
        prompts: Prompts by the names that sentence-transformers uses.
        default_prompt_name: Name of the prompt of texts without a role.
        notes: Content of `isogloss.json`.
        overwrite: Whether a folder that is there may be replaced.

    Raises:
        FileError: If it cannot be written; what was there stays as it was.
        ModelError: If a module has no place in the layout.
    """
    with atomic_folder(path, overwrite=overwrite, kind=MODEL) as folder:
        if shared:
            listed = _write_route(folder, query.saved_modules())
        else:
            listed = [{"idx": 0, "name": "0", "path": "", "type": f"{LEGACY_PACKAGE}.Router"}]
            _write_router(folder, {"query": query.saved_modules(), "document": passage.saved_modules()})
        _write_json(folder / "modules.json", listed)
        config: dict[str, Any] = {
            "model_type": "SentenceTransformer",
            "__version__": {"sentence_transformers": OLDEST_SENTENCE_TRANSFORMERS},
            "prompts": dict(prompts),
            "default_prompt_name": default_prompt_name,
            "similarity_fn_name": "cosine",
        }
        if isinstance(query, TruncatedEngine):
            config["truncate_dim"] = query.dimension
        _write_json(folder / "config_sentence_transformers.json", config)
        described = {"format": NOTES_FORMAT, "isogloss": __version__, **notes}
        _write_json(folder / "isogloss.json", described | {TOKENIZER_DIGESTS: static_tokenizer_digests(folder)})
        (folder / "README.md").write_text(_card(query.dimension, prompts), encoding="utf-8")


def static_tokenizer_digests(folder: Path) -> dict[str, str]:
    """Digests of the tokenizers of static modules by the SHA-256 of their files, so that a start need not take them."""
    files = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*_StaticEmbedding/tokenizer.json"))]
    return {text_digest(content): tokenizer_digest(Tokenizer.from_str(content).to_str()) for content in files}


def _write_route(folder: Path, modules: list[SavedModule]) -> list[dict[str, Any]]:
    listed = []
    for index, module in enumerate(modules):
        place = "" if module.kind == "Transformer" and index == 0 else f"{index}_{module.kind}"
        (folder / place).mkdir(exist_ok=True)
        module.write(folder / place)
        listed.append({"idx": index, "name": str(index), "path": place, "type": f"{LEGACY_PACKAGE}.{module.kind}"})
    return listed


def _write_router(folder: Path, routes: Mapping[str, list[SavedModule]]) -> None:
    types: dict[str, str] = {}
    structure: dict[str, list[str]] = {}
    written: dict[tuple[str, int], str] = {}
    for route, modules in routes.items():
        structure[route] = []
        for index, module in enumerate(modules):
            key = (module.kind, module.identity)
            if key not in written:
                written[key] = name = f"{route}_{index}_{module.kind}"
                types[name] = f"{LEGACY_PACKAGE}.{module.kind}"
                (folder / name).mkdir()
                module.write(folder / name)
            structure[route].append(written[key])
    parameters = {"default_route": "document", "allow_empty_key": True}
    _write_json(folder / "router_config.json", {"types": types, "structure": structure, "parameters": parameters})


def _card(dimension: int, prompts: Mapping[str, str]) -> str:
    used = "\n".join(f"- {name}: `{prompt}`" for name, prompt in prompts.items() if prompt) or "- none"
    return f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags: [sentence-transformers, isogloss, dense-retrieval, multilingual]
---

# A retriever saved by isogloss

Vectors of {dimension} dimensions, unit length, compared by cosine.

```python
import isogloss

retriever = isogloss.Retriever.load("path/of/this/folder")
scores = retriever.encode_query(["…"]) @ retriever.encode_passage(["…"]).T
```

`SentenceTransformer("path/of/this/folder")` opens it too: use its `encode_query` and `encode_document`.

Prompts by role, added by both:

{used}
"""


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
