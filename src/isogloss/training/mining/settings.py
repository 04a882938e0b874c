"""The settings of mining, each with its bounds; all of them are part of what a mined file says of itself."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from isogloss.training.mining.selection import Pick, SelectionRule

NAMED_LANGUAGES = ("same", "query", "other", "any")


class MiningSettings(BaseModel):
    """How negatives are mined. Defaults are those of the retrofit recipe where it states them.

    Attributes:
        negatives: Negative passages of a row.
        ranks: First and last rank of the window they are taken from, from 1, known answers counted.
        languages: Where they come from, with weights: `same` (the language of the row's passage), `query` (that of its
            query), `other` (all but that of its passage), `any`, or a tag. Ranks are counted within each.
        fraction: Most of the positive's score that a negative may have (positive-aware); 0.95 is usual.
        margin: Least distance below the positive's score.
        pick: `random` draws among the window, `first` takes its best ranks.
        seed: Of that draw.
        near_duplicate: Share of character pieces in common with the passage from which on a candidate is left out;
            above 1 is never.
        negative_queries: Negative queries of a row, for CLEAR.
        query_ranks: The window that they are taken from.
        complete: Whether rows with fewer negatives than wanted are left out.
        rows_at_once: Rows that are mined together; a stopped run loses at most these.
        block: Passages that are compared at once; it bounds the memory.
        teacher_batch: Pairs that a teacher scores at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    negatives: int = Field(default=7, ge=1)
    ranks: tuple[int, int] = (30, 100)
    languages: dict[str, float] = Field(default_factory=lambda: {"same": 1.0}, min_length=1)
    fraction: float | None = Field(default=None, gt=0, le=1)
    margin: float | None = Field(default=None, ge=0)
    pick: Pick = "random"
    seed: int = Field(default=13, ge=0)
    near_duplicate: float = Field(default=0.8, gt=0)
    negative_queries: int = Field(default=5, ge=1)
    query_ranks: tuple[int, int] = (50, 100)
    complete: bool = False
    rows_at_once: int = Field(default=1024, ge=1)
    block: int = Field(default=8192, ge=1)
    teacher_batch: int = Field(default=32, ge=1)

    @classmethod
    def for_clear(cls) -> MiningSettings:
        """CLEAR's numbers: five negatives on each side, from ranks 50 to 100."""
        return cls(negatives=5, ranks=(50, 100))

    @field_validator("ranks", "query_ranks")
    @classmethod
    def _ordered(cls, ranks: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= ranks[0] <= ranks[1]:
            raise ValueError("FIRST-LAST with 1 ≤ FIRST ≤ LAST is wanted")
        return ranks

    @field_validator("languages")
    @classmethod
    def _weighed(cls, languages: dict[str, float]) -> dict[str, float]:
        from isogloss.errors import UnknownLanguageError
        from isogloss.languages import normalize

        if any(not weight > 0 for weight in languages.values()):
            raise ValueError("every weight must be above 0")
        try:
            return {name if name in NAMED_LANGUAGES else normalize(name): weight for name, weight in languages.items()}
        except UnknownLanguageError as unknown:
            raise ValueError(f"{unknown.message}; allowed: {', '.join(NAMED_LANGUAGES)}, or a tag") from unknown

    @model_validator(mode="after")
    def _rules_hold(self) -> MiningSettings:
        self.passage_rule()
        return self

    def passage_rule(self) -> SelectionRule:
        """How negative passages are chosen."""
        return self._rule(self.ranks)

    def query_rule(self) -> SelectionRule:
        """How negative queries are chosen."""
        return self._rule(self.query_ranks)

    def _rule(self, ranks: tuple[int, int]) -> SelectionRule:
        return SelectionRule(*ranks, self.fraction, self.margin, self.pick, self.seed)
