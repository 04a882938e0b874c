"""`isogloss data` says what a path is with true counts, or all that is wrong with it, and writes what it fetched.

1. `check` tells sets, rows and parallel text apart; a broken path gives every fault and exit code 1.
2. `get` writes a BEIR folder that is the same set when read again, judgements, pools and translations included.
3. `list` and `show` name licence and languages.
"""

from __future__ import annotations

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
