"""A busy or broken endpoint costs waiting, never what was answered.

1. 429, 500, a slow answer and a broken connection are tried again, each time later; `Retry-After` is obeyed.
2. An answer that is no JSON of the wanted form is counted and not asked for again.
3. A refusal stops the run; the next run asks for what is missing alone, and ends with the same file.
4. The key comes from the environment, goes into one header alone, and never over plain http to another host.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from isogloss.datasets import read_rows
from isogloss.errors import IsoglossError, UsageError
from isogloss.files import read_jsonl
from isogloss.generation import EndpointSettings, EndpointWriter, GenerateSettings, generate_queries
from tests.cli.worlds import write_lines

CORPUS = [
    ("d1", "en", "The keeper of the lighthouse counts the ships that pass at night and writes their names in a book."),
    ("d2", "de", "Der Wärter des Leuchtturms zählt in der Nacht die Schiffe und schreibt ihre Namen in ein Buch."),
    ("d3", "ru", "Смотритель маяка считает корабли ночью и записывает их названия в толстую книгу у окна."),
    ("d4", "en", "The river reaches the sea near an old town where bread is baked before the market opens."),
]
QUERIES = {
    "d1": "Who keeps a list of vessels?",
    "d2": "Wer notiert, welche Boote vorbeikommen?",
    "d3": "Кто ведёт список судов?",
    "d4": "What happens before people buy food there?",
}
SETTINGS = GenerateSettings(queries_per_language=1, shortest_passage=50)


class Server(ThreadingHTTPServer):
    """Answers by a script per document: each request takes its next word; without one it answers well."""

    daemon_threads = True

    def __init__(self, script: dict[str, list[str]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = {name: list(words) for name, words in script.items()}
        self.asked: list[str] = []
        self.headers_seen: list[dict[str, str]] = []
        self.bodies: list[dict] = []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][0]["content"]
        name = next(name for name, _, text in CORPUS if text in prompt)
        self.server.asked.append(name)
        self.server.bodies.append(body)
        self.server.headers_seen.append(dict(self.headers))
        word = self.server.script[name].pop(0) if self.server.script.get(name) else "ok"
        if word.isdigit() or word == "wait":
            self.answer(429 if word == "wait" else int(word), "busy", {"Retry-After": "7"} if word == "wait" else {})
        elif word == "slow":
            time.sleep(0.6)
            self.answer(200, self.chat(json.dumps({"query": "too late"})))
        elif word == "cut":
            self.connection.close()
        elif word == "redirect":
            self.answer(302, "", {"Location": "http://127.0.0.1:1/elsewhere"})
        else:
            good = json.dumps({"query": QUERIES[name]}, ensure_ascii=False)
            content = {
                "ok": good,
                "fenced": f"```json\n{good}\n```",
                "prose": "Sure! Here it is.",
                "list": "[1]",
                "number": '{"query": 3}',
            }
            self.answer(200, "<html>" if word == "html" else self.chat(content[word]))

    @staticmethod
    def chat(content: str) -> str:
        return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]})

    def answer(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        try:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())
        except ConnectionError:
            """The client stopped waiting, as it should."""

    def log_message(self, *arguments) -> None:
        """Says nothing."""


@pytest.fixture
def serve():
    servers = []

    def start(**script: list[str]) -> Server:
        servers.append(Server(script))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def corpus(tmp_path):
    return write_lines(
        tmp_path / "corpus.jsonl", ({"_id": name, "lang": tag, "text": text} for name, tag, text in CORPUS)
    )


def writer(server: Server, waits: list[float] | None = None, **settings) -> EndpointWriter:
    chosen = EndpointSettings(url=server.url, model="tiny", timeout=0.3, parallel=1, **settings)
    return EndpointWriter(chosen, sleep=(waits if waits is not None else []).append)


def write(corpus, out, writer, **more):
    return generate_queries(corpus, out, writer, settings=SETTINGS, progress=False, **more)


def test_rows_in_the_documents_language_with_provenance(serve, corpus, tmp_path):
    server = serve(d2=["fenced"])
    report = write(corpus, tmp_path / "out.jsonl", writer(server))
    assert {row.passage_id: row.query for row in read_rows(tmp_path / "out.jsonl")} == QUERIES
    assert [row.query_language for row in read_rows(tmp_path / "out.jsonl")] == ["en", "de", "ru", "en"]
    assert report.tally.kept == {"en": 2, "de": 1, "ru": 1}
    for _, record in read_jsonl(tmp_path / "out.jsonl"):
        found = record["generation"]
        assert (found["generator"], found["seed"], found["document_id"]) == ("tiny", 13, record["passage_id"])
        assert found["type"] == record["task_type"]
        assert found["type"] in SETTINGS.query_types
        assert found["band"] in SETTINGS.length_bands
        assert len(found["prompt_hash"]) == 16
    assert all(body["model"] == "tiny" and body["response_format"] == {"type": "json_object"} for body in server.bodies)
    assert not (tmp_path / "out.jsonl.journal.jsonl").exists()


def test_failures_that_may_pass_are_tried_again_later(serve, corpus, tmp_path):
    server = serve(d1=["429", "500", "503"], d2=["wait"], d3=["slow"], d4=["cut"])
    waits: list[float] = []
    report = write(corpus, tmp_path / "out.jsonl", writer(server, waits, first_wait=0.5))
    assert report.rows == 4
    assert waits == [0.5, 1.0, 2.0, 7.0, 0.5, 0.5]
    assert [server.asked.count(name) for name in QUERIES] == [4, 2, 2, 2]


def test_no_wait_is_longer_than_allowed(serve, corpus, tmp_path):
    waits: list[float] = []
    write(corpus, tmp_path / "out.jsonl", writer(serve(d2=["wait"]), waits, longest_wait=2.0))
    assert waits == [2.0]


@pytest.mark.parametrize("word", ["prose", "list", "number", "html"])
def test_an_answer_that_is_no_json_is_counted_and_not_asked_again(serve, corpus, tmp_path, word):
    server = serve(d3=[word])
    report = write(corpus, tmp_path / "out.jsonl", writer(server))
    assert report.tally.dropped == {"ru": {"invalid answer": 1}}
    assert (report.tally.written["ru"], report.rows, server.asked.count("d3")) == (1, 3, 1)


@pytest.mark.parametrize("word", ["401", "404", "redirect"])
def test_a_refusal_stops_and_the_next_run_asks_for_the_rest(serve, corpus, tmp_path, word):
    whole = tmp_path / "whole.jsonl"
    write(corpus, whole, writer(serve()))
    server = serve(d3=[word])
    with pytest.raises(IsoglossError, match="refuses"):
        write(corpus, tmp_path / "out.jsonl", writer(server))
    assert not (tmp_path / "out.jsonl").exists()
    before = list(server.asked)
    assert before[:3] == ["d1", "d2", "d3"]
    report = write(corpus, tmp_path / "out.jsonl", writer(server))
    assert sorted(server.asked[len(before) :]) == sorted({*QUERIES} - {"d1", "d2"} - set(before[3:]))
    assert report.asked == report.tasks - len(before) + 1
    assert (tmp_path / "out.jsonl").read_bytes() == whole.read_bytes()


def test_a_server_that_never_answers_ends_the_run(serve, corpus, tmp_path):
    server = serve(d1=["500"] * 9)
    with pytest.raises(IsoglossError, match="after 3 tries: 500"):
        write(corpus, tmp_path / "out.jsonl", writer(server, retries=2))
    assert server.asked == ["d1"] * 3 + server.asked[3:]


def test_a_line_that_was_cut_short_is_asked_for_again(serve, corpus, tmp_path):
    out = tmp_path / "out.jsonl"
    with pytest.raises(IsoglossError):
        write(corpus, out, writer(serve(d3=["401"], d4=["401"])))
    journal = tmp_path / "out.jsonl.journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-9])
    server = serve()
    assert write(corpus, out, writer(server)).rows == 4
    assert server.asked == ["d2", "d3", "d4"]


def test_a_journal_of_another_run_is_refused(serve, corpus, tmp_path):
    with pytest.raises(IsoglossError):
        write(corpus, tmp_path / "out.jsonl", writer(serve(d3=["401"])))
    with pytest.raises(UsageError, match="another generation"):
        write(corpus, tmp_path / "out.jsonl", writer(serve(), temperature=0.1))


def test_the_key_goes_into_one_header(serve, corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret-word")
    server = serve(d3=["401"])
    with pytest.raises(IsoglossError) as refused:
        write(corpus, tmp_path / "out.jsonl", writer(server, key_variable="MY_KEY"))
    assert {headers["Authorization"] for headers in server.headers_seen} == {"Bearer secret-word"}
    assert "secret-word" not in str(refused.value)
    assert all(b"secret-word" not in path.read_bytes() for path in tmp_path.iterdir())


def test_the_key_does_not_travel_unencrypted(monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret-word")
    with pytest.raises(UsageError, match="unencrypted"):
        EndpointWriter(EndpointSettings(url="http://example.org/v1", model="m", key_variable="MY_KEY"))
    monkeypatch.delenv("MY_KEY")
    EndpointWriter(EndpointSettings(url="http://example.org/v1", model="m", key_variable="MY_KEY"))


@pytest.mark.parametrize(
    "fields", [{"url": "file:///etc/passwd"}, {"url": "host/v1"}, {"url": "http://h", "prompt": "{x}"}]
)
def test_a_faulty_address_or_prompt_is_told(fields):
    with pytest.raises(UsageError):
        EndpointWriter(EndpointSettings(model="m", **fields))
