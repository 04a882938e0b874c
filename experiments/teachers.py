"""Two teachers of equal size from nothing: a query generator of the toolkit, and a cross-encoder as its rival."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from tokenizers import processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from isogloss.datasets import read_rows
from isogloss.files import atomic_folder
from isogloss.generation import score_rows, train_generator
from isogloss.generation.new_model import new_tokenizer
from isogloss.records import Row
from isogloss.training.mining import CrossEncoderTeacher, teacher_scores

START, BETWEEN = "<s>", "<sep>"
PIECES, DIMENSION, FEED_FORWARD, LAYERS, HEADS = 4000, 96, 192, 2, 4
LONGEST_TOKENS = 128
QUERY_TOKENS = 32
RATE = 2e-3
ROWS_OF_A_STEP = 8
GENERATION_STEPS, RANKING_STEPS, CROSS_ENCODER_STEPS = 100, 40, 130
LONGEST_TEXT = 400


def train_query_generator(rows: Path, folder: Path, negatives: int) -> Path:
    """A small T5: first it learns to write the queries of the rows, then to rank their passages first.

    Args:
        rows: Rows with negative passages.
        folder: Folder for both stages.
        negatives: Negative passages of a row.

    Returns:
        The generator.
    """
    new = (
        f"{{pieces: {PIECES}, dimension: {DIMENSION}, feed_forward: {FEED_FORWARD}, layers: {LAYERS}, heads: {HEADS}}}"
    )
    common = [
        f"rows.path={rows}",
        f"model.max_source_tokens={LONGEST_TOKENS - QUERY_TOKENS}",
        f"model.max_query_tokens={QUERY_TOKENS}",
        f"train.learning_rate={RATE}",
    ]
    first = [*common, "model.base=new", f"model.new={new}", f"train.max_steps={GENERATION_STEPS}", "train.batch=24"]
    first += ["train.warmup_steps=15", "train.eval_steps=50", "train.save_steps=100"]
    written = train_generator("query-generator", folder / "generation", overrides=first, progress=False)
    second = [
        *common,
        f"model.base={written.model}",
        f"train.max_steps={RANKING_STEPS}",
        f"train.batch={ROWS_OF_A_STEP}",
    ]
    second += [f"rows.negatives={negatives}", "train.eval_steps=20", "train.save_steps=40"]
    ranked = train_generator("query-generator-ranking", folder / "ranking", overrides=second, progress=False)
    return Path(str(ranked.model))


def train_cross_encoder(rows: Sequence[Row], folder: Path, *, seed: int = 13) -> Path:
    """A small BERT that scores query and passage together; softmax over each row's candidates.

    Args:
        rows: Rows, all with as many negative passages.
        folder: Folder for the model.
        seed: Of the weights and of the order of the rows.

    Returns:
        The folder.
    """
    if (folder / "config.json").is_file():
        return folder
    texts = dict.fromkeys(text for row in rows for text in (row.query, *_candidates(row)))
    tokenizer = _pair_tokenizer(list(texts))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _new_cross_encoder(tokenizer)
        _fit(model, tokenizer, rows, seed)
    with atomic_folder(folder) as partial:
        model.save_pretrained(partial, safe_serialization=True)
        tokenizer.save_pretrained(partial)
    return folder


def _pair_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """The generator's kind of pieces, for pairs of texts."""
    tokenizer = new_tokenizer(texts, PIECES)
    tokenizer.add_special_tokens({"cls_token": START, "sep_token": BETWEEN})
    special = [(name, tokenizer.convert_tokens_to_ids(name)) for name in (START, BETWEEN)]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {BETWEEN}", pair=f"{START} $A {BETWEEN} $B:1 {BETWEEN}:1", special_tokens=special
    )
    tokenizer.model_max_length = LONGEST_TOKENS
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    return tokenizer


def _new_cross_encoder(tokenizer: PreTrainedTokenizerFast) -> BertForSequenceClassification:
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=DIMENSION,
            num_hidden_layers=2 * LAYERS,
            num_attention_heads=HEADS,
            intermediate_size=FEED_FORWARD,
            max_position_embeddings=LONGEST_TOKENS,
            num_labels=1,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _fit(
    model: BertForSequenceClassification, tokenizer: PreTrainedTokenizerFast, rows: Sequence[Row], seed: int
) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE / 2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=CROSS_ENCODER_STEPS)
    model.train()
    for batch in _batches(rows, seed):
        pairs = [(row.query, text) for row in batch for text in _candidates(row)]
        encoded = tokenizer(
            [query for query, _ in pairs],
            [text for _, text in pairs],
            truncation="longest_first",
            max_length=LONGEST_TOKENS,
            padding=True,
            return_tensors="pt",
        )
        scores = model(**encoded).logits.view(len(batch), -1)
        torch.nn.functional.cross_entropy(scores, torch.zeros(len(batch), dtype=torch.long)).backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.eval()


def _batches(rows: Sequence[Row], seed: int) -> Iterator[list[Row]]:
    generator = np.random.default_rng(seed)
    for _ in range(CROSS_ENCODER_STEPS):
        places = generator.choice(len(rows), size=min(ROWS_OF_A_STEP, len(rows)), replace=False)
        yield [rows[place] for place in places.tolist()]


def _candidates(row: Row) -> tuple[str, ...]:
    return (row.passage, *row.negative_passages)


def generator_scores(rows: Path, generator: Path, out: Path) -> list[Row]:
    """The rows with the generator's scores of their candidates."""
    if not out.is_file():
        score_rows(rows, out, generator=generator, progress=False)
    return read_rows(out)


def cross_encoder_scores(rows: Sequence[Row], folder: Path) -> list[Row]:
    """The rows with the cross-encoder's scores of their candidates."""
    teacher = CrossEncoderTeacher.load(str(folder))
    found = teacher_scores(rows, [row.passage for row in rows], teacher)
    return [replace(row, teacher_scores=scores) for row, scores in zip(rows, found, strict=True)]


@dataclass(frozen=True)
class Quality:
    """How well a teacher ranks the candidates of held-out rows, the passage among its negatives.

    Attributes:
        first: Share of the rows whose passage it ranks first.
        chance: That share by chance.
        temperature: Temperature at which its distribution says best which the passage is.
        certainty: Mean probability of the passage at that temperature.
    """

    first: float
    chance: float
    temperature: float
    certainty: float


def quality(rows: Sequence[Row]) -> Quality:
    """The quality of the scores of rows that their teacher has not seen."""
    scores = np.array([row.teacher_scores for row in rows])
    found = minimize_scalar(lambda power: _loss(scores, 10.0**power), bounds=(-3, 3), method="bounded")
    temperature = float(10.0**found.x)
    certainty = float(np.exp(_log_softmax(scores / temperature)[:, 0]).mean())
    first = float((scores[:, 0] > scores[:, 1:].max(axis=1)).mean())
    return Quality(round(first, 4), round(1 / scores.shape[1], 4), round(temperature, 4), round(certainty, 4))


def _loss(scores: NDArray[np.float64], temperature: float) -> float:
    return float(-_log_softmax(scores / temperature)[:, 0].mean())


def _log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
