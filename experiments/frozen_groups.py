"""English query tuning of a small transformer, with groups of its weights frozen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from experiments.aligned_start import BATCH, FILES, LANGUAGES, STEPS, make_aligned_start
from experiments.design import UNTRAINED, Arm, Contrast, EvaluationSet, Experiment, Json, Workspace, as_overrides
from experiments.exchange import Column, exchange, points, scatter
from experiments.language_agnostic import to_english, within
from experiments.rows import held_out, made, part_of, place, set_of_rows
from isogloss import Retriever
from isogloss.datasets import read_rows
from isogloss.files import atomic_folder
from isogloss.models.folder import TITLE_TEMPLATE
from isogloss.models.vocabulary import UNKNOWN
from isogloss.records import EvalSet, Row, Text
from isogloss.training import load_training_recipe, train

ROWS = ("en-medquad", "en-covidqa", "en-pubmedqa")
ROWS_OF_EACH = 500
HELD_OUT_OF_EACH = 100
HELD_OUT = 0.15
LAYERS, HEADS, FEED_FORWARD, LONGEST_TOKENS = 2, 4, 512, 64
BACKBONE_STEPS, BACKBONE_BATCH, BACKBONE_LONGEST = 150, 64, 120
TUNING_STEPS, TUNING_BATCH = 45, 32
RATES = ("1e-4", "1e-3")
GROUPS = ("none", "embeddings", "attn_out", "ffn_out", "both")
OTHERS = ("ar", "de", "ru", "zh")
QUESTIONS_SHARE = 0.15

PADDING = "<pad>"
BACKBONE = "{work}/backbone/model"
BANK = "{work}/bank"
MEDICAL, XQUAD = "medical", "XQuAD"
NATIVE = {"TyDi QA": "tydiqa-id", "NorQuAD": "norquad-nb"}


def prepare(workspace: Workspace) -> None:
    """Makes the backbone, the rows with the bank of their passages, and the sets."""
    work = workspace.work
    if not Path(workspace.fill(BACKBONE)).is_dir():
        start = new_transformer(make_aligned_start(workspace), work / "untrained")
        recipe = load_training_recipe("language-agnostic", overrides=_backbone(workspace, start))
        train(recipe, work / "backbone", progress=False)
    made(work / "rows.jsonl", lambda: [row for kept, _ in _medical(workspace) for row in kept])
    made(work / "medical", lambda: set_of_rows("medical", [row for _, apart in _medical(workspace) for row in apart]))
    made(work / "xquad", lambda: _languages(part_of(workspace.data / "retrieval" / "xquad", QUESTIONS_SHARE)))
    passages = {_whole(row): None for row in read_rows(work / "rows.jsonl")}
    texts = [Text(str(number), text, "en") for number, text in enumerate(passages)]
    # Does nothing where the bank is there already.
    Retriever.load(workspace.fill(BACKBONE), on_overflow="ignore").encode_bank(texts, workspace.fill(BANK))


def _whole(row: Row) -> str:
    return TITLE_TEMPLATE.format(title=row.title, text=row.passage) if row.title else row.passage


def _medical(workspace: Workspace) -> Iterable[tuple[list[Row], list[Row]]]:
    """Of each of the sets, rows to train on and rows held out, passages apart."""
    for name in ROWS:
        kept, apart = held_out(read_rows(workspace.fill(f"{{data}}/train/{name}.jsonl.gz")), HELD_OUT)
        yield _some(kept, ROWS_OF_EACH), _some(apart, HELD_OUT_OF_EACH)


def _some(rows: list[Row], count: int) -> list[Row]:
    return sorted(rows, key=lambda row: place(row.query + row.passage))[:count]


def _languages(whole: EvalSet) -> EvalSet:
    """English and the other languages alone."""
    return replace(whole.select(query_languages=("en", *OTHERS), passage_languages=("en", *OTHERS)), name="xquad")


def new_transformer(static: Path, folder: Path) -> Path:
    """A BERT whose token vectors are the static model's; all else of it is random."""
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    engine = Retriever.load(str(static)).query.engine
    special = {"unk_token": UNKNOWN, "pad_token": PADDING}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=engine.tokenizer, model_max_length=LONGEST_TOKENS, **special)
    known = torch.from_numpy(np.asarray(engine.weights, dtype=np.float32))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=known.shape[1],
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=FEED_FORWARD,
        max_position_embeddings=LONGEST_TOKENS,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(13)
        model = BertModel(config, add_pooling_layer=False)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight[: len(known)] = known
    with atomic_folder(folder, overwrite=True) as partial:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
    return folder


def _backbone(workspace: Workspace, start: Path) -> tuple[str, ...]:
    pairs = {
        "kind": "multiway",
        "path": [workspace.fill(f"{{data}}/parallel/{name}.jsonl.gz") for name in FILES],
        "languages": list(LANGUAGES),
        "batch": BACKBONE_BATCH,
        "longest": BACKBONE_LONGEST,
        "english_share": 0.8,
    }
    return as_overrides(
        {
            "model": {"base": str(start)},
            "sources": {"pairs": pairs},
            "objective": [{"term": "semantic_contrastive", "on": "pairs", "temperature": 0.05}],
            "train": {"learning_rate": 1e-3, "max_steps": BACKBONE_STEPS, "warmup_steps": 10, "freeze": ["embeddings"]},
        }
    )


def _arm(rate: str, group: str) -> Arm:
    overrides = (
        f"model.base={BACKBONE}",
        "model.passages_from=bank",
        f"model.bank={BANK}",
        "sources.rows.path={work}/rows.jsonl",
        f"sources.rows.batch={TUNING_BATCH}",
        f"train.learning_rate={float(rate)}",
        f"train.max_steps={TUNING_STEPS}",
        f"train.freeze={group}",
        "train.save_strategy=no",
    )
    words = "all of the query tower is trained" if group == "none" else f"the group `{group}` is frozen"
    return Arm(_name(rate, group), words, "english-query-tuning", overrides)


def _name(rate: str, group: str) -> str:
    return f"rate {rate}, {'nothing' if group == 'none' else group} frozen"


def _contrasts() -> tuple[Contrast, ...]:
    found: list[Contrast] = []
    for rate in RATES:
        free = _name(rate, "none")
        elsewhere = (XQUAD, *NATIVE)
        pairs = (*within(OTHERS), *to_english(OTHERS), "id-id", "nb-nb")
        found += [
            Contrast(f"in-domain up, rate {rate}, nothing frozen", free, UNTRAINED, (MEDICAL,)),
            Contrast(
                f"other languages not down, rate {rate}, nothing frozen",
                *(free, UNTRAINED, elsewhere, pairs, "not lower"),
            ),
            *(
                Contrast(
                    f"frozen {group} keeps other languages better than nothing frozen, rate {rate}",
                    *(_name(rate, group), free, elsewhere, pairs),
                )
                for group in GROUPS
                if group != "none"
            ),
        ]
    return tuple(found)


COLUMNS: Mapping[str, Column] = {
    "medical": ((MEDICAL, None),),
    "XQuAD en": ((XQUAD, ("en-en",)),),
    "XQuAD, others, within": ((XQUAD, within(OTHERS)),),
    "XQuAD, others, to en": ((XQUAD, to_english(OTHERS)),),
    "native sets": tuple((name, None) for name in NATIVE),
}
PICTURE = "claims-frozen-groups.svg"


def _pictures(results: Json) -> dict[str, str]:
    return {PICTURE: scatter("English query tuning of a small transformer", points(results, MEDICAL))}


EXPERIMENT = Experiment(
    name="frozen_groups",
    title="English query tuning of a transformer, with groups frozen",
    claim="Freezing the output projections of attention or feed-forward blocks, or the embeddings, lets a query tower "
    "be tuned at higher rates without loss in other languages (Vasilyev et al. 2024, 2407.00923).",
    design=(
        f"The backbone is a BERT made for it: {LAYERS} layers, 128 wide, texts cut at {LONGEST_TOKENS} pieces. Its "
        f"token vectors and pieces are those of a static model trained on parallel text alone ({STEPS} steps of "
        f"{BATCH} pairs in {len(LANGUAGES)} languages), its layers begin at random, and {BACKBONE_STEPS} steps on the "
        "same pairs, the embeddings frozen, fit them. It is a weak retriever and has seen no question.",
        f"{ROWS_OF_EACH} rows each of MedQuAD, COVID-QA and PubMedQA, {TUNING_STEPS} steps of {TUNING_BATCH} rows by "
        "the shipped recipe; the passages' vectors come from a bank. Medical: up to "
        f"{HELD_OUT_OF_EACH} held-out rows of each, over their passages together.",
        f"Elsewhere: {100 * QUESTIONS_SHARE:.0f} % of XQuAD's questions in {', '.join(('en', *OTHERS))}, within a "
        "language and to English, and native questions in Indonesian and Norwegian. Tuned queries meet untuned "
        "passages.",
        "No rate is chosen: both are shown with every group. Rates, steps and batch are ours.",
    ),
    arms=tuple(_arm(rate, group) for rate in RATES for group in GROUPS),
    sets=(
        EvaluationSet(MEDICAL, "{work}/medical", "same"),
        EvaluationSet(XQUAD, "{work}/xquad", "same,to-en"),
        *(EvaluationSet(name, f"{{data}}/retrieval/{folder}", "same") for name, folder in NATIVE.items()),
    ),
    contrasts=_contrasts(),
    prepare=prepare,
    figures=lambda results: exchange(results, COLUMNS, PICTURE),
    pictures=_pictures,
)
