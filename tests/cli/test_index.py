"""A corpus is encoded, indexed, searched, changed and served by the program.

1. Each way of searching finds what it should, in the languages asked for, and fewer hits than asked for are told.
2. `--add`, `--update` and `--delete` change the index, and no copy of it; a refused change leaves it as it was, and
   names the passage.
3. No search imports torch.
4. A language without a tokenizer is an error that names the option which leaves it out; left out, every answer says so.
5. A change that was stopped goes on by the same command, or is left as it is.
6. No text writes control characters to a terminal; programs get it as it is.
7. `serve` answers, and ends on SIGTERM.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.worlds import LANGUAGES, PASSAGES, answer, run, write_lines
from tests.service.conftest import save_static

RECORDS = [
    {"_id": f"{number}.{language}", "text": text, "lang": language}
    for language in LANGUAGES
    for number, text in enumerate(PASSAGES[language])
]
FLUSS = "Der Fluss mündet ins Meer."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_static(tmp_path_factory.mktemp("models") / "static")


@pytest.fixture
def place(model: Path, tmp_path: Path) -> Path:
    """A folder with an index of nine passages in three languages."""
    encode(RECORDS, tmp_path / "bank", model)
    made = answer(run("index", tmp_path / "bank", "--out", tmp_path / "index", "--json"))
    assert (made["written"], made["passages"], made["lexical"]) == (9, 9, True)
    assert made["languages"] == {"de": 3, "en": 3, "ru": 3}
    return tmp_path


def encode(records: list[dict[str, Any]], bank: Path, model: Path) -> None:
    corpus = write_lines(bank.with_suffix(".jsonl"), records)
    assert run("encode", corpus, "--out", bank, "--model", model, "--json").exit_code == 0


def search(place: Path, query: str, model: Path, *options: object) -> list[dict[str, Any]]:
    found = answer(run("search", place / "index", query, "--model", model, "--json", *options))
    hits: list[dict[str, Any]] = found["hits"]
    return hits


def test_every_way_of_searching(place: Path, model: Path) -> None:
    dense = search(place, FLUSS, model, "-k", 2)
    assert [hit["rank"] for hit in dense] == [1, 2]
    assert dense[0]["id"] == "1.de" and dense[0]["text"] == FLUSS
    assert dense[0]["score"] == pytest.approx(1, abs=1e-3)
    russian = search(place, FLUSS, model, "--language", "rus")
    assert {hit["id"] for hit in russian} == {"0.ru", "1.ru", "2.ru"}
    assert [hit["id"] for hit in search(place, "bread", model, "--lexical")] == ["2.en"]
    hybrid = search(place, "Fluss", model, "--hybrid")
    assert hybrid[0]["id"] == "1.de" and set(hybrid[0]["stages"]) == {"dense", "lexical", "fusion"}
    weighted = search(place, "bread", model, "--hybrid", "--weight", "0")
    assert weighted[0]["id"] == "2.en"
    few = run("search", place / "index", "bread", "--model", model, "--language", "en")
    assert few.exit_code == 0 and "3 hits of 10" in few.stderr
    wrong = run("search", place / "index", "bread", "--model", model, "--language", "fr")
    assert wrong.exit_code == 2 and "fr" in wrong.stderr


def test_words_alone(place: Path, model: Path) -> None:
    answer(run("index", place / "bank", "--out", place / "words", "--set", "word_parts=false", "--json"))
    assert json.loads((place / "words" / "index.json").read_text())["word_parts"] is False
    found = [
        [hit["id"] for hit in answer(run("search", folder, "breads", "--lexical", "--json"))["hits"]]
        for folder in (place / "index", place / "words")
    ]
    assert found == [["2.en"], []]
    again = answer(run("search", place / "words", "bread", "--lexical", "--json"))  # from what was kept
    assert [hit["id"] for hit in again["hits"]] == ["2.en"]


def test_changes(place: Path, model: Path) -> None:
    new = {"_id": "new", "text": "A lighthouse on the rock.", "lang": "en"}
    changed = {"_id": "2.en", "text": "Cheese is aged in caves.", "lang": "en"}
    encode([new], place / "more", model)
    encode([changed, new], place / "newer", model)
    index = ("--out", place / "index", "--json")
    assert answer(run("index", place / "more", *index, "--add"))["passages"] == 10
    refused = run("index", place / "newer", *index, "--add")
    assert refused.exit_code != 0 and "new" in refused.stdout
    assert [hit["id"] for hit in search(place, "bread", model, "--lexical")] == ["2.en"]
    assert answer(run("index", place / "newer", *index, "--update"))["passages"] == 10
    assert search(place, "bread", model, "--lexical") == []
    assert [hit["id"] for hit in search(place, "cheese", model, "--lexical")] == ["2.en"]
    (place / "ids.txt").write_text("new\nnone\n")
    refused = run("index", *index, "--delete", place / "ids.txt")
    assert refused.exit_code != 0 and "none" in refused.stdout
    (place / "ids.txt").write_text("new\n")
    assert answer(run("index", *index, "--delete", place / "ids.txt"))["removed"] == 1
    assert "new" not in {hit["id"] for hit in search(place, new["text"], model)}


def test_a_copy_stays_as_it_was(place: Path, model: Path) -> None:
    copied = answer(run("index", "--out", place / "index", "--snapshot", place / "copy", "--json"))
    assert copied["index"] == str(place / "copy") and copied["passages"] == 9
    (place / "ids.txt").write_text("1.de\n")
    assert answer(run("index", "--out", place / "index", "--delete", place / "ids.txt", "--json"))["passages"] == 8
    found = answer(run("search", place / "copy", FLUSS, "--model", model, "--json", "-k", 1))["hits"]
    assert found[0]["id"] == "1.de"
    assert run("index", "--out", place / "index", "--snapshot", place / "copy").exit_code == 1
    refused = run("index", "--out", place / "bank", "--snapshot", place / "other")
    assert refused.exit_code == 2 and "Copy its folder" in refused.stderr


def test_a_language_without_a_tokenizer_can_be_left_out(place: Path, model: Path) -> None:
    uncut = [{"_id": f"x{row}", "text": chr(0x12000 + row) * 50, "lang": "akk"} for row in range(20)]
    encode([*RECORDS, *uncut], place / "wider", model)
    index = place / "other"
    refused = run("index", place / "wider", "--out", index)
    assert refused.exit_code == 0 and "isogloss index --out INDEX --no-words akk" in refused.stderr
    wrong = run("index", place / "wider", "--out", place / "third", "--no-words", "fr")
    assert wrong.exit_code == 2 and "fr" in wrong.stderr and not (place / "third").exists()
    made = answer(run("index", "--out", index, "--no-words", "akk", "--json"))
    assert (made["lexical"], made["no_words"], made["passages"]) == (True, ["akk"], 29)
    assert json.loads((index / "index.json").read_text())["no_words"] == ["akk"]
    in_one = answer(run("index", place / "wider", "--out", place / "third", "--no-words", "akk", "--json"))
    assert (in_one["lexical"], in_one["no_words"]) == (True, ["akk"])

    hybrid = run("search", index, "bread", "--model", model, "--hybrid", "--language", "akk", "--json")
    assert len(answer(hybrid)["hits"]) == 10 and answer(hybrid)["not_by_words"] == ["akk"]
    assert "Passages in akk were searched by meaning alone" in hybrid.stderr
    assert "not_by_words" not in answer(run("search", index, "bread", "--model", model, "--json"))
    lexical = run("search", index, "bread", "--lexical", "--language", "akk")
    assert lexical.exit_code == 2 and "language akk  is left out of the lexical index" in lexical.stderr
    everywhere = run("search", index, "bread", "--lexical")
    assert everywhere.exit_code == 0 and "akk were searched not at all" in everywhere.stderr
    put_back = answer(run("index", "--out", index, "--no-words", "none", "--json"))
    assert (put_back["lexical"], put_back["no_words"]) == (False, [])


def test_what_is_refused(place: Path, model: Path) -> None:
    assert run("index", place / "bank", "--out", place / "index").exit_code == 2
    assert run("index", place / "bank", "--out", place / "index", "--add", "--update").exit_code == 2
    encode(RECORDS[:1], place / "other", save_static(place / "model", seed=1))
    stale = run("index", place / "other", "--out", place / "index", "--update")
    assert stale.exit_code != 0 and "weights" in stale.stderr
    assert search(place, FLUSS, model, "-k", 1)[0]["text"] == FLUSS


def test_a_stopped_addition_goes_on(place: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode([{"_id": "new", "text": "A lighthouse on the rock.", "lang": "en"}], place / "more", model)

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    add = ("index", place / "more", "--out", place / "index", "--add")
    with monkeypatch.context() as patch:
        patch.setattr("isogloss.indexing.embedded.EmbeddedIndex.optimize", stop)
        stopped = run(*add)
    assert stopped.exit_code == 130 and "the same command goes on from there" in stopped.stderr
    encode([{"_id": "x", "text": "Another one.", "lang": "en"}], place / "third", model)
    refused = run("index", place / "third", "--out", place / "index", "--add")
    assert refused.exit_code == 1 and "--as-is" in refused.stderr
    assert answer(run(*add, "--json"))["passages"] == 10
    assert answer(run("index", place / "third", "--out", place / "index", "--add", "--json"))["passages"] == 11
    with monkeypatch.context() as patch:
        patch.setattr("isogloss.indexing.embedded.EmbeddedIndex.optimize", stop)
        assert run("index", place / "third", "--out", place / "index", "--update").exit_code == 130
    assert answer(run("index", "--out", place / "index", "--as-is", "--json"))["passages"] == 11
    assert run("index", place / "third", "--out", place / "index", "--as-is").exit_code == 2
    with monkeypatch.context() as patch:
        patch.setattr("isogloss.models.retriever.Retriever.encode_query", stop)
        stopped = run("search", place / "index", FLUSS, "--model", model)
    assert stopped.exit_code == 130 and "goes on" not in stopped.stderr


def test_stopped_at_the_words_an_index_is_whole(place: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("isogloss.indexing.search_index.SearchIndex.prepare_lexical", stop)
        stopped = run("index", place / "bank", "--out", place / "other")
    assert stopped.exit_code == 130
    assert "The index is whole" in stopped.stderr and "goes on" not in stopped.stderr
    found = answer(run("search", place / "other", "bread", "--lexical", "--json"))
    assert [hit["id"] for hit in found["hits"]] == ["2.en"]


def test_passages_without_a_language_are_counted(model: Path, tmp_path: Path) -> None:
    records = [{"_id": "a", "text": FLUSS, "lang": "de"}, {"_id": "b", "text": FLUSS}]
    encode([*records, {"_id": "c", "text": FLUSS, "lang": "und"}], tmp_path / "bank", model)
    made = run("index", tmp_path / "bank", "--out", tmp_path / "index")
    assert "3 passages in 1 languages: de 1, unknown 2" in made.stdout
    made = answer(run("index", tmp_path / "bank", "--out", tmp_path / "other", "--json"))
    assert (made["languages"], made["unknown_language"]) == ({"de": 1}, 2)


def test_fewer_hits_are_explained(place: Path, model: Path) -> None:
    record: dict[str, Any] = {"_id": "n", "text": FLUSS, "lang": "de", "metadata": {"source": "notes"}}
    encode([record], place / "notes", model)
    assert run("index", place / "notes", "--out", place / "index", "--add").exit_code == 0
    wrong = run("search", place / "index", FLUSS, "--model", model, "--metadata", "sourec=notes", "--language", "de")
    assert "0 hits of 10: no passage in de has sourec=notes; did you mean 'source'? Keys" in wrong.stderr
    assert "Keys of the first passages: source." in wrong.stderr
    words = run("search", place / "index", "bread", "--lexical")
    assert "1 hits of 10: of the 10 passages that may be found, no other has a word of the query." in words.stderr


@pytest.mark.parametrize("made", ["index", "bank"])
def test_a_text_writes_nothing_but_itself_to_the_terminal(model: Path, tmp_path: Path, made: str) -> None:
    evil = "Der Fluss\x1b]52;c;aGk=\x07 \x00\x9b31m\x7f\rmündet\r\nins\tMeer"
    record = {"_id": "a\x1b[2Jb", "text": evil + " lang" * 500, "title": "T\x1b[31m", "lang": "de"}
    encode([record], tmp_path / "bank", model)
    assert run("index", tmp_path / "bank", "--out", tmp_path / "index").exit_code == 0
    shown = run("search", tmp_path / made, FLUSS, "--model", model)
    assert shown.exit_code == 0
    assert not any((ord(letter) < 32 and letter not in "\n\t") or 127 <= ord(letter) < 160 for letter in shown.stdout)
    assert "mündet\nins\tMeer" in shown.stdout and "lang …\n" in shown.stdout and len(shown.stdout) < 400
    exact = answer(run("search", tmp_path / made, FLUSS, "--model", model, "--json"))["hits"][0]
    assert (exact["id"], exact["title"], exact["text"]) == (record["_id"], record["title"], record["text"])


@pytest.mark.parametrize("options", [["--hybrid"], ["--lexical"]])
def test_search_imports_no_torch(place: Path, model: Path, options: list[str]) -> None:
    arguments = ["search", str(place / "index"), FLUSS, "--model", str(model), "-k", "1", "--json", *options]
    script = (
        "import sys; from isogloss.cli.main import app; app(sys.argv[1:], standalone_mode=False); "
        "print(*sorted({'torch', 'transformers', 'pandas'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["hits"][0]["id"] == "1.de"
    assert done.stderr.strip() == ""


def test_serve_answers_and_ends(place: Path, model: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-m", "isogloss", "serve", str(place / "index"), "--model", str(model), "--port", str(port)]
    process = subprocess.Popen([sys.executable, *command], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert "9 passages in 3 languages" in process.stderr.readline()
        assert asked(port, "/health")["status"] == "ok"
        body = {"query": FLUSS, "mode": "dense", "k": 1}
        assert asked(port, "/search", body)["hits"][0]["id"] == "1.de"
        process.send_signal(signal.SIGTERM)
        # uvicorn raises the signal again once all is closed, so that its parent sees what ended it.
        assert process.wait(20) == -signal.SIGTERM
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


def asked(port: int, path: str, body: object = None) -> dict[str, Any]:
    """The JSON at an address, of a server that may be about to start."""
    for _ in range(400):
        try:
            answered = httpx.request("POST" if body else "GET", f"http://127.0.0.1:{port}{path}", json=body, timeout=20)
        except httpx.ConnectError:
            time.sleep(0.05)
        else:
            found: dict[str, Any] = answered.raise_for_status().json()
            return found
    raise AssertionError("the server did not start")
