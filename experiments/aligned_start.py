"""A start model that knows translations and no question: static, and trained on parallel text alone."""

from __future__ import annotations

from pathlib import Path

from experiments.design import Workspace, as_overrides
from isogloss.training import load_training_recipe, train

LANGUAGES = ("ar", "de", "el", "en", "es", "he", "hi", "id", "ja", "nb", "ro", "ru", "th", "tr", "vi", "zh", "zh-hant")
FILES = ("tutorials", "bible-nt", "tico19", "privacyguides", "wikipedia-android", "scratch", "bitcoin-org")
# Beside the folders of the experiments, which share it.
FOLDER = "{work}/../aligned_start"
MODEL = f"{FOLDER}/model"
STEPS = 400
BATCH = 512

WORDS = (
    "The model that comes with isogloss was trained on these very rows, so the start is another one: a static model of "
    "128 dimensions and 30,000 pieces, made from random directions and trained on parallel text of 17 languages alone "
    f"({STEPS} steps of {BATCH} pairs, semantic contrastive). Its vocabulary is counted there too. It has never been "
    "shown a question with its passage."
)


def make_aligned_start(workspace: Workspace) -> Path:
    """Trains the start model where it is not there yet, going on where a stopped run was; gives its folder."""
    folder = Path(workspace.fill(FOLDER))
    if not (folder / "model").is_dir():
        train(load_training_recipe("language-agnostic", overrides=_overrides(workspace)), folder, progress=False)
    return folder / "model"


def _overrides(workspace: Workspace) -> tuple[str, ...]:
    files = [workspace.fill(f"{{data}}/parallel/{name}.jsonl.gz") for name in FILES]
    new = {
        "parallel": files,
        "languages": list(LANGUAGES),
        "start": "random",
        "dimension": 128,
        "whole_words": 16_000,
        "pieces": 14_000,
        "characters_per_file": 300_000,
    }
    pairs = {"kind": "multiway", "path": files, "languages": list(LANGUAGES), "batch": BATCH, "longest": 300}
    settings = {
        "learning_rate": 0.01,
        "max_steps": STEPS,
        "warmup_steps": 20,
        "optim": "sparse_adam",
        "sparse_embeddings": True,
    }
    fields = {
        "model": {"base": "new", "new": new},
        "sources": {"pairs": pairs},
        "objective": [{"term": "semantic_contrastive", "on": "pairs", "temperature": 0.05}],
        "train": settings,
    }
    return as_overrides(fields)
