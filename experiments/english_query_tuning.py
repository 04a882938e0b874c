"""English query tuning: does a query tower tuned on English medical questions keep the other languages?"""

from __future__ import annotations

from collections.abc import Mapping

from experiments.design import UNTRAINED, Arm, Contrast, EvaluationSet, Experiment, Json, Workspace
from experiments.exchange import Column, exchange, points, scatter
from experiments.rows import held_out, made, part_of, place, set_of_rows
from isogloss.datasets import read_rows

ROWS = "{data}/train/en-medquad.jsonl.gz"
HELD_OUT = 0.06
TRAINED_ROWS = 4000
QUESTIONS_SHARE = 0.25
OTHERS = ("ar", "de", "el", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh")
RATES = ("1e-4", "1e-3", "1e-2")

MEDICAL, XQUAD = "medical", "XQuAD"
NATIVE = {"HeQ": "heq-he", "iapp": "iapp-th", "TyDi QA": "tydiqa-id", "NorQuAD": "norquad-nb"}
WITHIN = tuple(f"{language}-{language}" for language in OTHERS)
TO_ENGLISH = tuple(f"{language}-en" for language in OTHERS)


def prepare(workspace: Workspace) -> None:
    """Makes the rows, the set of those held out, and the part of XQuAD."""
    kept, apart = held_out(read_rows(workspace.fill(ROWS)), HELD_OUT)
    # The file is sorted by its sites; the hash of a passage shuffles it.
    made(workspace.work / "rows.jsonl", lambda: sorted(kept, key=lambda row: place(row.passage))[:TRAINED_ROWS])
    made(workspace.work / "medical", lambda: set_of_rows("medical", apart))
    made(workspace.work / "xquad", lambda: part_of(workspace.data / "retrieval" / "xquad", QUESTIONS_SHARE))


def _arm(rate: str) -> Arm:
    overrides = (
        "sources.rows.path={work}/rows.jsonl",
        f"train.learning_rate={float(rate)}",
        "train.max_steps=200",
        "train.optim=sparse_adam",
        "train.sparse_embeddings=true",
        "train.save_strategy=no",
    )
    return Arm(f"rate {rate}", "the shipped recipe at this learning rate", "english-query-tuning", overrides)


def _contrasts() -> tuple[Contrast, ...]:
    found: list[Contrast] = []
    for rate in RATES:
        arm = f"rate {rate}"
        found += [
            Contrast(f"in-domain up, rate {rate}", arm, UNTRAINED, (MEDICAL,)),
            Contrast(
                f"other languages not down, questions and paragraphs of one language, rate {rate}",
                *(arm, UNTRAINED, (XQUAD,), WITHIN),
                expected="not lower",
            ),
            Contrast(
                f"other languages not down, questions to English paragraphs, rate {rate}",
                *(arm, UNTRAINED, (XQUAD,), TO_ENGLISH),
                expected="not lower",
            ),
            Contrast(
                f"native questions of four further languages not down, rate {rate}",
                *(arm, UNTRAINED, tuple(NATIVE)),
                expected="not lower",
            ),
            Contrast(
                f"English outside the domain not down, rate {rate}",
                *(arm, UNTRAINED, (XQUAD,), ("en-en",)),
                expected="not lower",
            ),
        ]
    return tuple(found)


COLUMNS: Mapping[str, Column] = {
    "medical": ((MEDICAL, None),),
    "XQuAD en": ((XQUAD, ("en-en",)),),
    "XQuAD, others, within": ((XQUAD, WITHIN),),
    "XQuAD, others, to en": ((XQUAD, TO_ENGLISH),),
    "native sets": tuple((name, None) for name in NATIVE),
}
PICTURE = "claims-english-query-tuning.svg"


def _pictures(results: Json) -> dict[str, str]:
    return {PICTURE: scatter("English query tuning of a static model", points(results, MEDICAL))}


EXPERIMENT = Experiment(
    name="english_query_tuning",
    title="English query tuning",
    claim="A query tower tuned at a low rate on English rows of one domain gets better there, and the other languages "
    "and data keep their quality while no stored passage vector changes (Vasilyev et al. 2024, 2407.00923).",
    design=(
        "The bundled static model; its passage tower is frozen, its query tower is trained by the shipped recipe: "
        "InfoNCE over the passages of the batch, constant rate. Ours: a static model and its rates, thousands of times "
        "those of the paper's transformers, and SparseAdam.",
        f"{TRAINED_ROWS:,} rows of English medical questions (MedQuAD), 200 steps of 64 rows. Medical: questions whose "
        f"answer is among the {100 * HELD_OUT:.0f} % held out, by the hash of the answer, over the held-out answers. "
        "No answer is in both; 55 of the 971 questions are asked word for word in training too, about another answer.",
        "The bundled model was trained on all of MedQuAD among much else, the held-out rows too: the gain in the "
        "domain is that of a narrower objective, not of unseen knowledge.",
        "Elsewhere: a quarter of XQuAD's questions in 12 languages over all paragraphs, within a language and to "
        "English, and native questions in Hebrew, Thai, Indonesian and Norwegian. Tuned queries meet untuned passages.",
        "No rate is chosen: all are shown. Freezing parts of the query tower needs a transformer; a static one has a "
        "single table.",
    ),
    arms=tuple(_arm(rate) for rate in RATES),
    sets=(
        EvaluationSet(MEDICAL, "{work}/medical"),
        EvaluationSet(XQUAD, "{work}/xquad", "same,to-en"),
        *(EvaluationSet(name, f"{{data}}/retrieval/{folder}") for name, folder in NATIVE.items()),
    ),
    contrasts=_contrasts(),
    prepare=prepare,
    tried=(
        "The domain does not move at 1e-4, and at 1e-3 it gains 0.006. The start leaves little to gain: it has been "
        "trained on these very rows and reaches 0.955. With the four bundled models before this one, which knew them "
        "better (0.967 the last), a gain was undecided. A small transformer that has not seen them gains 0.019 at 1e-4 "
        "and 0.043 at 1e-3 (*English query tuning of a transformer, with groups frozen*).",
        "At 1e-2 everything else loses: where an interval begins below the margin and ends above it the verdict is "
        "undecided, but all lie below 0.",
    ),
    figures=lambda results: exchange(results, COLUMNS, PICTURE),
    pictures=_pictures,
)
