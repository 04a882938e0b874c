"""CLEAR: does the reverse term, and the KL, beat plain InfoNCE where questions are in low-resource languages?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from experiments.harness import Arm, Choice, Contrast, EvaluationSet, Experiment, Workspace
from experiments.rows import held_out, made, set_of_rows
from isogloss.datasets import read_parallel, read_rows
from isogloss.records import Row
from isogloss.training.mining import MiningSettings, MiningTask, mine, pair_questions
from isogloss.training.sources.reading import expand

ROWS = "{data}/train/xx-afriqa.jsonl.gz"
TRANSLATIONS = "{data}/parallel/afriqa-questions/*.tsv.gz"
HELD_OUT = 0.15
LANGUAGES = ("bem", "fon", "ha", "ig", "rw", "tw", "zu")

BUDGET = (
    "sources.rows.batch=64",
    "sources.rows.distinct=passage",
    "sources.rows.negatives=5",
    "train.max_steps=100",
    "train.lr_scheduler_type=cosine",
    "train.warmup_ratio=0.05",
    "train.optim=sparse_adam",
    "train.sparse_embeddings=true",
    "train.max_grad_norm=0",
    "train.save_strategy=no",
)
CLEAR = ("sources.rows.path={work}/clear.jsonl", "sources.rows.negative_queries=5", *BUDGET)


def prepare(workspace: Workspace) -> None:
    """Holds rows out, mines negatives for the others, and writes the rows of both methods."""
    work = workspace.work
    kept, apart = held_out(read_rows(workspace.fill(ROWS)), HELD_OUT)
    made(work / "kept.jsonl", lambda: kept)
    if not (work / "clear.jsonl").exists():
        task = MiningTask(
            rows=(str(work / "kept.jsonl"),),
            out=work / "clear.jsonl",
            purpose="clear",
            translations=(workspace.fill(TRANSLATIONS),),
            settings=MiningSettings.for_clear().model_copy(update={"complete": True}),
        )
        mine(task, progress=False)
    made(work / "target.jsonl", lambda: map(asked_in_target, read_rows(work / "clear.jsonl")))
    made(work / "development", lambda: set_of_rows("development", list(_translated(workspace, apart)), kept))


def asked_in_target(row: Row) -> Row:
    """The row as InfoNCE takes it: the question in the target language over the same passages."""
    return replace(
        row,
        query=row.translated_query or "",
        query_language=row.translated_query_language,
        translated_query=None,
        translated_query_language=None,
        negative_queries=(),
    )


def _translated(workspace: Workspace, rows: list[Row]) -> Iterator[Row]:
    pairs = (pair for path in expand([workspace.fill(TRANSLATIONS)]) for pair in read_parallel(path))
    return map(asked_in_target, pair_questions(rows, pairs))


EXPERIMENT = Experiment(
    name="clear",
    title="CLEAR on AfriQA",
    claim=(
        "Training in both directions on translated questions (CLEAR) beats InfoNCE on the same translated questions, "
        "most of all in low-resource languages, and costs English little (Lee et al. 2026, 2604.05821)."
    ),
    design=(
        "Questions of AfriQA's training part in African languages over English (for fon and wo: French) passages, "
        "each beside its professional translation; five negative passages and five negative queries of ranks 50 to "
        "100, mined by the start model. 15 % of the passages with all their questions are held out and choose the "
        "learning rate.",
        "All arms: batches of 64, no passage twice in a batch, 100 steps, temperature 0.05, Adam, cosine schedule. "
        "InfoNCE sees the target question against the passages and the same negative passages. Batch, steps and "
        "optimiser are ours.",
        "AfriQA's development part is measured, its questions over all its passages of the answer's language; XQuAD, "
        "questions in ar, de, hi, ru, zh and en over its English paragraphs, shows what the training does to languages "
        "that it lacks.",
    ),
    arms=(
        Arm(
            "InfoNCE",
            "target question → passage",
            "infonce",
            ("sources.rows.path={work}/target.jsonl", "objective.0.temperature=0.05", *BUDGET),
        ),
        Arm("forward", "English question → passage", "clear", ("objective.0.alpha=0", "objective.0.kl=false", *CLEAR)),
        Arm("forward + KL", "the same, and the KL", "clear", ("objective.0.alpha=0", *CLEAR), "forward"),
        Arm("forward + reverse", "both directions without the KL", "clear", ("objective.0.kl=false", *CLEAR), "CLEAR"),
        Arm("CLEAR", "both directions and the KL: the method", "clear", CLEAR),
        Arm(
            "reverse alone",
            "passage → target question, among the questions of the batch and the negative queries",
            "clear",
            ("objective.0.alpha=1", "objective.0.beta=0", "objective.0.kl=false", *CLEAR),
        ),
    ),
    sets=(
        EvaluationSet("afriqa", "{data}/retrieval/afriqa", "all"),
        EvaluationSet("xquad", "{data}/retrieval/xquad", "ar-en,de-en,hi-en,ru-en,zh-en,en-en"),
    ),
    contrasts=(
        Contrast("CLEAR is above InfoNCE on low-resource questions", "CLEAR", "InfoNCE", ("afriqa",)),
        Contrast("the reverse term helps", "forward + reverse", "forward", ("afriqa",)),
        Contrast(
            "the reverse term alone is not below InfoNCE", "reverse alone", "InfoNCE", ("afriqa",), (), "not lower"
        ),
        Contrast("CLEAR is above the reverse term alone", "CLEAR", "reverse alone", ("afriqa",)),
        Contrast("the KL helps beside the reverse term", "CLEAR", "forward + reverse", ("afriqa",)),
        Contrast("the KL helps without the reverse term", "forward + KL", "forward", ("afriqa",)),
        Contrast("CLEAR does not lower English", "CLEAR", "untrained", ("xquad",), ("en-en",), "not lower"),
        Contrast("CLEAR does not lower other languages", "CLEAR", "untrained", ("xquad",), (), "not lower"),
        Contrast("CLEAR keeps other languages better than InfoNCE", "CLEAR", "InfoNCE", ("xquad",)),
    ),
    prepare=prepare,
    tried=(
        "The start model has seen the English and French sides of AfriQA's training questions with these very "
        "passages: its recipe leaves out the rows in bem, fon, ha, ig, rw, tw, yo and zu, and no others. What the "
        "forward term teaches it knows already, so that arm says nothing of a model that has not seen them.",
        "The first verdict turns on the rates. The held-out part chose 1e-3 for InfoNCE (0.560, and 0.550 at 3e-3) and "
        "3e-3 for CLEAR. At 3e-3 InfoNCE has 0.476 on AfriQA (seed 13, `isogloss train infonce` with this arm's "
        "settings), and CLEAR 0.475: a tie, as from the two bundled models before this one. What held is that the "
        "held-out part led InfoNCE to a rate that is too low here.",
        "Why CLEAR is not above InfoNCE at the same rate, as far as the arms tell: nearly all of its gain over the "
        "start model is that of the reverse term. The forward term alone gives +0.006 and both directions +0.082, "
        "where InfoNCE, which trains the very direction that is measured, gives +0.095 at that rate; the KL makes up "
        "most of the rest. Whether the passage is asked for the question or the question for the passage, the same "
        "sums over tokens are drawn together in a static model with one tower, so the reverse term has little that "
        "InfoNCE lacks: alone it gives what it gives beside the forward term (0.4646 and 0.4633). Smaller batches and "
        "a start that has not seen the English side were tried too (*CLEAR on AfriQA: what decides*).",
        "It is not that the model cannot read these languages: `python -m experiments.coverage --data FOLDER` counts "
        "1.9 to 3.3 pieces a word and no unknown one, and 87 to 91 % of the pieces of the measured questions occur in "
        "the training questions of their language.",
        "None of these languages is among those of the start model, so the negatives that it mined by and from "
        "questions in them may be easy ones; this was not tested.",
        "And a static model is a bag of words: what an English question learns in the forward term moves no word of "
        "another language unless they share it, as the arm `forward` shows, so that 0.4 of CLEAR's weight has nothing "
        "to do for these languages. A transformer, which shares its layers, was not tried.",
        "The smallest difference that these queries could tell from none is about 0.006; a summary of the paper "
        "gives about 0.04.",
        "XQuAD is measured here and not trained on: it tells what is lost. What CLEAR gains between its languages is "
        "an experiment of its own.",
    ),
    choice=Choice(
        "train.learning_rate",
        (1e-3, 3e-3, 1e-2),
        EvaluationSet("development", "{work}/development", "all"),
    ),
)
