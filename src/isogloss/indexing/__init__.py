"""Search: the exact index over a bank, the lexical index, and the fusion of runs."""

from isogloss.indexing.exact import PassageVectors, VectorTable, search
from isogloss.indexing.fusion import reciprocal_rank_fusion
from isogloss.indexing.lexical import LexicalIndex

__all__ = ["LexicalIndex", "PassageVectors", "VectorTable", "reciprocal_rank_fusion", "search"]
