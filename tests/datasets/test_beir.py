"""A BEIR folder becomes one evaluation set, or one error that names every fault.

1. Languages are normalised, translations are found by id and by metadata, pools by `pair`.
2. All faults of corpus, queries and judgements come in one error, each with file and line; nothing is loaded.
3. A fault is told once: an unknown tag on many lines is one fault, an empty text makes no dangling judgement.
4. Queries without a judgement are counted.
"""

from __future__ import annotations

import gzip

import pytest

from isogloss.datasets import load, open_corpus
from isogloss.errors import DataError, FileError

from .conftest import write_lines


def append(path, *lines):
    with path.open("a", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in lines)


def test_a_folder_becomes_a_set(beir):
    rivers = load(beir)
    assert (rivers.name, len(rivers.queries), len(rivers.passages)) == ("rivers", 6, 6)
    assert rivers.query_languages == ("de", "en", "th")
    assert {text.parallel_id for text in rivers.passages} == {"p0", "p1"}
    assert rivers.qrels["q1.th"] == {"p1.th": 1}
    assert rivers.notes == ()


def test_any_pair_of_languages(beir):
    pair = load(beir, query_languages=["deu"], passage_languages=["tha_Thai"])
    assert pair.qrels == {"q0.de": {"p0.th": 1}, "q1.de": {"p1.th": 1}}
    assert load(beir).pair("th", "en").qrels["q0.th"] == {"p0.en": 1}


def test_gz_gives_the_same_set(beir):
    plain = load(beir)
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        (beir / f"{name}.gz").write_bytes(gzip.compress((beir / name).read_bytes()))
        (beir / name).unlink()
    assert load(beir) == plain


def test_other_spellings_and_metadata(tmp_path):
    write_lines(
        tmp_path / "s" / "corpus.jsonl",
        [
            {"_id": "a", "text": "x", "lang": "deu_Latn", "metadata": {"parallel_id": "P"}, "url": "u"},
            {"_id": 7, "text": "y", "title": "T", "lang": "zh-TW"},
            {"_id": "b.deu_Latn", "text": "z", "lang": "deu_Latn"},
            {"_id": "c.v2", "text": "", "title": "only a title"},
            {"_id": "d.v2", "text": "w", "lang": "en"},
        ],
    )
    write_lines(tmp_path / "s" / "queries.jsonl", [{"_id": "q", "text": "?"}])
    write_lines(tmp_path / "s" / "qrels" / "dev.tsv", ["q\ta\t1", "q\t7\t2"])
    texts = {text.id: text for text in load(tmp_path / "s").passages}
    assert (texts["a"].language, texts["a"].parallel_id, texts["a"].metadata) == (
        "de",
        "P",
        {"parallel_id": "P", "url": "u"},
    )
    assert (texts["7"].language, texts["7"].title, texts["7"].parallel_id) == ("zh-hant", "T", None)
    assert texts["b.deu_Latn"].parallel_id == "b"
    assert (texts["c.v2"].language, texts["c.v2"].parallel_id) == (None, None)
    assert (texts["d.v2"].language, texts["d.v2"].parallel_id) == ("en", None)


def test_pools_follow_the_pair(tmp_path):
    write_lines(
        tmp_path / "t" / "corpus.jsonl",
        [{"_id": f"{x}.en", "text": x, "lang": "en", "pair": x} for x in ("cmn", "af")] + [{"_id": "o", "text": "o"}],
    )
    write_lines(tmp_path / "t" / "queries.jsonl", [{"_id": x, "text": x, "lang": x} for x in ("zh", "af", "de")])
    write_lines(tmp_path / "t" / "qrels" / "test.tsv", ["zh\tcmn.en\t1", "af\taf.en\t1", "de\to\t1"])
    loaded = load(tmp_path / "t")
    assert {text.id: text.pool for text in loaded.passages} == {"cmn.en": "zh", "af.en": "af", "o": None}
    assert {text.id: text.pool for text in loaded.queries} == {"zh": "zh", "af": "af", "de": None}


def test_all_faults_come_at_once_with_their_lines(beir):
    corpus, queries, qrels = (beir / name for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"))
    append(
        corpus,
        '{"_id": "p2.en", "text": ',
        '{"_id": "p0.de", "text": "again", "lang": "de"}',
        '{"_id": "p3.en", "title": "", "text": "  ", "lang": "en"}',
        '{"_id": "p4.xx", "text": "x", "lang": "xx"}',
        '{"_id": "p5.xx", "text": "x", "lang": "xx"}',
        '{"text": "no id"}',
        '{"_id": "p6", "text": 5.5}',
        '{"_id": " ", "text": "blank id"}',
        '{"_id": "p7", "text": "x", "title": []}',
        '{"_id": "p8", "text": "x", "metadata": 3}',
    )
    append(queries, '{"_id": "q0.de", "text": "again"}', '{"_id": "q9", "text": ""}', "[]")
    append(qrels, "q0.de\tp77\t1", "q77\tp0.de\t1", "q0.de\tp0.en", "q0.de\tp3.en\t1", "q9\tp0.en\t1")
    with pytest.raises(DataError) as caught:
        load(beir)
    found = {(fault.where.removeprefix(f"{beir}/"), fault.message.split(":")[0]) for fault in caught.value.faults}
    places = sorted(where for where, _ in found)
    assert places == sorted(
        [f"corpus.jsonl:{line}" for line in (7, 8, 9, 10, 12, 13, 14, 15, 16)]
        + [f"queries.jsonl:{line}" for line in (7, 8, 9)]
        + [f"qrels/test.tsv:{line}" for line in (8, 9, 10)]
    )
    text = "\n".join(map(str, caught.value.faults))
    assert f"passage id 'p0.de' is taken already, by {corpus}:1" in text
    assert "passage 'p3.en' has an empty text" in text
    assert "'xx' is no known language tag; it stands here once more" in text
    assert "passage 'p77' is not in the corpus" in text
    assert "query 'q77' is in no query file" in text
    assert caught.value.next_step


def test_many_lines_of_an_unknown_language_are_one_fault(tmp_path):
    write_lines(tmp_path / "corpus.jsonl", [{"_id": str(n), "text": "x", "lang": "xx"} for n in range(50)])
    write_lines(tmp_path / "queries.jsonl", [{"_id": "q", "text": "x"}])
    write_lines(tmp_path / "qrels" / "test.tsv", ["q\t0\t1"])
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert len(caught.value.faults) == 1
    assert "49 times more" in str(caught.value)
    assert "leave it out, or give und" in str(caught.value)


def test_und_is_the_tag_of_an_unknown_language(tmp_path):
    tags = ("und", "und-Latn", "UND", "")
    corpus = [{"_id": str(row), "text": "x", "lang": tag} for row, tag in enumerate(tags)]
    found = open_corpus(write_lines(tmp_path / "corpus.jsonl", corpus))
    assert [text.language for text in found] == [None] * len(tags)


def test_queries_without_a_judgement_are_counted(beir):
    append(beir / "queries.jsonl", '{"_id": "q9.en", "text": "unanswered", "lang": "en"}')
    loaded = load(beir)
    assert "q9.en" not in {text.id for text in loaded.queries}
    assert loaded.notes == ("1 of 7 queries have no judgement and are left out",)


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_a_missing_file_is_named(beir, name):
    (beir / name).unlink()
    with pytest.raises(FileError, match=name.replace("test.tsv", "<split>.tsv")):
        load(beir)


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_an_empty_file_is_an_error(beir, name):
    (beir / name).write_text("")
    with pytest.raises(DataError):
        load(beir)


def test_splits(beir):
    (beir / "qrels" / "train.tsv").write_text("q0.de\tp0.de\t1\n")
    assert len(load(beir).queries) == 6
    assert len(load(beir, split="train").queries) == 1
    with pytest.raises(FileError, match="did you mean 'train'"):
        load(beir, split="trian")
    (beir / "qrels" / "test.tsv").rename(beir / "qrels" / "other.tsv")
    with pytest.raises(FileError, match="several splits: other, train"):
        load(beir)
