"""A small corpus in five scripts, a tiny model, and the service over them: in process, or listening on loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from isogloss import Retriever, Text
from isogloss.engines.static import StaticEngine
from isogloss.indexing.opening import open_index
from isogloss.models.retriever import Tower
from isogloss.service.app import create_app
from isogloss.service.corpus import IndexCorpus
from isogloss.service.serial_engine import for_threads
from isogloss.service.server import server_config
from isogloss.service.settings import ServiceSettings
from tests.conftest import build_tokenizer

KEY = "a-key-of-the-tests-0001"
INJECTION = (
    "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'> \"quoted\" & <b>bold</b> the lighthouse keeper"
)
PASSAGES = (
    Text("en-1", "The lighthouse keeper counts the ships that pass at night. Bread is baked early.", "en"),
    Text("en-2", INJECTION, "en", title="<svg onload='window.pwned=1'>"),
    Text(
        "de-1",
        "Der Leuchtturmwärter zählt die Schiffe in der Nacht. Das Brot wird früh gebacken.",
        "de",
        metadata={"n": 1},
    ),
    Text("ar-1", "حارس المنارة يعد السفن في الليل. يخبز الخبز في الصباح.", "ar", metadata={"n": True}),
    Text("hi-1", "प्रकाशस्तंभ का रक्षक रात में जहाज़ गिनता है। रोटी सुबह बनती है।", "hi"),
    Text("th-1", "ผู้ดูแลประภาคารนับเรือในเวลากลางคืน ขนมปังอบในตอนเช้า", "th"),
    Text("zh-1", "灯塔看守人在夜里数船。面包在清晨烘烤。", "zh"),
)


@pytest.fixture(scope="session")
def tiny_static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static model, as that of all tests, but made without torch."""
    return save_static(tmp_path_factory.mktemp("models") / "static")


def save_static(folder: Path, seed: int = 0) -> Path:
    """Writes a static model without torch, whose import takes longer than these tests."""
    tokenizer = build_tokenizer("Unigram")
    weights = np.random.default_rng(seed).normal(size=(tokenizer.get_vocab_size(), 24)).astype(np.float32)
    engine = StaticEngine(weights, tokenizer)
    Retriever(query=Tower("query", engine), passage=Tower("passage", engine)).save(folder)
    return folder


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory, tiny_static: Path) -> Path:
    """A bank of `PASSAGES` by the tiny static model."""
    folder = tmp_path_factory.mktemp("service") / "bank"
    Retriever.load(tiny_static).encode_bank(PASSAGES, folder, progress=False)
    return folder


@pytest.fixture(scope="session")
def make_app(bank: Path, tiny_static: Path) -> Callable[..., ASGIApp]:
    """Makes an application over the bank; arguments as of `create_app`."""

    def make(**options: object) -> ASGIApp:
        retriever = for_threads(Retriever.load(options.pop("model", tiny_static)))
        corpus = None
        if options.pop("corpus", True):
            corpus = IndexCorpus(open_index(bank, model=retriever))
            corpus.prepare()
        return create_app(retriever, corpus, model_name="tiny", **options)

    return make


@pytest.fixture
def client(make_app: Callable[..., ASGIApp]) -> Iterator[TestClient]:
    """A client of a service without keys."""
    with local_client(make_app()) as client:
        yield client


def local_client(app: ASGIApp, **options: object) -> TestClient:
    """A client whose requests name a loopback host."""
    return TestClient(app, base_url="http://127.0.0.1", **options)


@contextmanager
def listening(app: ASGIApp, settings: ServiceSettings | None = None) -> Iterator[int]:
    """Runs the application by the real server on a free port of the loopback address, and gives the port."""
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(server_config(app, settings or ServiceSettings()))
    server.install_signal_handlers = lambda: None
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.started
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
