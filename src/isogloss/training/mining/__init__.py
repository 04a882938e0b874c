"""Mining: negatives for training rows, chosen by rank and margin, by language, and never among the known answers.

    mine(MiningTask(rows=("rows.jsonl",), out=Path("mined.jsonl"), bank=Path("my-bank")))

`selection` chooses (pure), `known_answers` says what must not be chosen, `passages` and `clear` search, `teacher`
scores, `run` reads and writes.
"""

from __future__ import annotations

from isogloss.training.mining.clear import QueryMiner, pair_questions
from isogloss.training.mining.known_answers import KnownAnswers
from isogloss.training.mining.passages import PassageMiner
from isogloss.training.mining.report import MiningReport
from isogloss.training.mining.run import MiningTask, mine
from isogloss.training.mining.selection import Negative, Selection, SelectionRule, select_negatives
from isogloss.training.mining.settings import MiningSettings
from isogloss.training.mining.teacher import CrossEncoderTeacher, Teacher, teacher_scores

__all__ = [
    "CrossEncoderTeacher",
    "KnownAnswers",
    "MiningReport",
    "MiningSettings",
    "MiningTask",
    "Negative",
    "PassageMiner",
    "QueryMiner",
    "Selection",
    "SelectionRule",
    "Teacher",
    "mine",
    "pair_questions",
    "select_negatives",
    "teacher_scores",
]
