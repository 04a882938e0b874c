"""`isogloss data` says what a path is with true counts, or all that is wrong with it, and writes what it fetched.

1. `check` tells sets, rows and parallel text apart; a broken path gives every fault and exit code 1.
2. `get` writes a BEIR folder that is the same set when read again, judgements, pools and translations included.
3. `list` and `show` name licence and languages.
4. A corpus, and texts that no model can read, are told apart from sets with their file and line.
"""

from __future__ import annotations

import json

from isogloss import EvalSet, Text
from isogloss.datasets import KNOWN_SETS, load
from isogloss.datasets.beir_writing import write_beir
from tests.cli.worlds import World, answer, run, write_lines


def test_check_tells_what_a_path_is(world: World):
    found = answer(run("data", "check", "set", "--json"))
    assert found["kind"] == "evaluation set, layout beir"
    assert found["languages"] == {role: {"de": 3, "en": 3, "ru": 3} for role in ("queries", "passages")}
    assert answer(run("data", "check", "rows.jsonl", "--json"))["rows"] == 12
    write_lines(world / "many.jsonl", [{"_id": "1", "en": "a", "de": "b"}, {"_id": "2", "en": "c"}])
    assert answer(run("data", "check", "many.jsonl", "--json"))["languages"] == {"texts": {"de": 1, "en": 2}}
    (world / "en-de.tsv").write_text("a\tb\n")
    assert answer(run("data", "check", "en-de.tsv", "--json"))["languages"] == {"texts": {"en": 1, "de": 1}}
    assert "layout beir" in run("data", "check", "set").stdout


def test_check_lists_every_fault(world: World):
    (world / "set" / "corpus.jsonl").open("a").write('{"_id": "x"}\n{broken\n')
    (world / "set" / "qrels" / "test.tsv").open("a").write("nobody\tp0.de\t1\n")
    result = run("data", "check", "set", "--json")
    assert result.exit_code == 1
    wheres = [fault["where"].rpartition("/")[2] for fault in answer(result)["error"]["faults"]]
    assert wheres == ["corpus.jsonl:10", "corpus.jsonl:11", "test.tsv:11"]
    (world / "empty.jsonl").write_text("")
    assert run("data", "check", "empty.jsonl").exit_code == 1
    assert run("data", "check", "nothing").exit_code == 1


def test_get_writes_the_same_set(world: World):
    found = answer(run("data", "get", "isogloss-demo", "--languages", "de,th", "--out", "demo", "--json"))
    assert set(found["languages"]["passages"]) == {"de", "th"}
    first, again = load("isogloss-demo", query_languages=["de", "th"], passage_languages=["de", "th"]), load("demo")
    assert (again.qrels, again.passages) == (first.qrels, first.passages)
    refused = run("data", "get", "isogloss-demo", "--out", "demo")
    assert (refused.exit_code, "not empty" in refused.output) == (1, True)


def test_nothing_of_a_text_is_lost(world: World):
    passage = Text(
        "p", "t", "en", title="T", parallel_id="x", pool="sw", metadata={"answers": ["a"], "parallel_id": "x"}
    )
    query = Text("q", "t?", "sw", pool="sw", metadata={"answers": ["a"]})
    write_beir(EvalSet("s", (query,), (passage,), {"q": {"p": 2}}), world / "s")
    assert load(world / "s") == EvalSet("s", (query,), (passage,), {"q": {"p": 2}})


def test_list_and_show(world: World):
    listed = answer(run("data", "list", "--json"))["sets"]
    assert [known["name"] for known in listed] == list(KNOWN_SETS)
    assert all(known["licence"] and known["source"] for known in listed)
    assert "CC BY-SA 4.0" in run("data", "list").stdout
    assert answer(run("data", "show", "isogloss-demo", "--json"))["licence"] == "Apache 2.0"


def test_a_corpus_alone_is_a_corpus(world: World):
    """Its keys are no languages; and as an evaluation set it is refused with what is missing."""
    found = answer(run("data", "check", "set/corpus.jsonl", "--json"))
    assert (found["kind"], found["rows"]) == ("corpus", 9)
    assert found["languages"] == {"texts": {"de": 3, "en": 3, "ru": 3}}
    for command in (("evaluate", world.model, "--out", "new"), ("demo", "--out", "new")):
        result = run(*command, "--data", "set/corpus.jsonl")
        assert result.exit_code == 1
        assert "queries.jsonl" in result.stderr and "qrels/test.tsv" in result.stderr
        assert "language tag" not in result.stderr
    assert "training rows" in run("evaluate", world.model, "--data", "rows.jsonl", "--out", "new").stderr


def test_texts_without_letters_are_warned_of_with_their_places(world: World):
    lines = [{"_id": "dots", "text": "...", "lang": "de"}, {"_id": "none", "text": "\u200b", "lang": "de"}]
    with (world / "set" / "corpus.jsonl").open("a", encoding="utf-8") as stream:
        stream.writelines(f"{json.dumps(line)}\n" for line in lines)
    for path in ("set", "set/corpus.jsonl"):
        notes = answer(run("data", "check", path, "--json"))["notes"]
        warned = next(note for note in notes if "no letter or digit" in note)
        assert warned.startswith("2 texts") and "corpus.jsonl:10 '...'" in warned and "corpus.jsonl:11" in warned
    write_lines(world / "bad.jsonl", [{"query": "a?", "positive": "…"}])
    assert "bad:1 '…'" in answer(run("data", "check", "bad.jsonl", "--json"))["notes"][0]
    assert answer(run("data", "check", "rows.jsonl", "--json"))["notes"] == []


def test_ids_with_spaces_are_told_when_a_set_is_loaded(world: World):
    """TREC runs cannot hold them, which an evaluation must not find out at its end."""
    text = (world / "set" / "corpus.jsonl").read_text(encoding="utf-8")
    (world / "set" / "corpus.jsonl").write_text(text.replace('"p0.', '"p 0.'), encoding="utf-8")
    judged = (world / "set" / "qrels" / "test.tsv").read_text(encoding="utf-8")
    (world / "set" / "qrels" / "test.tsv").write_text(judged.replace("\tp0.", "\tp 0."), encoding="utf-8")
    for command in (("data", "check", "set"), ("evaluate", world.model, "--data", "set", "--out", "new")):
        result = run(*command, "--json")
        assert result.exit_code == 1
        faults = answer(result)["error"]["faults"]
        assert [fault["where"].rpartition("/")[2] for fault in faults] == [f"corpus.jsonl:{n}" for n in (1, 4, 7)]
        assert "'p 0.de' holds a space" in faults[0]["message"]
    assert any("hold a space" in note for note in answer(run("data", "check", "set/corpus.jsonl", "--json"))["notes"])


def test_a_file_of_another_kind_shows_once_what_a_line_looks_like(world: World):
    (world / "plain.txt").write_text("one\ntwo\nthree\n")
    (world / "table.csv").write_text("id,text\n1,abc\n")
    for name in ("plain.txt", "table.csv"):
        result = run("encode", name, "--out", "new", "--model", world.model)
        assert result.exit_code == 1
        assert result.stderr.count("broken JSON") == 1
        assert '{"_id": "1", "text": "…", "lang": "de"}' in result.stderr


def test_an_id_that_stands_in_two_files_is_told_with_both_places(world: World):
    write_lines(world / "many" / "1.jsonl", [{"_id": "a", "text": "x y"}, {"_id": "b", "text": "x y"}])
    write_lines(world / "many" / "2.jsonl", [{"_id": "c", "text": "x y"}, {"_id": "b", "text": "x y"}])
    error = answer(run("encode", "many", "--out", "new", "--model", world.model, "--json"))["error"]
    assert [fault["where"] for fault in error["faults"]] == ["many/2.jsonl:2"]
    assert error["faults"][0]["message"] == "passage id 'b' is taken already, by many/1.jsonl:2"


def test_a_text_that_is_a_number_is_refused_as_a_title_is(world: World):
    write_lines(world / "n.jsonl", [{"_id": 1, "text": 7}, {"_id": 2, "text": "a", "title": 5}])
    result = run("encode", "n.jsonl", "--out", "new", "--model", world.model)
    assert "n.jsonl:1  'text' is no string but int" in result.stderr
    assert "n.jsonl:2  'title' is no string but int" in result.stderr
