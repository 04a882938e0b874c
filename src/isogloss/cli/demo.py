"""`isogloss demo`: the main job from end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text as Line

from isogloss.cli.options import ModelOption
from isogloss.cli.output import DryRunFlag, JsonFlag, Reporter, SetOption, reported_errors
from isogloss.datasets import DEMO_SET


def demo(
    data: Annotated[str, typer.Option("--data", metavar="PATH", help="Any BEIR folder with languages.")] = DEMO_SET,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder for all that is made.")] = Path("demo"),
    model: ModelOption = "bundled",
    overrides: SetOption = None,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Measure a retriever, tune its query tower on English rows, and show what changed in every language."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        if dry_run:
            from isogloss.demonstration import check_demonstration

            eval_set, _ = check_demonstration(out, data=data, model=model, overrides=overrides or ())
            languages = list(eval_set.passage_languages)
            reporter.show(f"Would run the main job on {eval_set.name} ({', '.join(languages)}) into {out}.")
            reporter.result({"dry_run": True, "data": eval_set.name, "languages": languages, "out": str(out)})
            return
        from isogloss.demonstration import demonstrate

        found = demonstrate(
            out,
            data=data,
            model=model,
            overrides=overrides or (),
            say=lambda part: reporter.show(Line(part) if isinstance(part, str) else part),
            progress=not as_json,
        )
        reporter.show(Line(f"(g) All in {found.seconds:.0f} s. What is in {out} and which command makes it:"))
        for product in found.products:
            reporter.show(Line(f"    {product.path}  {product.what}"))
            reporter.show(Line(f"        {product.command}"))
        reporter.result(found.to_json())
