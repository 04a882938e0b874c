"""The quick way to token ids is the tokenizer's own way, or is not taken.

1. Ids are those of the tokenizer for every kind of model, on texts of many scripts and on hostile ones: empty, white
   space of every kind, combining signs, unknown characters, reserved signs, very long words.
2. They do not depend on what was cut before, nor on what was forgotten, nor on the size of blocks.
3. Unigram paths that are equally good, or nearly, are cut as the tokenizer cuts them.
4. A tokenizer that looks beyond white space is left to itself, and one line says so; one that differs on the user's
   texts is found out, the language is named, and the ids are right all the same. Added tokens that are looked for in
   the raw text leave the other chunks to the cutter; of those that are not, one line tells.
5. Truncation of the tokenizer does not count; what is remembered is bounded.
"""

from __future__ import annotations

import logging
import random
import unicodedata

import numpy as np
import pytest
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from isogloss.engines.tokenising import TextTokenizer, chunks, locality, proved
from isogloss.engines.tokenising.chunks import ChunkCutter, ChunkTokenizer
from isogloss.engines.tokenising.patterns import NotExpressible, Pattern, Shadows, code_points
from isogloss.engines.tokenising.unigram import UnigramCutter
from isogloss.models.vocabulary import balanced_shares, build_tokenizer, count_words
from tests.conftest import TINY_TEXTS

HOSTILE = [
    "",
    " ",
    "\n\t\u3000\u00a0",
    "a\x1cb c\x85d e\u2028f",
    "Ünïcödé İstanbul ß ﬁne Ⅻ ﷺ ¼ ½",
    "e\u0301 \u0301x a\u0323\u0302 \u1100\u1161\u11a8 각",
    "كتاب والكتاب الكتاب للبيت لل ال وال +الكتاب ـــال",
    "नदी समुद्र से क्\u200dष",
    "แม่น้ำไหลลงทะเลที่ไหน abcแม่น้ำdef ▁ ▁แม่",
    "河流在哪里入海？日本語ーカタカナ abc中文def",
    "␀ a␀b ▁▁ x▁y",
    "😀👍🏽 \U0001f9ff \u0378 \ue000 \U000e0001",
    "!!! ... '' --- a-b_c d.e",
    "x" * 5000,
    "Ship SHIP ship, ship. (ship)",
]


@pytest.fixture(scope="module")
def folded() -> Tokenizer:
    """A tokenizer of our own kind: folding, whole words, pieces."""
    counts = {"xx": [count_words([*TINY_TEXTS, *HOSTILE, "แม่น้ำไหลลงทะเล 河流入海 الكتاب والبيت"] * 3)]}
    return build_tokenizer(balanced_shares(counts, {}), whole_words=30, pieces=220)


def own_ids(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]


def is_quick(quick: TextTokenizer) -> bool:
    return quick._quick is not None


def cuts_in_bulk(quick: TextTokenizer) -> bool:
    return is_quick(quick) and quick._quick.cutter is not None


def many_texts(seed: int, number: int = 60) -> list[str]:
    generator = random.Random(seed)
    words = [word for text in [*TINY_TEXTS, *HOSTILE] for word in text.split()] + ["\n", "\x1c", "\u3000", "\u0301"]
    letters = "".join(sorted({sign for word in words for sign in word}))
    made = []
    for _ in range(number):
        parts = [
            generator.choice(words) if generator.random() < 0.7 else "".join(generator.choices(letters, k=6))
            for _ in range(generator.randint(0, 30))
        ]
        made.append(generator.choice([" ", "  ", "\n", ""]).join(parts))
    return made


def test_ids_are_those_of_every_kind_of_tokenizer(every_tokenizer):
    tokenizer = every_tokenizer()
    texts = [*TINY_TEXTS, *HOSTILE, *many_texts(1)]
    found = TextTokenizer(tokenizer).ids(texts)
    assert found.lists() == own_ids(tokenizer, texts)
    assert found.counts.tolist() == [len(ids) for ids in own_ids(tokenizer, texts)]


def test_the_cutter_gives_the_ids_of_a_folding_tokenizer(folded, monkeypatch):
    monkeypatch.setattr(chunks, "CHARACTERS_WORTH_A_CUTTER", 0)
    monkeypatch.setattr(chunks, "FEW_CHARACTERS", 0)
    quick = TextTokenizer(folded)
    texts = [*TINY_TEXTS, *HOSTILE, *many_texts(2, 200)]
    assert quick.ids(texts).lists() == own_ids(folded, texts)
    assert cuts_in_bulk(quick)


def test_the_cutter_alone_gives_the_ids_of_nearly_all_chunks(folded):
    cutter = ChunkCutter(folded)
    given = [chunk for text in [*TINY_TEXTS, *HOSTILE, *many_texts(3, 200)] for chunk in text.split()]
    found, refused = cutter.cut(given)
    expected = own_ids(folded, given)
    assert [ids for row, ids in enumerate(found.lists()) if row not in set(refused)] == [
        ids for row, ids in enumerate(expected) if row not in set(refused)
    ]
    reserved = {row for row, chunk in enumerate(given) if "␀" in chunk or "▁" in chunk}
    assert reserved <= set(refused)
    assert len(refused) < len(given) / 4
    assert not any(found.lists()[row] for row in refused)


def test_neither_memory_nor_blocks_change_ids(folded, monkeypatch):
    monkeypatch.setattr(chunks, "CHARACTERS_WORTH_A_CUTTER", 500)
    monkeypatch.setattr(chunks, "FEW_CHARACTERS", 50)
    monkeypatch.setattr(chunks, "CHARACTERS_PER_BLOCK", 97)
    monkeypatch.setattr(chunks, "MOST_CHUNKS", 40)
    quick = TextTokenizer(folded)
    for seed in range(12):
        texts = many_texts(seed, 7) + list(TINY_TEXTS[:3])
        assert quick.ids(texts).lists() == own_ids(folded, texts)
        assert quick.ids(texts[:1]).lists() == own_ids(folded, texts[:1])


def test_what_is_remembered_is_bounded_and_keeps_what_is_frequent(folded, monkeypatch):
    monkeypatch.setattr(chunks, "MOST_CHUNKS", 100)
    quick = ChunkTokenizer(folded)
    for number in range(40):
        quick.ids_by_chunks([f"often word{number} {' '.join(f'x{number}y{place}' for place in range(20))}"])
        assert len(quick._memory) <= 100 + 22
    assert "often" in quick._memory and "word0" not in quick._memory


def test_paths_of_equal_or_nearly_equal_score_are_cut_alike():
    generator = random.Random(4)
    letters = "abcd"
    pieces = ["<unk>", *letters[:3]]
    while len(pieces) < 60:
        piece = "".join(generator.choices(letters, k=generator.randint(2, 4)))
        if piece not in pieces:
            pieces.append(piece)
    # Multiples of a tenth: sums that are equal on paper differ in the last bit, and that decides.
    scores = [0.0, *(-generator.randint(10, 60) / 10 for _ in pieces[1:])]
    tokenizer = Tokenizer(models.Unigram(list(zip(pieces, scores, strict=True)), 0))
    words = ["".join(generator.choices(letters + "?", k=generator.randint(1, 14))) for _ in range(3000)]
    cutter = UnigramCutter(pieces, scores, 0)
    flat, counts = cutter.cut(code_points("".join(words)), np.array([len(word) for word in words]))
    ends = np.cumsum(counts)
    assert [part.tolist() for part in np.split(flat, ends[:-1])] == own_ids(tokenizer, words)


def test_shadows_match_where_the_tokenizer_matches():
    sources = [r"[\p{P}\p{Z}x]{2,}", r"(?<![\p{L}\p{N}])(?:[ab]?c|dd)(?=\p{L}{2})", r"\p{Lu}+(?=d)"]
    generator = random.Random(5)
    for source in sources:
        pattern = Pattern.parse(source, spaces_allowed=True)
        shadows = Shadows([pattern])
        for _ in range(300):
            text = "".join(generator.choices("abcdxÄéЖ9., 中", k=12))
            shadows.meet(text)
            spans = shadows.spans(pattern, code_points(text))
            ours = "".join(
                "|" if any(start == place for start, _ in spans) else sign
                for place, sign in enumerate(text)
                if not any(start < place < stop for start, stop in spans)
            )
            assert ours == normalizers.Replace(Regex(source), "|").normalize_str(text)


@pytest.mark.parametrize("source", [r"\s+", r"a*", r"(?<=\p{Z})a", "a.", "^a", "[a&&b]", "a b", "▁", r"(a)\1", "a+?"])
def test_patterns_that_mean_something_else_here_are_refused(source):
    with pytest.raises(NotExpressible):
        Shadows([Pattern.parse(source)])


def _thai(points) -> bool:
    return bool(((points > 0x0E00) & (points < 0x0E80)).any())


def beyond_white_space() -> dict[str, Tokenizer]:
    def over(pre_tokenizer, normalizer=None):
        tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0), ("b", -1.0), ("▁", -2.0)], 0))
        if pre_tokenizer is not None:
            tokenizer.pre_tokenizer = pre_tokenizer
        if normalizer is not None:
            tokenizer.normalizer = normalizer
        return tokenizer

    split = pre_tokenizers.WhitespaceSplit()
    added = over(split)
    added.add_tokens([AddedToken("a b", normalized=False)])
    first = pre_tokenizers.Sequence([split, pre_tokenizers.Metaspace(prepend_scheme="first")])
    return {
        "no pre-tokeniser": over(None),
        "byte level": over(pre_tokenizers.ByteLevel()),
        "metaspace alone": over(pre_tokenizers.Metaspace()),
        "first word only": over(first),
        "prepends": over(split, normalizers.Prepend("b")),
        "joins words": over(split, normalizers.Replace(Regex(r"[\p{Z}]+"), "")),
        "sees a space": over(split, normalizers.Replace(Regex(r"a(?= )"), "b")),
        "added token with a space": added,
    }


@pytest.mark.parametrize("name", sorted(beyond_white_space()))
def test_tokenizers_that_look_beyond_white_space_are_left_to_themselves(name, caplog):
    tokenizer = beyond_white_space()[name]
    with pytest.raises(NotExpressible):
        ChunkTokenizer(tokenizer)
    texts = ["a b", "ab  b a", "", "b"] * 3
    quick = TextTokenizer(tokenizer)
    with caplog.at_level(logging.INFO, logger="isogloss"):
        assert quick.ids(texts).lists() == own_ids(tokenizer, texts)
        assert not caplog.records, "a few texts are cut in no time either way"
        for _ in range(2):
            assert quick.ids(texts * 1000).lists() == own_ids(tokenizer, texts * 1000)
    assert not is_quick(quick)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Every text is cut by the tokenizer itself" in caplog.text


def with_added_tokens(tokenizer: Tokenizer, *tokens: AddedToken) -> Tokenizer:
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.add_tokens(list(tokens))
    return copy


def test_added_tokens_leave_the_other_chunks_to_the_cutter(folded, monkeypatch, caplog):
    monkeypatch.setattr(chunks, "CHARACTERS_WORTH_A_CUTTER", 0)
    monkeypatch.setattr(chunks, "FEW_CHARACTERS", 0)
    mask = AddedToken("<mask>", normalized=False, special=True, lstrip=True)
    tokenizer = with_added_tokens(folded, mask, AddedToken("+ship", normalized=False, single_word=True))
    quick = TextTokenizer(tokenizer)
    odd = ["ship <mask> ship", "a<mask>b +ship +ships x+ship", "＜mask＞ <MASK> ﹢ship"]
    texts = [*odd, *TINY_TEXTS, *HOSTILE, *many_texts(7, 200), *odd]
    with caplog.at_level(logging.INFO, logger="isogloss"):
        assert quick.ids(texts).lists() == own_ids(tokenizer, texts)
    assert cuts_in_bulk(quick) and not caplog.records
    _, refused = quick._quick.cutter.cut(["ship", "a<mask>b", "ships", "+ships"])
    assert refused == [1, 3]


def test_an_added_token_that_the_normaliser_may_make_is_told_of_once(folded, monkeypatch, caplog):
    monkeypatch.setattr(chunks, "CHARACTERS_WORTH_A_CUTTER", 0)
    tokenizer = with_added_tokens(folded, AddedToken("lighthouse", normalized=True))
    quick = TextTokenizer(tokenizer)
    texts = [*TINY_TEXTS, *HOSTILE, "LightHouse ｌighthouse"] * 3
    with caplog.at_level(logging.INFO, logger="isogloss"):
        for _ in range(2):
            assert quick.ids(texts).lists() == own_ids(tokenizer, texts)
    assert is_quick(quick) and not cuts_in_bulk(quick)
    (record,) = caplog.records
    assert record.levelname == "WARNING" and "'lighthouse'" in record.getMessage()


def test_a_difference_on_the_users_texts_is_found_and_named(folded, monkeypatch, caplog):
    wrong = UnigramCutter.cut
    monkeypatch.setattr(chunks, "CHARACTERS_WORTH_A_CUTTER", 0)

    def broken(self, points, lengths):
        ids, counts = wrong(self, points, lengths)
        return (np.where(ids == folded.token_to_id("▁ship"), 0, ids) if _thai(points) else ids), counts

    texts = [*TINY_TEXTS, "ship แม่น้ำ"] * 20
    quick = TextTokenizer(folded)
    monkeypatch.setattr(UnigramCutter, "cut", broken)
    with caplog.at_level(logging.WARNING):
        quick.prove(["ship", "ship แม่น้ำ"], ["en", "th"])
        assert quick.ids(texts).lists() == own_ids(folded, texts)
    assert "a text in th" in caplog.text and not cuts_in_bulk(quick) and is_quick(quick)


def test_a_cutter_that_begins_later_is_held_to_the_same_texts(folded, monkeypatch, caplog):
    monkeypatch.setattr(chunks, "CHARACTERS_WORTH_A_CUTTER", 400)
    right = UnigramCutter.cut
    quick = TextTokenizer(folded)
    quick.prove(["ship แม่น้ำ"], ["th"])
    assert is_quick(quick) and not cuts_in_bulk(quick)
    monkeypatch.setattr(UnigramCutter, "cut", lambda *given: (right(*given)[0] * 0, right(*given)[1]))
    texts = many_texts(6, 40)
    with caplog.at_level(logging.WARNING):
        assert quick.ids(texts).lists() == own_ids(folded, texts)
    assert "a text in th" in caplog.text and not cuts_in_bulk(quick)


def test_a_text_that_is_refused_leaves_the_others_right(folded):
    quick = TextTokenizer(folded)
    quick.ids(list(TINY_TEXTS))
    with pytest.raises(Exception, match=r"TextEncodeInput|surrogates"):
        quick.ids([*TINY_TEXTS, "new words " * 300 + "\ud800"])
    texts = ["new words " * 300, *TINY_TEXTS]
    assert quick.ids(texts).lists() == own_ids(folded, texts)


def test_characters_that_python_and_the_tokenizer_form_otherwise_are_left_to_the_tokenizer(folded):
    """Which these are depends on the versions of Unicode; all are tried."""
    signs = [sign for sign in map(chr, range(0x300, 0x20000)) if unicodedata.category(sign) in ("Mn", "Mc", "Cn")]
    given = [f"a{sign}\u0334b\u0345{sign}" for sign in signs if not sign.isspace()]
    found, refused = ChunkCutter(folded).cut(given)
    expected = own_ids(folded, given)
    wrong = [row for row, ids in enumerate(found.lists()) if ids != expected[row] and row not in set(refused)]
    assert not wrong


def test_a_space_at_which_nothing_is_split_is_noticed(folded, monkeypatch):
    monkeypatch.setattr(locality, "_splits_at", lambda tokenizer, space: space != "\n")
    with pytest.raises(NotExpressible, match="white space"):
        ChunkTokenizer(folded)


def test_a_tokenizer_that_differs_by_chunks_is_given_up(folded, monkeypatch, caplog):
    monkeypatch.setattr(ChunkTokenizer, "ids_by_chunks", lambda self, texts: chunks.Ids.of_lists([[0]] * len(texts)))
    quick = TextTokenizer(folded)
    with caplog.at_level(logging.WARNING):
        quick.prove(list(TINY_TEXTS), ["de"] * len(TINY_TEXTS))
        assert quick.ids(list(TINY_TEXTS)).lists() == own_ids(folded, list(TINY_TEXTS))
    assert "a text in de" in caplog.text and not is_quick(quick)


def test_every_language_is_proved_once(folded, monkeypatch):
    compared = []
    monkeypatch.setattr(
        proved, "encode_whole", lambda tokenizer, texts: compared.extend(texts) or chunks.encode_whole(tokenizer, texts)
    )
    quick = TextTokenizer(folded)
    quick.prove([f"ship {number}" for number in range(20)], ["en"] * 19 + ["de"])
    quick.prove(["again"], ["en"])
    assert compared == ["ship 0", "ship 1", "ship 2", "ship 3", "ship 19"]


def test_truncation_of_the_tokenizer_does_not_count():
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    quick = TextTokenizer(tokenizer)
    assert quick.ids(["a a a"]).counts.tolist() == [3]
    tokenizer.enable_truncation(2)
    assert quick.ids(["a a a", "a a a b"]).counts.tolist() == [3, 4]
