"""The language report: what a system does to each language, from its runs."""

from isogloss.evaluation.language_report.audit import Audit, audit
from isogloss.evaluation.language_report.writing import report

__all__ = ["Audit", "audit", "report"]
