"""Measures, the language matrix, significance, comparison and their tables."""

from isogloss.evaluation.compare import Comparison, Difference, compare
from isogloss.evaluation.comparison_report import comparison_grids, comparison_markdown
from isogloss.evaluation.evaluate import evaluate
from isogloss.evaluation.measures import DEFAULT_MEASURES, parse_measures, score_run
from isogloss.evaluation.report import evaluation_grids, evaluation_markdown
from isogloss.evaluation.results import Cell, Estimate, Evaluation, Summary

__all__ = [
    "DEFAULT_MEASURES",
    "Cell",
    "Comparison",
    "Difference",
    "Estimate",
    "Evaluation",
    "Summary",
    "compare",
    "comparison_grids",
    "comparison_markdown",
    "evaluate",
    "evaluation_grids",
    "evaluation_markdown",
    "parse_measures",
    "score_run",
]
