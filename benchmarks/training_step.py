"""A training step beside sentence-transformers' CachedMultipleNegativesRankingLoss: time and peak memory.

    python -m benchmarks.training_step --data FOLDER [--batches 512 128] [--precisions float32 bfloat16] --rounds 0

`FOLDER` holds files of training rows. The backbone has random weights, the tokenizer is the bundled model's, with a
table as large as `--vocabulary`. Each step takes the next rows, so that every side tokenises what it has not seen. The
passages of these rows are encoded into a bank in `--work` first, unmeasured and once for all processes, and 'passages
from the bank' reads them from its files, as `isogloss train` does.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from benchmarks.harness import Benchmark, Plan, Target, Variant, Work, main
from isogloss import Retriever
from isogloss.datasets.rows import read_rows
from isogloss.engines.bank import Bank
from isogloss.engines.bank_writing import encode_bank
from isogloss.engines.static import StaticEngine
from isogloss.engines.torch_engine import TorchEngine
from isogloss.engines.torch_tower import TorchTower
from isogloss.losses.infonce import InfoNCE
from isogloss.records import Text
from isogloss.training.encoders import ComputedVectors, FrozenEncoder, TrainedEncoder, VectorStore
from isogloss.training.objective import BoundTerm, Objective
from isogloss.training.row_adamw import RowAdamW
from isogloss.training.settings import has_bfloat16
from isogloss.training.sources import Drawn
from isogloss.training.step import Batch, CachedStep
from isogloss.training.stored_vectors import BankVectors
from isogloss.training.table_gradients import add_in_place
from isogloss.training.texts import Ids, TextTable

TEMPERATURE = 0.05
RATE = 2e-5
PEER = "CachedMultipleNegativesRankingLoss"
PLAIN, FROZEN, COUNTED, BANK = "nothing cached", "tables frozen", "bank, its encoding counted", "passages from the bank"


@dataclass(frozen=True)
class Shape:
    """The backbone: BERT's layers over the bundled model's tokens."""

    layers: int
    width: int
    inner: int
    vocabulary: int
    length: int
    tokenizer: Path

    def modules(self) -> list[Any]:
        """`Transformer` and mean `Pooling` of sentence-transformers, the same weights each time."""
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.width // 32,
            intermediate_size=self.inner,
            max_position_embeddings=512,
        )
        folder = self.tokenizer / f"{self.layers}-{self.width}-{self.vocabulary}"
        if not folder.is_dir():
            BertModel(config).save_pretrained(folder)
            self._tokenizer().save_pretrained(folder)
        transformer = Transformer(str(folder), max_seq_length=self.length)
        return [transformer, Pooling(self.width, "mean")]

    def _tokenizer(self) -> PreTrainedTokenizerFast:
        engine = Retriever.load("bundled").passage.engine
        if not isinstance(engine, StaticEngine):
            raise TypeError("the bundled model is no static one any more")
        return PreTrainedTokenizerFast(tokenizer_object=engine.tokenizer, pad_token=engine.tokenizer.id_to_token(0))


Rows = Sequence[tuple[str, str]]


def batches(rows: Rows, size: int) -> Iterator[Rows]:
    """Batch after batch, from the beginning again when the rows are used up."""
    starts = itertools.cycle(range(0, len(rows) - size + 1, size))
    return (rows[start : start + size] for start in starts)


def peer(shape: Shape, rows: Rows, size: int, precision: str) -> Work:
    """One step after the other of sentence-transformers, as its trainer makes them."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss

    model = SentenceTransformer(modules=shape.modules(), device="cpu").train()
    loss = CachedMultipleNegativesRankingLoss(model, scale=1 / TEMPERATURE, mini_batch_size=32)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0, fused=True)
    stream = batches(rows, size)

    def step() -> int:
        batch = next(stream)
        features = [model.preprocess([row[place] for row in batch]) for place in (0, 1)]
        with autocast(precision)():
            value = loss(features, labels=torch.zeros(size))
        value.backward()
        optimiser.step()
        optimiser.zero_grad()
        return 1

    return step


def ours(shape: Shape, rows: Rows, size: int, precision: str, way: str, bank: Path) -> Work:
    """One step after the other of isogloss: the step and the objective that `isogloss train` uses."""
    tower = TorchTower(shape.modules()).train()
    texts = TextTable()
    if way == FROZEN:
        for name, value in tower.named_parameters():
            value.requires_grad_("embeddings" not in name or "LayerNorm" in name)
    add_in_place(tower, by_row=True)
    encoder = TrainedEncoder(tower, texts, autocast=autocast(precision))
    encoders: dict[Any, Any] = {"query": encoder, "passage": encoder}
    if way == COUNTED:
        encoders["passage"] = FrozenEncoder(_encoded(TorchEngine(TorchTower(shape.modules())), texts, precision))
    if way == BANK:  # which needs no second model
        encoders["passage"] = FrozenEncoder(_read(bank, texts))
    step_of = CachedStep(encoders, Objective([BoundTerm("infonce", InfoNCE(temperature=TEMPERATURE), ("rows",))]))
    trained = [value for value in tower.parameters() if value.requires_grad]
    optimiser = RowAdamW(trained, lr=RATE, weight_decay=0.0, fused=True)
    stream = batches(rows, size)

    def step() -> int:
        batch = next(stream)
        columns = {role: _numbers(texts, batch, place) for place, role in enumerate(("query", "passage"))}
        drawn = Drawn(columns, np.zeros(size, dtype=np.int64))
        step_of(Batch({"rows": drawn}, {"rows": {"query": "query", "passage": "passage"}}))
        optimiser.step()
        optimiser.zero_grad()
        return 1

    return step


def _numbers(texts: TextTable, batch: Rows, place: int) -> Ids:
    return np.array([texts.add(row[place]) for row in batch], dtype=np.int64)


def _encoded(engine: TorchEngine, texts: TextTable, precision: str) -> VectorStore:
    """Vectors of passages, each encoded in the step that uses it."""

    def encode(numbers: Ids) -> np.ndarray:
        with autocast(precision)():
            return engine.encode(texts.texts(numbers.tolist())).vectors

    return ComputedVectors(encode)


def _read(bank: Path, texts: TextTable) -> VectorStore:
    """Vectors of passages from a bank, each read in the step that uses it; a run knows its texts before its steps."""
    opened = Bank.open(bank)
    for text in opened.texts():
        texts.add(text.text)
    return ComputedVectors(BankVectors(opened, texts, lambda text: text.text).vectors)


def write_bank(shape: Shape, rows: Rows, folder: Path) -> None:
    """Encodes the passages of some rows, each once; a bank of them that is there is kept."""
    passages = dict.fromkeys(passage for _, passage in rows)
    texts = [Text(f"p{number:06d}", passage) for number, passage in enumerate(passages)]
    engine = TorchEngine(TorchTower(shape.modules()))
    parts = engine.fingerprint_parts()
    encode_bank(texts, lambda some: engine.encode([text.text for text in some]), folder, fingerprint=parts)


def autocast(precision: str) -> Callable[[], Any]:
    """The context of a forward pass."""
    if precision == "float32":
        return nullcontext
    return lambda: torch.autocast("cpu", dtype=torch.bfloat16)


def read(folder: Path, least: int) -> list[tuple[str, str]]:
    """Rows of all files, mixed by a fixed seed."""
    found = [(row.query, row.passage) for path in sorted(folder.glob("*.jsonl*")) for row in read_rows(path)]
    if len(found) < least:
        sys.exit(f"{folder} has {len(found)} rows; at least {least} are wanted")
    order = np.random.default_rng(13).permutation(len(found))
    return [found[place] for place in order]


def plan(given: argparse.Namespace) -> Plan:
    """Variants for each batch size and precision."""
    shape = Shape(given.layers, given.width, 4 * given.width, given.vocabulary, given.max_length, given.work)
    stepped = max(1, given.rounds) * max(given.batches)
    rows = read(given.data, stepped)
    bank = shape.tokenizer / f"bank-{shape.layers}-{shape.width}-{shape.vocabulary}-{shape.length}-{stepped}"
    if not given.alone:
        write_bank(shape, rows[:stepped], bank)
    variants, targets, missing = [], [], {}
    for size, precision in itertools.product(given.batches, given.precisions):
        work = f"B = {size}, {precision}"
        if precision == "bfloat16" and not has_bfloat16(torch.device("cpu")) and not given.emulated:
            missing[f"{work}: all"] = "this processor has no bfloat16 instructions; --emulated measures it all the same"
            continue
        peak = size == max(given.batches)
        variants.append(
            Variant(work, PEER, lambda s=size, p=precision: peer(shape, rows, s, p), memory=peak)  # type: ignore[misc]
        )
        for way in (PLAIN, FROZEN, COUNTED, BANK):
            make = lambda s=size, p=precision, w=way: ours(shape, rows, s, p, w, bank)  # noqa: E731
            variants.append(Variant(work, way, make, ours=True, memory=peak))
        bounds = {PLAIN: 1.6, FROZEN: None, COUNTED: 6, BANK: 12} if peak else dict.fromkeys((PLAIN, COUNTED, BANK))
        targets += [Target(work, way, PEER, bound) for way, bound in bounds.items()]
        if peak:
            targets += [Target(work, way, PEER, 0.5, "memory") for way in (PLAIN, FROZEN, BANK)]
    about = {
        "backbone": f"{shape.layers} layers x {shape.width}, feed-forward {shape.inner}, {shape.vocabulary:,} tokens",
        "texts": f"at most {shape.length} tokens, {len(rows):,} rows of {given.data.name}",
        "bank": f"float16, the passages of the first {stepped:,} rows, which are those of the steps",
        "peer": "mini-batches of 32, AdamW (fused) on both sides, dropout on",
    }
    return Plan(variants, targets, about, missing)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Data, batch sizes and the shape of the backbone."""
    parser.add_argument("--data", type=Path, required=True, help="folder of files of training rows")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / "isogloss-benchmarks",
        help="folder for the random backbone and the bank",
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[512, 128])
    parser.add_argument("--precisions", nargs="+", choices=["float32", "bfloat16"], default=["float32", "bfloat16"])
    parser.add_argument("--emulated", action="store_true", help="bfloat16 also where the processor lacks it")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--vocabulary", type=int, default=250_000)
    parser.add_argument("--max-length", type=int, default=128)


BENCHMARK = Benchmark(
    name="training_step",
    title="A training step with in-batch negatives",
    unit="steps",
    plan=plan,
    arguments=arguments,
    packages=("isogloss", "torch", "transformers", "sentence-transformers"),
    notes=(
        "'Passages from the bank' is another training problem: the passage tower stays as it is, which is its point. "
        "'Its encoding counted' encodes each passage in its step, as if it were used once.",
        "Encoding a passage once is a quarter of the work of the peer (two forward passes, a backward pass of twice "
        "that), so with the encoding counted the ratio stays near four times what less padding gives.",
        "With nothing cached in float32 both sides make the same passes, so the ratio is that of the padding and of "
        "dropout: of the first 512 rows the peer computes 85,184 tokens and we 62,293, 1.37 times fewer, for most "
        "passages are cut at the limit and need no padding. More would take fewer passes, which is to hold the graphs "
        "of all texts, or faster products: of our step (48 rows, float32, AVX-512) they take 76 %, at some 60 GFLOP/s, "
        "58 % of the 105 that a product alone reaches; dropout and its masks 6 %, for which torch took three times as "
        "long before the masks were drawn from whole random words.",
        "In bfloat16 the peer gains little: its second pass is a part of the backward pass, which its trainer, and so "
        "this benchmark, calls outside autocast.",
        "A table of 250,000 tokens x 384 takes 0.4 GB. With its gradient and AdamW's two means it was 1.5 GB on both "
        "sides; ours are those of the rows that were met (some thousand a step), which also spares AdamW's pass over "
        "the rest. They grow with the texts: the figures are of the first steps.",
        "Weights do not decay, which is the default of both sides' trainers. Where they do, every row of a table is "
        "written in each step, and 0.36 GB of it that lay on the disk come into our memory: an earlier run on Zen 4 "
        "had it so, with peaks in bfloat16 of 0.50, 0.44 and 0.43 of the peer's.",
        "Queries alone would fit into memory as graphs and need three passes instead of four "
        "(`train.mini_batch_tokens=8192`); that was not measured.",
    ),
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
