"""What a hostile caller can do: be refused, in OpenAI's shape, without a word of an exception and without a crash.

1. Without a valid key nothing but the page and `/health` answers; loopback without keys serves loopback hosts only.
2. Bodies that are huge, deep, broken, slow or many are refused within their limits, and the service goes on.
3. Nothing that a caller sends gets into a header, a path of the file system, or, as markup, into the log.
4. 1,000 requests at once are each answered, 200 or 429 with Retry-After, in bounded memory.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import socket
import time

import pytest

from isogloss.errors import UsageError
from isogloss.service.keys import ApiKeys, check_address, is_loopback, read_keys
from isogloss.service.logs import JsonLines
from isogloss.service.settings import ServiceSettings
from tests.service.conftest import KEY, listening, local_client

OTHER_KEY = "another-key-of-tests-02"
PROTECTED = (("GET", "/v1/models"), ("GET", "/corpus"), ("GET", "/metrics"), ("GET", "/reports"), ("POST", "/search"))


def refused(answer, status: int) -> str:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "Traceback" not in answer.text and "Error(" not in answer.text
    return error["message"]


@pytest.mark.parametrize(("method", "path"), PROTECTED)
@pytest.mark.parametrize(
    "header", [None, "Bearer wrong-wrong-wrong-wrong", f"Basic {KEY}", "Bearer", KEY, f"Bearer {KEY}x"]
)
def test_a_key_is_required(make_app, method, path, header):
    with local_client(make_app(keys=ApiKeys.of([KEY, OTHER_KEY]))) as client:
        answer = client.request(method, path, headers={"Authorization": header} if header else {})
        refused(answer, 401)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
def test_each_key_opens_from_any_host(make_app, key):
    with local_client(make_app(keys=ApiKeys.of([KEY, OTHER_KEY]))) as client:
        headers = {"Authorization": f"Bearer {key}", "Host": "search.example.org"}
        assert client.get("/v1/models", headers=headers).status_code == 200
        assert client.get("/health").status_code == client.get("/").status_code == 200


def test_no_key_and_no_loopback_is_refused_at_start(tmp_path):
    for host in ("0.0.0.0", "::", "192.168.1.4", "example.org", "127.0.0.1.example.org"):  # noqa: S104
        with pytest.raises(UsageError, match="API key"):
            check_address(host, ApiKeys())
        check_address(host, ApiKeys.of([KEY]))
    assert all(is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "[::1]", "127.8.9.1"))


def test_keys_of_file_and_environment_add_up(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"# ours\n{KEY}\n\n", encoding="utf-8")
    keys = read_keys(file, {"ISOGLOSS_API_KEYS": f"{OTHER_KEY}, "})
    assert [keys.accept(f"Bearer {key}".encode()) for key in (KEY, OTHER_KEY, "", "# ours")] == [
        True,
        True,
        False,
        False,
    ]
    assert KEY.encode() not in repr(keys).encode()
    file.write_text("short\nwith space in it, long enough\n", encoding="utf-8")
    with pytest.raises(UsageError) as error:
        read_keys(file, {})
    assert len(error.value.faults) == 2 and "short" not in str(error.value).replace("too short", "")
    file.write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(UsageError, match="no API key"):
        read_keys(file, {})


@pytest.mark.parametrize("host", ["evil.example.org", "127.0.0.1.evil.org", ""])
def test_without_keys_foreign_hosts_are_refused(client, host):
    refused(client.get("/corpus", headers={"Host": host}), 421)
    assert client.get("/corpus", headers={"Host": "[::1]:8000"}).status_code == 200


BROKEN = {
    "invalid UTF-8": b'{"query": "\xff\xfe"}',
    "lone surrogate": b'{"query": "\\ud800"}',
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"query":' * 50_000,
    "no JSON": b"query=ship",
    "empty": b"",
    "an array": b"[]",
    "not a number": b'{"query": "ship", "k": NaN}',
    "huge number": b'{"query": "ship", "k": 1e400}',
    "huge integer": b'{"query": "ship", "k": ' + b"9" * 5000 + b"}",
    "unknown field": b'{"query": "ship", "index": "../../etc/passwd"}',
    "wrong type": b'{"query": {"$ne": 1}}',
    "token ids": b'{"query": [1, 2]}',
}


@pytest.mark.parametrize("path", ["/search", "/v1/embeddings", "/v1/rerank"])
@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_broken_bodies_are_refused(client, path, body):
    message = refused(client.post(path, content=body, headers={"Content-Type": "application/json"}), 400)
    assert len(message) < 1000 and "passwd" not in message
    assert client.get("/health").status_code == 200


def test_limits_are_named(make_app):
    limits = ServiceSettings(max_body_bytes=4096, max_texts=3, max_text_characters=100, max_request_tokens=40)
    with local_client(make_app(settings=limits)) as client:

        def embed(body: object):
            return client.post("/v1/embeddings", json={"input": body})

        assert "4096" in refused(embed("a" * 5000), 413)
        assert "at most 3" in refused(embed(["a"] * 4), 400)
        assert "at most 100" in refused(embed(["a", "b" * 101]), 400)
        assert "input.1 is empty" in refused(embed(["a", " \n"]), 400)
        assert "at most 40" in refused(embed(["a ship b c d e f g h " * 4] * 2), 400)
        assert embed("a ship").status_code == 200
        refused(client.post("/v1/embeddings", content=iter([b"a" * 3000, b"a" * 3000]), headers=_json()), 413)
        refused(client.post("/search", content=b'{"query": "ship"}', headers={"Content-Type": "text/plain"}), 415)
        refused(client.post("/search", content=b"{}", headers={**_json(), "Content-Length": "-5"}), 413)


def _json() -> dict[str, str]:
    return {"Content-Type": "application/json"}


PATHS_OUT = (
    "/../../etc/passwd",
    "/page/../app.py",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/page.css/..%2f..%2fkeys.py",
    "//etc/passwd",
    "/index.html",
    "/search/../../x",
    "/%00",
    "/page.css%0d%0aX-Evil:%201",
)


def test_no_path_leads_out(make_app):
    with listening(make_app()) as port:
        for path in PATHS_OUT:
            request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
            head, _, body = asyncio.run(_all_at_once(port, request, 1))[0].partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 404") and b"x-evil" not in head.lower(), path
            assert json.loads(body)["error"]["code"] == "not_found"


def test_control_characters_of_a_query_are_spaces(client):
    plain = client.post("/search", json={"query": "count ships", "mode": "lexical"}).json()["hits"]
    control = client.post("/search", json={"query": "count\u0000\u0007ships\u001b[2J", "mode": "lexical"}).json()[
        "hits"
    ]
    assert plain and [hit["id"] for hit in plain] == [hit["id"] for hit in control]


def test_no_header_can_be_injected(client, make_app, tiny_transformer):
    answer = client.post("/v1/embeddings", json={"input": "a", "model": "x\r\nSet-Cookie: a=b"})
    refused(answer, 404)
    answer = client.post(
        "/search", json={"query": "a", "languages": ["de\r\nX-Evil: 1"]}, headers={"X-Request-Id": "mine"}
    )
    refused(answer, 400)
    assert "set-cookie" not in answer.headers and "x-evil" not in answer.headers
    assert answer.headers["X-Request-Id"] != "mine"
    from isogloss import Retriever

    evil = Retriever.load(tiny_transformer, prompts={"query": "task: a\r\nX-Evil: 1\n", "passage": ""})
    from isogloss.service.app import create_app

    with local_client(create_app(evil)) as other:
        answer = other.post("/v1/embeddings", json={"input": "a", "input_type": "query"})
    assert answer.headers["X-Isogloss-Prompt"] == "task%3A%20a%0D%0AX-Evil%3A%201%0A" and "x-evil" not in answer.headers


def test_no_other_origin_is_let_in(client):
    answer = client.options("/search", headers={"Origin": "https://evil.org", "Access-Control-Request-Method": "POST"})
    assert answer.status_code == 405
    answer = client.get("/corpus", headers={"Origin": "https://evil.org"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    page = client.get("/")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]


def test_a_failure_says_nothing_of_its_reason(make_app, monkeypatch):
    from isogloss.service.corpus import IndexCorpus

    def fail(self: object, question: object) -> None:
        raise RuntimeError("secret path /srv/keys")

    monkeypatch.setattr(IndexCorpus, "search", fail)
    with local_client(make_app(), raise_server_exceptions=False) as client:
        answer = client.post("/search", json={"query": "ship"})
        assert "secret" not in refused(answer, 500) and "X-Request-Id" in answer.headers
        assert client.get("/health").status_code == 200
        assert 'isogloss_requests_total{route="/search",status="500"} 1.0' in client.get("/metrics").text


def test_queries_are_logged_only_when_asked(make_app, caplog):
    caplog.set_level(logging.INFO, "isogloss.service")
    formatted = JsonLines().format
    for asked, settings in ((False, ServiceSettings()), (True, ServiceSettings(log_queries=True))):
        caplog.clear()
        with local_client(make_app(settings=settings)) as client:
            client.post("/search", json={"query": "a hidden\nship"}, headers={"User-Agent": "x\ty"})
        lines = [formatted(record) for record in caplog.records if record.name == "isogloss.service"]
        assert all("\n" not in line and json.loads(line)["event"] for line in lines)
        assert any("hidden" in line for line in lines) is asked


def test_a_slow_answer_is_given_up(make_app, monkeypatch):
    from isogloss.service.corpus import IndexCorpus

    search = IndexCorpus.search
    monkeypatch.setattr(IndexCorpus, "search", lambda self, question: time.sleep(0.6) or search(self, question))
    with local_client(make_app(settings=ServiceSettings(request_timeout_seconds=0.2))) as client:
        answer = client.post("/search", json={"query": "ship"})
        refused(answer, 504)
        assert int(answer.headers["Retry-After"]) >= 1


def test_slow_callers_lose_their_connection(make_app):
    settings = ServiceSettings(body_timeout_seconds=0.4)
    with listening(make_app(settings=settings), settings) as port:
        with socket.create_connection(("127.0.0.1", port), 10) as headers_never_end:
            headers_never_end.sendall(b"GET /health HTTP/1.1\r\nHost: 127")
            assert headers_never_end.recv(1000) == b""
        with socket.create_connection(("127.0.0.1", port), 10) as body_never_ends:
            lines = ("POST /search HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", "Content-Length: 99")
            body_never_ends.sendall("\r\n".join((*lines, "", "{")).encode())
            answer = b""
            while chunk := body_never_ends.recv(4000):
                answer += chunk
            assert answer.startswith(b"HTTP/1.1 408") and b"body_timeout" in answer
        with socket.create_connection(("127.0.0.1", port), 10) as no_http:
            no_http.sendall(b"\x16\x03\x01\x00nonsense\r\n\r\n")
            assert no_http.recv(1000).startswith(b"HTTP/1.1 400")
        with socket.create_connection(("127.0.0.1", port), 10) as huge_header:
            huge_header.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 40_000)
            assert huge_header.recv(1000).startswith(b"HTTP/1.1 4")


def test_a_thousand_at_once_are_answered_in_bounded_memory(make_app):
    settings = ServiceSettings(max_waiting_texts=64, max_batch_texts=16, max_bodies_bytes=2_000_000)
    text = "the lighthouse keeper counts ships " * 200
    body = json.dumps({"input": [text] * 2}).encode()
    lines = ("POST /v1/embeddings HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", "Connection: close")
    head = "\r\n".join((*lines, f"Content-Length: {len(body)}", "", ""))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with listening(make_app(settings=settings), settings) as port:
        answers = asyncio.run(_all_at_once(port, head.encode() + body, 1000))
        alive = asyncio.run(
            _all_at_once(port, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 1)
        )
    statuses = [int(answer.split(None, 2)[1]) for answer in answers]
    assert len(statuses) == 1000 and set(statuses) == {200, 429}, set(statuses)
    assert statuses.count(200) >= 32
    assert all(
        b"\r\nretry-after: " in answer for answer, status in zip(answers, statuses, strict=True) if status == 429
    )
    assert b"200 OK" in alive[0]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 300, f"{grown:.0f} MiB more"


async def _all_at_once(port: int, request: bytes, count: int) -> list[bytes]:
    async def one() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        return answer

    return await asyncio.gather(*(one() for _ in range(count)))
