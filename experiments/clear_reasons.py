"""Why CLEAR and InfoNCE tie on AfriQA: smaller batches, a start that has not seen the English side, other weights."""

from __future__ import annotations

from experiments.aligned_start import MODEL, WORDS, make_aligned_start
from experiments.clear import BUDGET, prepare
from experiments.clear import CLEAR as METHOD
from experiments.design import Arm, Choice, Contrast, EvaluationSet, Experiment, Workspace

AFRIQA = ("afriqa",)
SMALL_BATCH, SMALL_STEPS = 16, 400
SMALL = (f"sources.rows.batch={SMALL_BATCH}", f"train.max_steps={SMALL_STEPS}")
UNSEEN = (f"model.base={MODEL}",)
TARGET = ("sources.rows.path={work}/target.jsonl", "objective.0.temperature=0.05", *BUDGET)
FORWARD_ALONE = ("objective.0.alpha=0", "objective.0.kl=false")


def _arm(name: str, words: str, recipe: str, *overrides: str) -> Arm:
    return Arm(name, words, recipe, (*(TARGET if recipe == "infonce" else METHOD), *overrides))


INFONCE_SMALL = _arm(f"InfoNCE, batches of {SMALL_BATCH}", "target question → passage", "infonce", *SMALL)
CLEAR_SMALL = _arm(f"CLEAR, batches of {SMALL_BATCH}", "the method", "clear", *SMALL)
INFONCE_UNSEEN = _arm("InfoNCE, unseen start", "target question → passage", "infonce", *UNSEEN)
FORWARD_UNSEEN = _arm("forward, unseen start", "English question → passage", "clear", *FORWARD_ALONE, *UNSEEN)
CLEAR_UNSEEN = _arm("CLEAR, unseen start", "the method", "clear", *UNSEEN)
NO_FORWARD = _arm(
    "reverse + KL, unseen start",
    "CLEAR with the forward term's weight moved to the reverse one",
    "clear",
    "objective.0.alpha=0.8",
    "objective.0.beta=0.2",
    *UNSEEN,
)


def prepared(workspace: Workspace) -> None:
    """The rows of the experiment above, mined by the bundled model, and the start model that has seen no question."""
    make_aligned_start(workspace)
    prepare(workspace)


def _above(claim: str, better: Arm, worse: Arm, expected: str = "higher") -> Contrast:
    return Contrast(claim, better.name, worse.name, AFRIQA, (), expected)  # type: ignore[arg-type]


EXPERIMENT = Experiment(
    name="clear_reasons",
    title="CLEAR on AfriQA: what decides",
    claim="CLEAR is above InfoNCE where batches are small, or where the start has still to learn what an English "
    "question and its passage have in common (ours: two explanations that were tried for the tie above).",
    design=(
        "Rows, mined negatives, temperature, optimiser and sets of the experiment above.",
        f"Batches of {SMALL_BATCH} see the rows as often, in {SMALL_STEPS} steps, from the bundled model: the fewer "
        "other rows there are in a batch, the more a second direction might add.",
        f"The unseen start: {WORDS}",
    ),
    arms=(INFONCE_SMALL, CLEAR_SMALL, INFONCE_UNSEEN, FORWARD_UNSEEN, CLEAR_UNSEEN, NO_FORWARD),
    sets=(EvaluationSet("afriqa", "{data}/retrieval/afriqa", "all"),),
    contrasts=(
        _above(f"CLEAR is above InfoNCE in batches of {SMALL_BATCH}", CLEAR_SMALL, INFONCE_SMALL),
        _above("CLEAR is above InfoNCE from a start that has not seen the rows", CLEAR_UNSEEN, INFONCE_UNSEEN),
        _above("the forward term alone is not below InfoNCE there", FORWARD_UNSEEN, INFONCE_UNSEEN, "not lower"),
        _above("the forward term adds to reverse and KL there", CLEAR_UNSEEN, NO_FORWARD),
    ),
    tried=(
        "Smaller batches do not put CLEAR above InfoNCE. What the start knows does: from one that has seen no question "
        "the forward term has something to teach and adds 0.016, and CLEAR is 0.013 above InfoNCE (0.010, 0.014 and, "
        "undecided, 0.005 with negatives mined by the three bundled models before, the latest first). The "
        "bundled model has seen the English questions with these passages, so there the forward term is idle and the "
        "two tie. All arms of the unseen start are far below those of the bundled one.",
        "The number of seeds was fixed before; none was added to move the interval.",
    ),
    prepare=prepared,
    choice=Choice("train.learning_rate", (1e-3, 3e-3, 1e-2), EvaluationSet("development", "{work}/development", "all")),
)
