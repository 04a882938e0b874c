"""Short evaluation texts in training files are found, and the scores' cache is by model and question.

1. A pair counts where both sides are short and stand on one line of a training file, and only in its own language.
2. Letters and digits alone are compared, folded.
3. A long text counts nowhere: the recipe leaves it out.
4. Other weights under the same name are measured anew, and so are other queries.
"""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
from benchmarks.bundled_scores import Bench
from benchmarks.seen_in_training import letters_of, seen_in_training
from safetensors.numpy import load_file, save_file

SENTENCES = {
    "q0": ("de", "Hallo!", "Hello."),
    "q1": ("de", "Komm her!", "Come here."),
    "q2": ("de", "Ein Satz mit vielen Buchstaben.", "Long one."),
    "q3": ("fi", "Hallo!", "Hello!"),
    "q4": ("de", "Wer?", "Who is it?"),
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    queries = [{"_id": name, "text": text, "lang": tag} for name, (tag, text, _) in SENTENCES.items()]
    corpus = [{"_id": f"{name}.en", "text": english, "lang": "en"} for name, (*_, english) in SENTENCES.items()]
    place = tmp_path / "retrieval" / "tatoeba"
    (place / "qrels").mkdir(parents=True)
    for name, rows in (("queries", queries), ("corpus", corpus)):
        (place / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    judged = "".join(f"{name}\t{name}.en\t1\n" for name in SENTENCES)
    (place / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}", "utf-8")
    (tmp_path / "bitext-eval").mkdir()
    (tmp_path / "parallel" / "tatoeba").mkdir(parents=True)
    with gzip.open(tmp_path / "parallel" / "tatoeba" / "en-de.tsv.gz", "wt", encoding="utf-8") as file:
        file.write("HELLO\thallo\nCome here\tGeh weg\nLong one.\tEin Satz mit vielen Buchstaben.\n")
    with gzip.open(tmp_path / "parallel" / "lexicon-cldr.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write('{"_id": "1", "en": "who is that", "de": "jener", "_also": {"en": ["who is it"], "de": ["wer"]}}\n')
    return tmp_path


def test_pairs_of_short_texts_are_found(data: Path) -> None:
    seen = seen_in_training(data)
    found = {tag: dict(kinds) for tag, kinds in seen.pairs.items() if any(kinds.values())}
    assert found == {"de": {"sentences": {"q0"}, "lexicons": {"q4"}}}
    assert seen.short == {("tatoeba", "de"): 3, ("tatoeba", "fi"): 1, ("tatoeba", "en"): 4}
    assert seen.texts["tatoeba", "en", "sentences"] == {"hello", "comehere", "longone"}
    assert seen.texts["tatoeba", "de", "sentences"] == {"hallo"}
    assert ("tatoeba", "fi", "sentences") not in seen.texts


def test_letters_are_folded() -> None:
    assert letters_of("Straße, Ⅷ!") == "strasseviii"


def test_a_measurement_is_kept_by_model_and_question(data: Path, tiny_static: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(tiny_static, tmp_path / "static"))
    work = tmp_path / "work"
    work.mkdir()
    bench = Bench(data, work, model=str(model), english=None)
    assert bench.seen == {"de": ["q0", "q4"]}
    first, _ = bench.alone("retrieval/tatoeba", ["de-en"])
    assert bench.alone("retrieval/tatoeba", ["de-en"])[0] == first
    assert len(list(work.iterdir())) == 1
    bench.alone("retrieval/tatoeba", ["de-en"], without=bench.seen["de"])
    assert len(list(work.iterdir())) == 2
    weights = next(model.rglob("model.safetensors"))
    save_file({name: -table for name, table in load_file(weights).items()}, weights)
    Bench(data, work, model=str(model), english=None).alone("retrieval/tatoeba", ["de-en"])
    assert len(list(work.iterdir())) == 3
