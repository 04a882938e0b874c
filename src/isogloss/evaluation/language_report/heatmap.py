"""The matrix as a picture for slides and papers, drawn by matplotlib."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from isogloss.errors import MissingExtraError
from isogloss.evaluation.language_report.heat import scale_of, standings
from isogloss.evaluation.language_report.palette import weakness
from isogloss.evaluation.language_report.words import hundredths
from isogloss.evaluation.pairs import MIXED
from isogloss.evaluation.results import Evaluation

_DOTS_PER_INCH = 160


def require_matplotlib() -> None:
    """Raises before anything is measured where the picture cannot be drawn.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError("The heatmap of a report", "report")


def draw_heatmap(evaluation: Evaluation, path: Path) -> None:
    """Writes the matrix of the first measure as a PNG, in the colours and the order of the page.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    require_matplotlib()
    # The figure is made without pyplot, which would keep it and choose a window system.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    measure = evaluation.measures[0]
    order = [one.language for one in standings(evaluation, measure)]
    cells = evaluation.cells
    down = [tag for tag in order if any(cell.pair.query_language == tag for cell in cells.values())]
    searched = {cell.pair.passage_language for cell in cells.values()}
    across = [tag for tag in order if tag in searched] + [MIXED] * (MIXED in searched)
    figure = Figure(figsize=(2.2 + 0.46 * len(across), 1.6 + 0.4 * len(down)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _paint(axes, evaluation, down, across)
    axes.set_title(
        f"{measure} × 100 of {evaluation.system} on {evaluation.data}", loc="left", fontsize=11, parse_math=False
    )
    axes.set_xlabel("language of the passages")
    axes.set_ylabel("language of the queries")
    figure.savefig(path, dpi=_DOTS_PER_INCH, format="png", metadata={"Software": "isogloss"})


def _paint(axes: Any, evaluation: Evaluation, down: list[str], across: list[str]) -> None:
    from matplotlib.patches import Rectangle

    measure = evaluation.measures[0]
    scale = scale_of(evaluation, measure)
    shades = weakness("light")
    for row, query in enumerate(down):
        for column, passage in enumerate(across):
            cell = evaluation.cells.get(f"{query}-{passage}")
            if cell is None or cell.blank:
                hatch = "" if cell is None else "////"
                box = Rectangle((column, row), 1, 1, facecolor="white", edgecolor="#c8c6c0", hatch=hatch, linewidth=0)
                axes.add_patch(box)
                continue
            value = cell.scores[measure].value
            shade = shades[scale.step(value)]
            axes.add_patch(Rectangle((column, row), 1, 1, facecolor=shade.background, edgecolor="white"))
            axes.text(column + 0.5, row + 0.5, hundredths(value), ha="center", va="center", color=shade.ink, fontsize=9)
    axes.set(xlim=(0, len(across)), ylim=(len(down), 0), aspect="auto")
    axes.set_xticks([place + 0.5 for place in range(len(across))], ["all" if tag == MIXED else tag for tag in across])
    axes.set_yticks([place + 0.5 for place in range(len(down))], down)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
