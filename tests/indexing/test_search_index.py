"""A search by meaning, by words or by both gives the same passages however the index came to be.

1. A new passage is found by words at once, and a deleted one is not, also after the index is opened again.
2. Each hit says its rank in each stage that found it, and a reranker's order is the last.
3. A model that did not make the vectors is refused, and so are two processes at once.
4. Languages and metadata restrict the search by words as that by meaning.
5. A language that is left out of the lexical index is found by meaning, and asked for by words it is refused; what it
   is, the index itself says.
"""

from __future__ import annotations

import numpy as np
import pytest

from isogloss import Bank, Retriever, Text
from isogloss.errors import FileError, StaleBankError, UsageError
from isogloss.indexing import open_index
from isogloss.indexing.building import build_index, leave_out_words
from tests.conftest import TINY_TEXTS

LANGUAGES = ("en", "en", "de", "es", "ru", "ru", "ar", "hi", "th", "zh", "en", "ru")


@pytest.fixture
def place(tiny_static, tmp_path):
    texts = [
        Text(f"p{row}", text, language=LANGUAGES[row], metadata={"half": row // 6})
        for row, text in enumerate(TINY_TEXTS)
    ]
    Retriever.load(tiny_static).encode_bank(texts, tmp_path / "bank", progress=False)
    build_index(Bank.open(tmp_path / "bank"), tmp_path / "index", progress=False)
    return tmp_path


def ids(found):
    return [hit.id for hit in found[0]]


def test_words_follow_changes(place, tiny_static):
    with open_index(place / "index", model=tiny_static) as index:
        assert ids(index.search(["lighthouse"], mode="lexical")) == ["p0"]
        index.add([Text("new", "Another lighthouse", language="en")])
        index.delete(["p0"])
        assert ids(index.search(["lighthouse"], mode="lexical")) == ["new"]
    with open_index(place / "index", model=None) as index:
        assert ids(index.search(["lighthouse"], mode="lexical")) == ["new"]
        assert (place / "index" / "lexical" / "lexical.json").is_file()
    with open_index(place / "index", model=tiny_static) as index:
        index.update([Text("new", "Something else", language="en")])
    with open_index(place / "index", model=None) as index:
        assert ids(index.search(["lighthouse"], mode="lexical")) == []


def test_stages(place, tiny_static):
    class ShortestFirst:
        def scores(self, query, passages):
            return -np.array([len(passage) for passage in passages], dtype=np.float32)

    with open_index(place / "index", model=tiny_static) as index:
        hits = index.search(["ships that pass"], k=12, mode="hybrid", rerank=ShortestFirst())[0]
    lengths = [len(hit.text) for hit in hits]
    assert lengths == sorted(lengths)
    first = next(hit for hit in hits if hit.id == "p0")
    assert first.stages["lexical"].rank == 1
    assert list(first.stages) == ["dense", "lexical", "fusion", "rerank"]
    assert all("lexical" not in hit.stages for hit in hits if hit.id != "p0")


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
def test_filters(place, tiny_static, mode):
    with open_index(place / "index", model=tiny_static) as index:
        found = index.search(["Хлеб маяка"], k=9, mode=mode, languages=["rus"], metadata={"half": 1})
        assert ids(found) == ["p11"]
        with pytest.raises(UsageError, match="no passage of the index"):
            index.search(["x"], languages=["sw"], mode=mode)


def test_refusals(place, tiny_static, tiny_transformer):
    with pytest.raises(StaleBankError, match="weights"):
        open_index(place / "index", model=tiny_transformer)
    with open_index(place / "index", model=tiny_static), pytest.raises(FileError, match="another process"):
        open_index(place / "index", model=tiny_static)
    with pytest.raises(UsageError, match="no engine"):
        open_index("quadrant://host/name", model=None)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("qdrant://localhost:port/foo", "port"),
        ("qdrant://localhost:99999/foo", "65535"),
        ("qdrant://localhost:0/foo", "port 0"),
        ("qdrant://[bad/foo", "IPv6"),
        ("postgresql://me:secret@[bad/foo", "IPv6"),
    ],
)
def test_a_place_that_is_no_url(place, url, said):
    for refused in (
        lambda: open_index(url, model=None),
        lambda: build_index(Bank.open(place / "bank"), url, progress=False),
    ):
        with pytest.raises(UsageError, match=f"is no URL.*{said}") as caught:
            refused()
        assert "secret" not in str(caught.value)


def test_a_language_without_words(place, tiny_static):
    with open_index(place / "index", model=tiny_static) as index:
        everything = index.search(["ships that pass"], k=12, mode="hybrid")[0]
        assert {"ru", "en"} <= {hit.language for hit in everything if "lexical" in hit.stages} | {"ru"}
    assert leave_out_words(place / "index", ["rus"]).no_words == ("ru",)
    with open_index(place / "index", model=tiny_static) as index:
        assert index.not_by_words() == index.not_by_words(["ru", "de"]) == ("ru",)
        assert index.not_by_words(["de"]) == ()
        with pytest.raises(UsageError, match="language ru  is left out of the lexical index"):
            index.search(["ships"], mode="lexical", languages=["ru", "en"])
        russian = next(text for row, text in enumerate(TINY_TEXTS) if LANGUAGES[row] == "ru")
        assert ids(index.search([russian], mode="lexical")) == []
        hybrid = index.search([russian], mode="hybrid", languages=["ru"])[0]
        assert hybrid[0].text == russian and set(hybrid[0].stages) == {"dense", "fusion"}
        assert index.search(["lighthouse"], mode="lexical", languages=["en"])[0][0].id == "p0"
        index.add([Text("new", "Another lighthouse", language="en")])
        assert set(ids(index.search(["lighthouse"], mode="lexical"))) == {"p0", "new"}
        assert index.not_by_words() == ("ru",)
    leave_out_words(place / "index", [])
    with open_index(place / "index", model=None) as index:
        assert len(ids(index.search([russian], mode="lexical"))) > 0
    with pytest.raises(UsageError, match="fr"):
        leave_out_words(place / "index", ["fr"])
