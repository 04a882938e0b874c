"""A bank is a promise that a vector belongs to its text and to one model.

1. What was encoded is what is read: ids, texts, languages, and vectors to the precision of the file.
2. A killed encode resumes, encodes nothing twice, and ends with the same bytes as an unbroken one; so does an append.
3. A bank of another model, prompt or precision is refused with the name of the part that differs; never silently used.
4. Duplicate ids and empty texts are refused, all of them at once, before anything is encoded.
5. A damaged, unfinished or foreign folder is refused, and nothing that was there is lost. The encode that made it makes
   what is damaged anew, and nothing else.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isogloss.engines.bank import Bank, encode_bank
from isogloss.engines.protocol import Encoded
from isogloss.errors import DataError, FileError, StaleBankError, UsageError
from isogloss.records import Text

PARTS = {"weights": "abc", "prompt": "passage: "}
TEXTS = [
    Text(
        f"p{number}",
        f"text {number} 灯塔",
        language=("de", "zh", None)[number % 3],
        title="Ti\ttel" * (number % 2),
        parallel_id=(None, "family 1", "family 2")[number % 3],
    )
    for number in range(25)
]


class Encoder:
    """Gives each text a vector that depends on it alone, counts the texts, and dies on demand."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.seen = 0
        self.dies_after = dies_after

    def __call__(self, texts) -> Encoded:
        if self.dies_after is not None and self.seen >= self.dies_after:
            raise KeyboardInterrupt
        self.seen += len(texts)
        vectors = np.stack([vector_of(text) for text in texts])
        return Encoded(vectors, np.full(len(texts), 3), np.array([text.id.endswith("7") for text in texts]))


def vector_of(text: Text) -> np.ndarray:
    values = np.random.default_rng(list(f"{text.id}{text.text}".encode())).normal(size=8).astype(np.float32)
    return values / np.linalg.norm(values)


def make(path: Path, texts=TEXTS, encoder=None, **options):
    options = {"fingerprint": PARTS, "shard_size": 4, "progress": False} | options
    return encode_bank(texts, encoder or Encoder(), path, **options)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 1e-3), ("float32", 0.0)])
def test_reads_what_was_encoded(tmp_path, dtype, tolerance):
    make(tmp_path / "bank", dtype=dtype)
    bank = Bank.open(tmp_path / "bank")
    assert len(bank) == 25 and bank.dimension == 8 and bank.dtype == dtype and bank.fingerprint == PARTS
    assert bank.ids == [text.id for text in TEXTS]
    assert bank.languages == [text.language for text in TEXTS]
    assert list(bank.texts()) == TEXTS
    expected = np.stack([vector_of(text) for text in TEXTS])
    blocks = list(bank.vectors())
    assert [start for start, _, _ in blocks] == [0, 4, 8, 12, 16, 20, 24]
    assert [id_ for _, ids, _ in blocks for id_ in ids] == bank.ids
    assert all(isinstance(block, np.memmap) for _, _, block in blocks)
    np.testing.assert_allclose(np.concatenate([block for _, _, block in blocks]), expected, atol=tolerance)
    some = ["p24", "p0", "p13", "p0"]
    np.testing.assert_allclose(bank.get(some), expected[[24, 0, 13, 0]], atol=tolerance)
    assert bank.get(some).dtype == np.float32
    assert [bank.text(id_) for id_ in some] == [TEXTS[24], TEXTS[0], TEXTS[13], TEXTS[0]]
    bank.verify()


def test_report_counts_by_language(tmp_path):
    report = make(tmp_path / "bank")
    assert {name: count.passages for name, count in report.languages.items()} == {"de": 9, "unknown": 8, "zh": 8}
    assert report.encoded == report.passages == 25
    assert report.truncated == 2 and report.languages["zh"].truncated == 1
    assert report.passages_per_second > 0 and report.passages_per_second_in("de") > 0
    assert Bank.open(tmp_path / "bank").language_counts == report.languages


@pytest.mark.parametrize("dies_after", [0, 4, 12, 24])
def test_killed_and_resumed_is_unbroken(tmp_path, dies_after):
    make(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "broken", encoder=Encoder(dies_after))
    if dies_after:
        with pytest.raises(DataError, match="unfinished"):
            Bank.open(tmp_path / "broken")
    rest = Encoder()
    report = make(tmp_path / "broken", texts=iter(TEXTS), encoder=rest)
    assert rest.seen == report.encoded == 25 - dies_after
    assert content(tmp_path / "broken") == content(tmp_path / "whole")
    assert report.languages == make(tmp_path / "whole").languages


def test_killed_append_is_unbroken(tmp_path):
    old, new = TEXTS[:10], TEXTS[10:]
    for name in ("whole", "broken"):
        make(tmp_path / name, texts=old)
    make(tmp_path / "whole", texts=new, append=True)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "broken", texts=new, append=True, encoder=Encoder(8))
    with pytest.raises(DataError, match="unfinished append"):
        make(tmp_path / "broken", texts=old)
    rest = Encoder()
    make(tmp_path / "broken", texts=new, append=True, encoder=rest)
    assert rest.seen == 7
    assert content(tmp_path / "broken") == content(tmp_path / "whole")
    assert Bank.open(tmp_path / "whole").ids == [text.id for text in TEXTS]


def test_append_refuses_known_ids(tmp_path):
    make(tmp_path / "bank", texts=TEXTS[:10])
    before = content(tmp_path / "bank")
    with pytest.raises(DataError, match="p9") as caught:
        make(tmp_path / "bank", texts=TEXTS[8:], append=True)
    assert [fault.where for fault in caught.value.faults] == ["id p8", "id p9"]
    assert content(tmp_path / "bank") == before


@pytest.mark.parametrize("changed", [{"weights": "abd"}, {"prompt": ""}, {"pooling": "cls"}])
def test_stale_bank_is_refused(tmp_path, changed):
    make(tmp_path / "bank")
    before = content(tmp_path / "bank")
    bank = Bank.open(tmp_path / "bank")
    bank.require(PARTS)
    other = PARTS | changed
    for attempt in (lambda: bank.require(other), lambda: make(tmp_path / "bank", fingerprint=other)):
        with pytest.raises(StaleBankError) as caught:
            attempt()
        assert [fault.where for fault in caught.value.faults] == list(changed)
    assert content(tmp_path / "bank") == before


def test_other_texts_or_precision_are_refused(tmp_path):
    make(tmp_path / "even", texts=TEXTS[:24])
    with pytest.raises(DataError, match="append=True"):
        make(tmp_path / "even", texts=TEXTS)
    assert len(Bank.open(tmp_path / "even")) == 24
    make(tmp_path / "bank")
    before = content(tmp_path / "bank")
    changed = [*TEXTS[:12], Text("p12", "another text"), *TEXTS[13:]]
    for texts in (changed, TEXTS[:20], TEXTS[:23], [*TEXTS, Text("new", "new")]):
        with pytest.raises(DataError, match=r"other texts|more texts|fewer texts"):
            make(tmp_path / "bank", texts=texts)
    with pytest.raises(UsageError, match="float16"):
        make(tmp_path / "bank", dtype="float32")
    with pytest.raises(FileError, match="has a bank already"):
        make(tmp_path / "bank", resume=False)
    assert content(tmp_path / "bank") == before


@pytest.mark.parametrize("kind", [list, iter])
def test_all_faulty_texts_are_named(tmp_path, kind):
    wrong = [*TEXTS, Text("p3", "again"), Text("blank", " \n"), Text("p24", "again")]
    encoder = Encoder()
    with pytest.raises(DataError) as caught:
        make(tmp_path / "bank", texts=kind(wrong), encoder=encoder)
    assert [fault.where for fault in caught.value.faults] == ["id p3", "id blank", "id p24"]
    if kind is list:
        assert encoder.seen == 0 and not (tmp_path / "bank").exists()


def test_nothing_to_encode(tmp_path):
    with pytest.raises(DataError, match="no passages"):
        make(tmp_path / "bank", texts=[])


def test_vectors_that_are_not_finite_are_refused(tmp_path):
    def broken(texts):
        return Encoded(np.full((len(texts), 8), np.nan, dtype=np.float32), np.ones(len(texts)), np.zeros(len(texts)))

    with pytest.raises(DataError, match="not finite"):
        make(tmp_path / "bank", encoder=broken)


def test_foreign_and_damaged_folders(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(FileError, match="is no bank"):
        make(tmp_path / "mine")
    with pytest.raises(DataError, match="is no bank"):
        Bank.open(tmp_path / "mine")
    with pytest.raises(FileError, match="no such"):
        Bank.open(tmp_path / "nowhere")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"

    make(tmp_path / "bank")
    (tmp_path / "bank" / "shards" / "00002.texts.jsonl").unlink()
    np.save(tmp_path / "bank" / "shards" / "00001.vectors.npy", np.zeros((4, 7), dtype=np.float16))
    (tmp_path / "bank" / "shards" / "00003.vectors.npy").write_bytes(b"not an array")
    with pytest.raises(DataError) as caught:
        Bank.open(tmp_path / "bank")
    assert [Path(fault.where).name for fault in caught.value.faults] == [
        "00001.vectors.npy",
        "00002.texts.jsonl",
        "00003.vectors.npy",
    ]


DAMAGES = {
    "garbage behind": lambda lines: [*lines, "garbage\n"],
    "renamed key": lambda lines: [lines[0].replace('"text"', '"body"', 1), *lines[1:]],
    "no object": lambda lines: ["[]\n", *lines[1:]],
    "lines missing": lambda lines: lines[:2],
    "empty": lambda lines: [],
    "other bytes": lambda lines: [lines[0].replace("text", "te\udcffxt"), *lines[1:]],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_texts_are_told_by_every_reading_and_made_anew(tmp_path, damage):
    make(tmp_path / "bank")
    whole = content(tmp_path / "bank")
    texts = tmp_path / "bank" / "shards" / "00001.texts.jsonl"
    lines = texts.read_text(encoding="utf-8").splitlines(keepends=True)
    readings = (Bank.texts, lambda bank: bank.ids, lambda bank: bank.get(["p4"]), lambda bank: bank.text("p4"))
    undamaged = Bank.open(tmp_path / "bank")
    assert undamaged.ids  # what a search has read already before it reads the text of a hit
    texts.write_text("".join(DAMAGES[damage](lines)), encoding="utf-8", errors="surrogateescape")
    for read in readings:
        with pytest.raises(DataError, match=r"00001.texts.jsonl is damaged: (.|\n)*made anew"):
            list(read(Bank.open(tmp_path / "bank")))
    with pytest.raises(DataError, match=r"00001.texts.jsonl is damaged"):
        undamaged.text("p4")
    with pytest.raises(DataError, match=r"00001.texts.jsonl is damaged"):
        make(tmp_path / "bank", [Text("new", "new")], append=True)
    assert make(tmp_path / "bank").encoded == 4
    assert content(tmp_path / "bank") == whole


@pytest.mark.parametrize("left", [None, 0, 150], ids=["gone", "empty", "cut"])
def test_a_finished_bank_with_damaged_vectors_is_made_whole(tmp_path, left):
    make(tmp_path / "bank")
    whole = content(tmp_path / "bank")
    vectors = tmp_path / "bank" / "shards" / "00003.vectors.npy"
    vectors.write_bytes(vectors.read_bytes()[:left])
    if left is None:
        vectors.unlink()
    with pytest.raises(DataError, match=r"00003\.vectors.npy"):
        Bank.open(tmp_path / "bank")
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "bank", encoder=Encoder(dies_after=0))
    encoder = Encoder()
    assert make(tmp_path / "bank", encoder=encoder).encoded == encoder.seen == 4
    assert content(tmp_path / "bank") == whole
    assert make(tmp_path / "bank").encoded == 0


def test_verify_finds_a_changed_vector(tmp_path):
    make(tmp_path / "bank")
    path = tmp_path / "bank" / "shards" / "00001.vectors.npy"
    vectors = np.load(path)
    vectors[0, 0] += 1
    np.save(path, vectors)
    with pytest.raises(DataError, match="00001"):
        Bank.open(tmp_path / "bank").verify()


def test_unknown_ids_are_all_named(tmp_path):
    make(tmp_path / "bank")
    with pytest.raises(DataError) as caught:
        Bank.open(tmp_path / "bank").get(["p1", "q1", "p 2"])
    assert [fault.where for fault in caught.value.faults] == ["id q1", "id p 2"]
