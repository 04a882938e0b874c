"""The command `isogloss serve` as its user meets it: a process.

1. With port 0 it says which port it took, and answers there.
2. A signal to stop ends it after the request that is being answered.
3. A port that is taken is said before anything is loaded.
"""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx


@contextmanager
def serving(bank: Path, model: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the address that it says."""
    command = [sys.executable, "-m", "isogloss", "serve", str(bank), "--model", str(model), "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
        assert found, said
        yield process, found[0]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_says_its_port_and_answers_what_it_has_begun(bank: Path, tiny_static: Path) -> None:
    with serving(bank, tiny_static, "--set", "batch_wait_seconds=1") as (process, url):
        assert not url.endswith(":0/")
        assert httpx.get(f"{url}health", timeout=30).json()["status"] == "ok"
        answers: list[dict[str, object]] = []
        body = {"input": ["the lighthouse"], "input_type": "query"}
        asking = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{url}v1/embeddings", json=body, timeout=30).json())
        )
        asking.start()
        asking.join(0.5)  # it waits for others to share its batch
        assert asking.is_alive()
        process.send_signal(signal.SIGTERM)
        asking.join(20)
        assert answers and answers[0]["object"] == "list"
        assert process.wait(20) in (0, -signal.SIGTERM)


def test_a_taken_port_is_said_first() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        command = [sys.executable, "-m", "isogloss", "serve", "no-such-index", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"cannot listen at 127.0.0.1:{port}" in done.stderr and "--port" in done.stderr
