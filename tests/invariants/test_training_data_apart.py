"""No text of an evaluation set enters the training of the bundled model.

The shared files hold a few such texts; the recipe names the evaluation sets, and every source leaves their texts out.

Texts are compared after NFKC and case folding, letters and digits alone, as `data/README.md` of the shared data does;
texts of at most 12 such characters (words and short phrases of lexicons) are left out, as there.
"""

import gzip
import json
import unicodedata
from pathlib import Path

import pytest

from isogloss.recipe import load_recipe
from isogloss.training.sources.apart import Apart
from isogloss.training.sources.reading import expand

LEAST_LETTERS = 13


def normal(text):
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in folded if character.isalnum())


def records(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def evaluation_texts(data):
    found = set()
    for path in [*data.glob("retrieval/*/queries.jsonl.gz"), *data.glob("retrieval/*/corpus.jsonl.gz")]:
        found.update(normal(record["text"]) for record in records(path))
    for path in data.glob("bitext-eval/*.jsonl.gz"):
        for record in records(path):
            found.update(normal(text) for key, text in record.items() if not key.startswith("_"))
    return {text for text in found if len(text) >= LEAST_LETTERS}


def training_files():
    recipe = load_recipe("bundled")
    paths = [path for source in recipe.sources.values() for path in source.paths]
    paths += [path for source in recipe.sources.values() for path in source.options.get("lexicons", ())]
    return sorted(set(expand([*paths, *recipe.model.new.parallel, *recipe.model.new.rows])))


def texts_of(path):
    if ".tsv" in Path(path).suffixes:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                yield from line.rstrip("\n").split("\t")
        return
    for record in records(path):
        for key, value in record.items():
            if isinstance(value, str) and key != "_id":
                yield value


@pytest.mark.slow
def test_no_evaluation_text_is_trained_on(shared_data, monkeypatch):
    monkeypatch.chdir(shared_data.parent)
    files = training_files()
    assert len(files) > 40
    assert not [path for path in files if "retrieval" in path or "bitext-eval" in path]
    forbidden = evaluation_texts(shared_data)
    assert len(forbidden) > 300_000
    overlaps = {text for path in files for text in texts_of(path) if normal(text) in forbidden}
    apart = Apart(load_recipe("bundled").keep_apart)
    assert not [text for text in overlaps if not apart.holds(text)]
    assert len(overlaps) < 20
