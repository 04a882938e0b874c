"""Mined passages are what a plain search over all vectors and a plain reading of the rules give.

1. Ids, ranks and scores equal those of a full sort, whatever the block and however the rows are parted or shuffled.
2. Ranks are counted within the languages that a share asks for, and every share comes from its languages.
3. The positive's score has the very bits that a search gives it: a fraction of 1 leaves out what scores above it.
4. A near duplicate of the row's passage is drawn for no row, and another candidate takes its place.
5. A query of which the tokenizer knows nothing gets no negatives, is counted, and changes nothing for the others.
6. What a row is said to be compared with is what its searches may find.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from isogloss import Bank, Retriever, Text
from isogloss.records import Row
from isogloss.training.mining import KnownAnswers, MiningSettings, PassageMiner
from isogloss.training.mining import passages as passages_module
from isogloss.training.mining.known_answers import NEAR_DUPLICATE
from isogloss.training.mining.passages import UNREADABLE, paired_scores, searched
from tests.conftest import TINY_TEXTS

WORDS = sorted({word for text in TINY_TEXTS for word in text.split()})
LANGUAGES = ("en", "de", "ru", None)


def made_passages(count=60):
    generator = np.random.default_rng(5)
    return [
        Text(f"p{n}", f"{n} " + " ".join(generator.choice(WORDS, size=9)), LANGUAGES[n % 4], title="T" * (n % 2))
        for n in range(count)
    ]


PASSAGES = made_passages()
ROWS = [
    Row(" ".join(text.text.split()[1:4]) + "?", text.text, ("de", "en")[number % 2], text.language, title=text.title)
    for number, text in enumerate(PASSAGES[:20])
]


@pytest.fixture(scope="module")
def retriever(tiny_static):
    return Retriever.load(tiny_static)


@pytest.fixture(scope="module")
def bank(retriever, tmp_path_factory):
    path = tmp_path_factory.mktemp("bank") / "bank"
    retriever.encode_bank(PASSAGES, path, dtype="float32", shard_size=16, progress=False)
    return Bank.open(path)


def miner(retriever, bank, **settings):
    chosen = MiningSettings(**{"ranks": (3, 12), "negatives": 4, "pick": "first", **settings})
    return PassageMiner(retriever, bank, KnownAnswers(ROWS, bank.texts(), near_duplicate=1.1), chosen)


def sorted_ids(retriever, row, allowed):
    """Ids of the allowed passages by score, in float64, without our search."""
    vectors = retriever.encode_passage(PASSAGES).astype(np.float64)
    scores = vectors @ retriever.encode_query([row.query])[0].astype(np.float64)
    order = np.argsort(-scores)
    return [PASSAGES[place].id for place in order if allowed(PASSAGES[place].language)], dict(
        zip([text.id for text in PASSAGES], scores, strict=True)
    )


@pytest.mark.parametrize("block", [5, 8192])
def test_as_a_full_sort_gives_them(retriever, bank, block):
    mined = miner(retriever, bank, languages={"any": 1}, block=block).mine(ROWS)
    for row, selection in zip(ROWS, mined, strict=True):
        ids, scores = sorted_ids(retriever, row, lambda language: True)
        gold = next(text.id for text in PASSAGES if text.text == row.passage)
        expected = [(name, rank) for rank, name in enumerate(ids, 1) if 3 <= rank <= 12 and name != gold][:4]
        assert [(negative.id, negative.rank) for negative in selection.negatives] == expected
        assert [negative.score for negative in selection.negatives] == pytest.approx(
            [scores[name] for name, _ in expected], abs=1e-6
        )


@pytest.mark.parametrize(
    ("share", "allowed"),
    [
        ("same", lambda row, language: language == row.passage_language),
        ("other", lambda row, language: language != row.passage_language),
        ("query", lambda row, language: language == row.query_language),
        ("ru", lambda row, language: language == "ru"),
    ],
)
def test_ranks_are_within_the_languages(retriever, bank, share, allowed):
    mined = miner(retriever, bank, languages={share: 1}, ranks=(2, 9)).mine(ROWS)
    for row, selection in zip(ROWS, mined, strict=True):
        ids, _ = sorted_ids(retriever, row, lambda language, row=row: allowed(row, language))
        gold = next(text.id for text in PASSAGES if text.text == row.passage)
        expected = [(name, rank) for rank, name in enumerate(ids, 1) if 2 <= rank <= 9 and name != gold][:4]
        assert [(negative.id, negative.rank) for negative in selection.negatives] == expected


def test_a_query_without_a_known_token_gets_none(tmp_path):
    bundled = Retriever.load("bundled")  # its tokenizer keeps nothing of a sign that it does not know
    bundled.encode_bank(PASSAGES, tmp_path / "bank", progress=False)
    bank = Bank.open(tmp_path / "bank")
    nothing = Row("#", PASSAGES[0].text, "en", PASSAGES[0].language)
    unknown = Row(ROWS[0].query, "#", "en", "en")
    plain = miner(bundled, bank, fraction=0.95).mine(ROWS)
    assert any(selection.negatives for selection in plain)
    with_it = miner(bundled, bank, fraction=0.95).mine([*ROWS[:3], nothing, *ROWS[3:], unknown])
    assert with_it[3].negatives == ()
    assert with_it[3].excluded == {UNREADABLE: 1}
    assert [*with_it[:3], *with_it[4:-1]] == plain


@pytest.mark.parametrize("share", ["same", "other", "any", "query", "ru", "fr"])
def test_as_many_are_compared_as_may_be_found(retriever, bank, monkeypatch, share):
    compared = []

    def counted(queries, names, passages, *, k, block, allowed, order):
        compared.append(len(names) * (len(passages.ids) if allowed is None else int(allowed.sum())))
        return {name: {} for name in names}

    monkeypatch.setattr(passages_module, "search", counted)
    miner(retriever, bank, languages={share: 1}).mine(ROWS)
    counts = Counter(text.language or "" for text in PASSAGES)
    assert searched(ROWS, counts, MiningSettings(languages={share: 1})) == [sum(compared) / len(ROWS)]


def test_shares_of_languages(retriever, bank):
    languages = {text.id: text.language for text in PASSAGES}
    for row, selection in zip(ROWS, miner(retriever, bank, languages={"same": 3, "any": 1}).mine(ROWS), strict=True):
        found = [negative.id for negative in selection.negatives]
        assert len(set(found)) == 4
        assert sum(languages[name] == row.passage_language for name in found) >= 3
        scores = [negative.score for negative in selection.negatives]
        assert scores == sorted(scores, reverse=True)


def test_neither_order_nor_parts_change_a_row(retriever, bank):
    mine = miner(retriever, bank, pick="random", languages={"same": 1, "other": 1}).mine
    whole = list(mine(ROWS))
    order = np.random.default_rng(1).permutation(len(ROWS)).tolist()
    for part in (order[:7], order[7:]):
        assert list(mine([ROWS[place] for place in part])) == [whole[place] for place in part]


def test_nothing_above_the_positive_is_taken_with_fraction_one(retriever, bank):
    mined = miner(retriever, bank, languages={"any": 1}, ranks=(1, 60), negatives=60, fraction=1.0).mine(ROWS)
    for row, selection in zip(ROWS, mined, strict=True):
        ids, _ = sorted_ids(retriever, row, lambda language: True)
        gold = next(text.id for text in PASSAGES if text.text == row.passage)
        assert [negative.id for negative in selection.negatives] == ids[ids.index(gold) + 1 :]


def test_paired_scores_are_dot_products():
    generator = np.random.default_rng(3)
    first, second = (generator.normal(size=(9, 16)).astype(np.float32) for _ in range(2))
    expected = [float(np.dot(a.astype(np.float64), b.astype(np.float64))) for a, b in zip(first, second, strict=True)]
    assert paired_scores(first, second) == pytest.approx(expected, abs=1e-6)


def test_a_passage_that_the_bank_lacks_is_encoded(retriever, bank):
    rows = [ROWS[0], Row("q", TINY_TEXTS[0], "en", "en", title="New")]
    vectors = miner(retriever, bank).passage_vectors(rows)
    expected = retriever.encode_passage([PASSAGES[0], Text("x", TINY_TEXTS[0], title="New")])
    np.testing.assert_array_equal(vectors, expected)


@pytest.mark.parametrize("pick", ["first", "random"])
def test_near_duplicates_give_way(retriever, tmp_path, pick):
    copies = [Text(f"copy{n}", f"{PASSAGES[n].text} {n}", "en") for n in range(10)]
    retriever.encode_bank([*PASSAGES, *copies], tmp_path / "bank", dtype="float32", progress=False)
    bank = Bank.open(tmp_path / "bank")
    settings = MiningSettings(ranks=(1, 12), negatives=9, pick=pick, languages={"any": 1})
    mined = PassageMiner(retriever, bank, KnownAnswers(ROWS[:10], bank.texts()), settings).mine(ROWS[:10])
    for number, selection in enumerate(mined):
        assert f"copy{number}" not in {negative.id for negative in selection.negatives}
        assert len(selection.negatives) == 9
    dropped = sum(selection.excluded.get(NEAR_DUPLICATE, 0) for selection in mined)
    assert 0 < dropped <= 10
