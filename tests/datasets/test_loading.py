"""One call loads a set by path, by name, or from the hub.

1. A path comes first, then the folder of ISOGLOSS_DATA, then the hub.
2. What is not found is one typed error with the nearest name; without the hub's library the extra is named.
3. Unknown languages are all told at once, before anything is read.
4. Every real set loads, with the counts that its makers state (where shared data are at hand).
"""

from __future__ import annotations

import shutil
import sys
import time

import pytest

from isogloss.datasets import KNOWN_SETS, load
from isogloss.errors import DataError, FileError, MissingExtraError, UsageError
from isogloss.languages import normalize

from .conftest import write_lines


def test_a_name_is_found_in_the_data_folder(beir, tmp_path, monkeypatch):
    monkeypatch.setenv("ISOGLOSS_DATA", str(tmp_path / "all"))
    shutil.copytree(beir, tmp_path / "all" / "retrieval" / "rivers")
    assert len(load("rivers").queries) == 6


def test_unknown_names_are_refused_with_the_nearest(tmp_path, monkeypatch):
    monkeypatch.delenv("ISOGLOSS_DATA", raising=False)
    with pytest.raises(FileError, match="did you mean 'xquad'"):
        load("xqad")
    with pytest.raises(FileError, match="no such file or folder"):
        load(tmp_path / "rivers")


def test_an_unknown_layout_says_what_is_there_and_what_is_known(tmp_path, beir):
    with pytest.raises(DataError, match="it has: rivers") as caught:
        load(tmp_path)
    assert "rivers" in caught.value.next_step
    (tmp_path / "x.parquet").write_bytes(b"\x00\xff")
    with pytest.raises(DataError, match="no known layout") as caught:
        load(tmp_path / "x.parquet")
    assert "corpus.jsonl" in caught.value.next_step


def test_unknown_languages_are_told_at_once(beir):
    with pytest.raises(UsageError) as caught:
        load(beir, query_languages=["xx", "de", "qq"], passage_languages="zz")
    assert [fault.where for fault in caught.value.faults] == ["query_languages", "query_languages", "passage_languages"]
    with pytest.raises(UsageError, match="'ja' has no text in rivers"):
        load(beir, query_languages=["ja"])


def test_a_hub_name_is_read_like_a_folder(hub, beir):
    hub.folders["me/rivers"] = beir
    assert len(load("me/rivers").queries) == 6
    load("hf://datasets/me/rivers@v2")
    assert [(name, kind, revision) for name, kind, revision, _ in hub.asked] == [
        ("me/rivers", "dataset", None),
        ("me/rivers", "dataset", "v2"),
    ]


def test_miracl_is_fetched_with_its_corpus_for_the_languages_asked_for(hub, tmp_path):
    topics, corpus = tmp_path / "a", tmp_path / "b"
    folder = topics / "miracl-v1.0-sw"
    write_lines(folder / "topics" / "topics.miracl-v1.0-sw-dev.tsv", ["1\tNini?"])
    write_lines(folder / "qrels" / "qrels.miracl-v1.0-sw-dev.tsv", ["1\tQ0\t5#0\t1"])
    write_lines(corpus / "miracl-corpus-v1.0-sw" / "docs-0.jsonl", [{"docid": "5#0", "text": "x"}])
    hub.folders = {"miracl/miracl": topics, "miracl/miracl-corpus": corpus}
    loaded = load("miracl", query_languages=["swh"], passage_languages=["sw"])
    assert loaded.qrels == {"1": {"5#0": 1}}
    assert [patterns for *_, patterns in hub.asked] == [["miracl-v1.0-sw/*/*"], ["miracl-corpus-v1.0-sw/*"]]


def test_a_hub_that_refuses_is_a_file_error(hub):
    with pytest.raises(FileError, match="404: no such repository") as caught:
        load("nobody/nothing")
    assert "long trace" not in str(caught.value)


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.delenv("ISOGLOSS_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"isogloss\[hub\]"):
        load("nobody/nothing")


def test_known_sets_speak_in_normalised_languages():
    for known in KNOWN_SETS.values():
        assert known.licence
        assert [normalize(tag) for tag in known.languages] == list(known.languages)


COUNTS = {
    "afriqa": (1514, 1456),
    "belebele-de-en": (1800, 976),
    "drcd-zh-hant": (3493, 1000),
    "heq-he": (1058, 238),
    "iapp-th": (737, 189),
    "norquad-nb": (385, 279),
    "squad-it": (7609, 2007),
    "tydiqa-id": (402, 383),
    "xquad": (14280, 2880),
}


@pytest.mark.parametrize("name", COUNTS)
def test_every_shared_set_loads(shared_data, monkeypatch, name):
    monkeypatch.setenv("ISOGLOSS_DATA", str(shared_data))
    loaded = load(name)
    assert (len(loaded.queries), len(loaded.passages)) == COUNTS[name]
    assert loaded.licence == KNOWN_SETS[name].licence
    assert KNOWN_SETS[name].languages in ((), loaded.query_languages)
    passages = {text.id for text in loaded.passages}
    assert all(passages.issuperset(grades) for grades in loaded.qrels.values())
    assert not loaded.notes


def test_xquad_loads_in_about_a_second_and_crosses_languages(shared_data):
    start = time.process_time()
    xquad = load(shared_data / "retrieval" / "xquad")
    assert time.process_time() - start < 3
    pair = xquad.pair("th", "ru")
    assert (len(pair.queries), len(pair.passages)) == (1190, 240)
    assert all(len(grades) == 1 for grades in pair.qrels.values())
    assert all(len(grades) == 12 for grades in xquad.mixed_pool().qrels.values())


def test_tatoeba_has_a_pool_for_each_language(shared_data, monkeypatch):
    monkeypatch.setenv("ISOGLOSS_DATA", str(shared_data))
    loaded = load("tatoeba", query_languages=["sw"])
    assert (len(loaded.queries), len(loaded.passages)) == (390, 88877)
    assert {text.pool for text in loaded.queries} == {"sw"}
    pool = {text.id for text in loaded.passages if text.pool == "sw"}
    assert {passage for grades in loaded.qrels.values() for passage in grades} <= pool


def test_flores_is_a_set_of_any_two_languages(shared_data):
    flores = load(
        shared_data / "bitext-eval" / "flores-sib200.jsonl.gz", query_languages=["ks_Deva"], passage_languages=["fr"]
    )
    assert (len(flores.queries), len(flores.passages)) == (1004, 1004)
