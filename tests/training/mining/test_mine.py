"""Mining from files to a file: whole or not at all, and the same whether it was stopped or not.

1. What is written is read as rows with negatives, and says who mined them.
2. A stopped mining goes on where it was and ends with the same bytes; another command beside it is refused.
3. A bank of another model, an output that exists, and texts that do not fit are refused before anything is written.
4. The report counts what the file holds, by language.
"""

from __future__ import annotations

import json

import pytest

from isogloss import Retriever, Text
from isogloss.datasets import read_rows
from isogloss.errors import DataError, FileError, StaleBankError, UsageError
from isogloss.files import write_jsonl
from isogloss.training.mining import MiningSettings, MiningTask, mine, passages
from tests.conftest import TINY_TEXTS, save_sentence_transformer, static_modules
from tests.training.mining.tiny_cross_encoder import save_cross_encoder

SETTINGS = {"ranks": (1, 12), "negatives": 3, "rows_at_once": 4, "near_duplicate": 1.1}
ROWS = [
    {"query": " ".join(text.split()[:3]) + "?", "positive": text, "lang": "en" if number < 7 else "de"}
    for number, text in enumerate(TINY_TEXTS)
]


@pytest.fixture
def task(tmp_path, tiny_static):
    write_jsonl(tmp_path / "rows.jsonl", ROWS)

    def make(**options):
        settings = MiningSettings(**{**SETTINGS, "languages": {"any": 1}, **options.pop("settings", {})})
        rows, out = (str(tmp_path / "rows.jsonl"),), tmp_path / "mined.jsonl"
        return MiningTask(**{"rows": rows, "out": out, "model": str(tiny_static), "settings": settings, **options})

    return make


def test_rows_with_negatives_are_written(task, tmp_path, tiny_static):
    lines = []
    report = mine(task(), announce=lines.append, progress=False)
    mined = read_rows(tmp_path / "mined.jsonl")
    assert [row.query for row in mined] == [row["query"] for row in ROWS]
    for row in mined:
        assert len(set(row.negative_passages)) == 3
        assert row.passage not in row.negative_passages
        assert set(row.negative_passages) <= set(TINY_TEXTS)
    record = json.loads((tmp_path / "mined.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert record["negative_ranks"] == sorted(record["negative_ranks"])
    assert record["miner"]["query_fingerprint"] == Retriever.load(tiny_static).query.fingerprint.digest
    counts = report.to_json()["languages"]["passages"]
    assert {language: (tally["rows"], tally["negatives"]) for language, tally in counts.items()} == {
        "en": (7, 21),
        "de": (5, 15),
    }
    assert sum(tally["excluded"]["known answer"] for tally in counts.values()) == 12
    assert "12 rows over 12 passages" in lines[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mined.jsonl", "rows.jsonl"]


def test_rows_with_too_few_negatives_can_be_left_out(task, tmp_path):
    report = mine(task(settings={"languages": {"de": 1}, "negatives": 5}), progress=False)
    counts = report.to_json()["languages"]["passages"]
    # There are five German passages, of which a German question's own is none of its negatives.
    assert (counts["de"]["short"], counts["en"]["short"], report.written) == (5, 0, 12)
    (tmp_path / "mined.jsonl").unlink()
    assert mine(task(settings={"languages": {"de": 1}, "negatives": 5, "complete": True}), progress=False).written == 7
    assert {row.query_language for row in read_rows(tmp_path / "mined.jsonl")} == {"en"}


def test_a_stopped_mining_goes_on_where_it_was(task, tmp_path, monkeypatch):
    mine(task(), progress=False)
    whole = (tmp_path / "mined.jsonl").read_bytes()
    (tmp_path / "mined.jsonl").unlink()
    original = passages.PassageMiner.mine
    parts = []

    def dies(self, rows):
        parts.append(len(rows))
        if len(parts) == 2:
            raise KeyboardInterrupt
        return original(self, rows)

    monkeypatch.setattr(passages.PassageMiner, "mine", dies)
    with pytest.raises(KeyboardInterrupt):
        mine(task(), progress=False)
    assert not (tmp_path / "mined.jsonl").exists()
    with pytest.raises(FileError, match="unfinished mining with another settings"):
        mine(task(settings={"negatives": 2}), progress=False)
    lines = []
    mine(task(), announce=lines.append, progress=False)
    assert parts == [4, 4, 4, 4]
    assert "4 are mined already" in lines[0]
    assert (tmp_path / "mined.jsonl").read_bytes() == whole


def test_a_dry_run_writes_nothing(task, tmp_path):
    report = mine(task(), dry_run=True, progress=False)
    assert report.path is None
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_bank_and_a_corpus(task, tmp_path, tiny_static):
    texts = [Text(f"p{number}", text, "en") for number, text in enumerate(TINY_TEXTS)]
    Retriever.load(tiny_static).encode_bank(texts, tmp_path / "bank", progress=False)
    corpus = [{"_id": text.id, "text": text.text, "lang": "en"} for text in texts]
    write_jsonl(tmp_path / "corpus.jsonl", corpus)
    mine(task(bank=tmp_path / "bank", out=tmp_path / "a.jsonl"), progress=False)
    mine(task(corpus=str(tmp_path / "corpus.jsonl"), out=tmp_path / "b.jsonl"), progress=False)
    found = [read_rows(tmp_path / name, source="same") for name in ("a.jsonl", "b.jsonl")]
    assert [row.negative_passage_ids for row in found[0]] == [row.negative_passage_ids for row in found[1]]
    assert all(TINY_TEXTS[int(row.negative_passage_ids[0][1:])] == row.negative_passages[0] for row in found[0])
    with pytest.raises(UsageError, match="both a bank and a corpus"):
        mine(task(bank=tmp_path / "bank", corpus="corpus.jsonl", out=tmp_path / "c.jsonl"), progress=False)


def test_what_does_not_fit_is_refused(task, tmp_path, tiny_static):
    other = save_sentence_transformer(static_modules(seed=9), tmp_path / "other")
    Retriever.load(other).encode_bank([Text("p", TINY_TEXTS[0])], tmp_path / "bank", progress=False)
    with pytest.raises(StaleBankError):
        mine(task(bank=tmp_path / "bank"), progress=False)
    with pytest.raises(UsageError, match="--for clear"):
        mine(task(translations=("x.tsv",)), progress=False)
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataError, match="has no passages"):
        mine(task(corpus=str(tmp_path / "empty.jsonl")), progress=False)
    (tmp_path / "mined.jsonl").touch()
    with pytest.raises(FileError, match="exists already"):
        mine(task(), progress=False)
    assert not (tmp_path / "mined.jsonl.mining").exists()


def test_rows_for_clear_with_a_teacher(task, tmp_path):
    pairs = "".join(f"{row['query']}\tWas {number} {row['query'][:5]}?\n" for number, row in enumerate(ROWS[:7]))
    (tmp_path / "en-de.tsv").write_text(pairs, encoding="utf-8")
    chosen = {"settings": {"query_ranks": (1, 7), "negative_queries": 2, "languages": {"same": 1}}}
    teacher = str(save_cross_encoder(tmp_path / "teacher"))
    clear = task(purpose="clear", translations=(str(tmp_path / "en-de.tsv"),), teacher=teacher, **chosen)
    report = mine(clear, progress=False)
    mined = read_rows(tmp_path / "mined.jsonl")
    assert [row.translated_query_language for row in mined] == ["de"] * 7
    for row in mined:
        assert len(row.negative_queries) == 2
        assert row.translated_query not in row.negative_queries
        assert len(row.teacher_scores) == 1 + len(row.negative_passages) == 4
    # Seven of twelve questions are English; the five German ones are no English side at all.
    assert (report.written, report.unpaired) == (7, 5)
