"""The page of the claims, from the results alone: a verdict per contrast, its table, and what was tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from experiments.design import Experiment, Json
from isogloss.files import read_json, write_text

RESULTS = Path(__file__).parent / "results"
RESUMES = RESULTS / "resumes.json"
IMAGES = "images"
UNDECIDED = "undecided at this scale"

OPENING = """\
# What of the methods' claims holds at this scale

Made by `python -m experiments page` from `experiments/results/*.json`; `python -m experiments run all --data FOLDER`
makes those, and goes on where it was stopped. The models are small and static, the data are what `docs/data.md` and
the experiments name: nothing here reproduces a table of a paper, nor says what a larger model would do.

**The rule.** A difference is averaged over language pairs, each counting once, over their queries and over the seeds
of the training. Its 95 % interval comes from 2,000 resamples of questions (with all their translations) and of seeds.
A claim *held* where the interval lies above 0, *did not hold* where it lies below, and is *undecided at this scale*
otherwise. A claim that something is not lowered held where the interval lies above −0.01 (or the margin named) and
did not where it lies below. All scores are nDCG@10. No correction for the number of contrasts is made: of twenty, one
may be so by chance.
"""


def write_page(page: Path, experiments: Mapping[str, Experiment], results: Path = RESULTS) -> None:
    """Writes the page of all experiments that have results, and their pictures beside it."""
    there = {name: results / f"{name}.json" for name in experiments if (results / f"{name}.json").is_file()}
    found = {name: dict(read_json(file)) for name, file in there.items()}
    resumes = results / RESUMES.name
    killed = dict(read_json(resumes)) if resumes.is_file() else None
    for name, content in found.items():
        for file, picture in experiments[name].pictures(content).items():
            write_text(page.parent / IMAGES / file, picture)
    write_text(page, page_text([(experiments[name], content) for name, content in found.items()], killed))


def page_text(found: Iterable[tuple[Experiment, Json]], killed: Json | None = None) -> str:
    """The whole page as Markdown; `killed` is what came of the killed runs."""
    listed = list(found)
    overview = [
        (f"[{experiment.title}](#{anchor(experiment.title)})", contrast["claim"], word(contrast), shown(contrast))
        for experiment, results in listed
        for contrast in results["contrasts"]
    ]
    lines = [OPENING, *table(("experiment", "claim", "verdict", "difference"), overview), ""]
    for experiment, results in listed:
        lines += section(experiment, results)
    if killed is not None:
        lines += killed_runs(killed)
    return "\n".join(lines)


def section(experiment: Experiment, results: Json) -> list[str]:
    """One experiment."""
    seconds = results["seconds"]
    start = results["start"]
    lines = [f"## {experiment.title}", "", f"**Claim.** {experiment.claim}", ""]
    lines += [f"- {line}" for line in experiment.design]
    lines += [
        f"- {len(results['seeds'])} seeds; start model `{start['model']}` ({start['fingerprint'] or 'made anew'}); "
        f"{seconds['training']:.0f} s of training and {seconds['evaluation']:.0f} s of measuring on one core.",
        "",
    ]
    lines += [_verdict_line(contrast) for contrast in results["contrasts"]]
    lines += ["", *means(results), ""]
    lines += chosen(results)
    lines += languages(results)
    lines += experiment.figures(results)
    if experiment.tried:
        lines += ["**What was tried, and what to know.**", "", *(f"- {line}" for line in experiment.tried), ""]
    return lines


def killed_runs(results: Json) -> list[str]:
    """Every recipe, killed and gone on with."""
    rows = [
        (
            f"`{recipe}`",
            ", ".join(map(str, found["killed_after"])),
            ", ".join(map(str, found["resumed_from"])),
            "the same bytes" if found["weights_equal"] else "**other bytes**",
            "the same lines" if found["logs_equal"] else "**other lines**",
            f"`{found['sha256']}`",
        )
        for recipe, found in results["recipes"].items()
    ]
    heads = ("recipe", "last step logged at each kill", "went on from", "weights", "log", "SHA-256 of the weights")
    return [
        "## Killed and gone on with",
        "",
        "**Claim.** A run that is killed at any moment and started again ends with the bytes of the unbroken one.",
        "",
        "- `python -m experiments.resumes --data FOLDER` trains every shipped recipe with `isogloss train` or "
        f"`isogloss generator train` on real rows: its own objective and optimiser, {results['steps']} steps, small "
        f"batches, a checkpoint every {results['save_steps']} steps; once unbroken, once killed by SIGKILL at random "
        "moments (a step and a part of one are drawn in each third of the run) and started again each time.",
        "- The start is that of the experiments that want one without labels; `bundled` makes its own, smaller than "
        "the shipped one and without its teacher, and the first generator is made from nothing. Rows: 200 of Natural "
        "Questions; 200 of AfriQA with mined negatives, for the generator's student with cosines as scores and "
        "translations as queries. None of the models is good for anything.",
        "",
        *table(heads, rows),
        "",
    ]


def word(contrast: Json) -> str:
    """The verdict in the words of the page."""
    return UNDECIDED if contrast["verdict"] == "undecided" else str(contrast["verdict"])


def shown(contrast: Json) -> str:
    """The difference with its interval."""
    return signed(contrast["difference"])


def signed(interval: Json) -> str:
    """A difference with its interval: `+0.0123 [+0.0045, +0.0201]`."""
    return f"{interval['value']:+.4f} [{interval['low']:+.4f}, {interval['high']:+.4f}]"


def means(results: Json) -> list[str]:
    """A table of all arms by set."""
    sets = [one["name"] for one in results["sets"]]
    words = {arm["name"]: arm["words"] for arm in results["arms"]}
    rows = []
    for name, by_set in results["means"].items():
        cells = [f"{by_set[one]['value']:.4f} ± {by_set[one]['spread_over_seeds']:.4f}" for one in sets]
        rows.append((name, words.get(name, "the start model"), *cells))
    note = "Means over language pairs, ± standard deviation over seeds."
    return [*table(("arm", "what it is", *sets), rows), "", note]


def chosen(results: Json) -> list[str]:
    """What was chosen on held-out rows."""
    choice = results["chosen"]
    if choice is None:
        return []
    values = list(next(iter(choice["arms"].values()))["scores"])
    rows = [
        (name, *(f"**{score:.4f}**" if float(value) == found["value"] else f"{score:.4f}" for value, score in scores))
        for name, found in choice["arms"].items()
        for scores in [list(found["scores"].items())]
    ]
    heading = f"`{choice['field']}` on rows held out from the training; the best one is used:"
    return [heading, "", *table(("arm", *values), rows), ""]


def languages(results: Json) -> list[str]:
    """The difference by language pair, of contrasts over several, folded away."""
    lines = []
    for contrast in results["contrasts"]:
        if len(contrast["by_pair"]) > 1:
            rows = [(pair, signed(found)) for pair, found in contrast["by_pair"].items()]
            heading = f"{contrast['better']} − {contrast['worse']} by language pair"
            lines += [
                f"<details><summary>{heading}</summary>",
                "",
                *table(("pair", "difference"), rows),
                "",
                "</details>",
                "",
            ]
    return lines


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """A Markdown table."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *([str(cell).replace("|", "\\|") for cell in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def anchor(title: str) -> str:
    """The name that GitHub gives a heading."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def _verdict_line(contrast: Json) -> str:
    seeds = ", ".join(f"{value:+.4f}" for value in contrast["by_seed"])
    margin = f" (margin {contrast['margin']})" if contrast["expected"] == "not lower" else ""
    return f"- **{word(contrast)}**{margin}: {contrast['claim']} — {shown(contrast)}; by seed {seeds}."
