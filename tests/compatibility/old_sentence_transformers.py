"""Our model folders in the oldest supported sentence-transformers, and its folders here: equal vectors.

    python -m tests.compatibility.old_sentence_transformers FOLDER [--python PYTHON]

makes a throw-away environment in FOLDER (about 1 GB, some minutes; with --python one that is there is used), saves a
static, a transformer and two untied models with isogloss, opens them there, saves the like there and opens these here.
Ends with 1 where a vector differs by more than 1e-5. Run by hand before a release: CI has neither time nor network.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = ("sentence-transformers==5.0.0", "transformers==4.51.3")
TEXTS = ["Where does the river reach the sea?", "Где река впадает в море?", "灯塔看守人在夜里数船。", "x " * 100]
TOLERANCE = 1e-5

# Runs in the old environment, which has no isogloss: opens each folder, encodes, and saves it again.
INSIDE = """
import json, sys
import sentence_transformers
from sentence_transformers import SentenceTransformer
texts, folders = json.loads(sys.argv[1]), sys.argv[2:]
found = {"version": sentence_transformers.__version__}
for folder in folders:
    model = SentenceTransformer(folder, device="cpu", local_files_only=True)
    roles = {"query": model.encode_query, "document": model.encode_document}
    found[folder] = {r: encode(texts).tolist() for r, encode in roles.items()}
    model.save(folder + "-saved-there", create_model_card=False)
print("\\n" + json.dumps(found))
"""


def main() -> int:
    """Runs the whole check; 0 where all vectors are equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", type=Path, help="interpreter of an environment with the oldest release")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    python = given.python or make_environment(given.folder / "environment")
    folders = save_models(given.folder / "models")
    found = encode_there(python, folders)
    sys.stdout.write(f"sentence-transformers {found['version']}\n")
    same = [compare(folder, found[str(folder)]) for folder in folders]
    return 0 if all(same) else 1


def make_environment(place: Path) -> Path:
    """A virtual environment with the oldest release and the torch that is installed here; its interpreter."""
    import torch

    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    python = place / "bin" / "python"
    # torch alone first: the exact local version keeps the CPU build.
    for requirements in ([f"torch=={torch.__version__}"], list(REQUIREMENTS)):
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
    return python


def save_models(place: Path) -> list[Path]:
    """Models of each kind, saved by isogloss."""
    from sentence_transformers.sentence_transformer.modules import Router

    from isogloss import Retriever
    from tests.conftest import bert_modules, save_sentence_transformer, static_modules

    prompts = {"query": "query: ", "document": "passage: "}
    made = {
        "static": static_modules(),
        "transformer": bert_modules(place / "bert"),
        "untied-static": [Router.for_query_document(static_modules(seed=1), static_modules(seed=2))],
        "untied-transformer": [
            Router.for_query_document(*(bert_modules(place / f"bert{seed}", seed=seed) for seed in (1, 2)))
        ],
    }
    saved = []
    for name, modules in made.items():
        theirs = save_sentence_transformer(modules, place / f"{name}-new", prompts)
        Retriever.load(theirs, on_overflow="ignore").save(place / name, overwrite=True)
        saved.append(place / name)
    return saved


def encode_there(python: Path, folders: list[Path]) -> dict:
    """Vectors by folder and role, from the old release, which also saves each model again."""
    command = [python, "-c", INSIDE, json.dumps(TEXTS), *map(str, folders)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def compare(folder: Path, there: dict) -> bool:
    """Whether the vectors there, those here, and those here of what was saved there are the same."""
    import numpy as np

    from isogloss import Retriever

    same = True
    for origin in (folder, Path(f"{folder}-saved-there")):
        retriever = Retriever.load(origin, on_overflow="ignore")
        for role, encode in (("query", retriever.encode_query), ("document", retriever.encode_passage)):
            apart = float(np.abs(encode(TEXTS) - np.array(there[role])).max())
            same &= apart <= TOLERANCE
            sys.stdout.write(f"{origin.name:32} {role:9} largest difference {apart:.1e}\n")
    return same


if __name__ == "__main__":
    raise SystemExit(main())
