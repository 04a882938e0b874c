"""Search: indexes in a folder or on a server, exact search over a bank, lexical search, and their fusion."""

from isogloss.indexing.exact import PassageVectors, VectorTable, search
from isogloss.indexing.fusion import reciprocal_rank_fusion, weighted_fusion
from isogloss.indexing.hits import Hit, Stage
from isogloss.indexing.lexical import LexicalIndex
from isogloss.indexing.manifest import IndexOptions
from isogloss.indexing.opening import open_index
from isogloss.indexing.protocol import Index, IndexAbout, Where
from isogloss.indexing.search_index import SearchIndex

__all__ = [
    "Hit",
    "Index",
    "IndexAbout",
    "IndexOptions",
    "LexicalIndex",
    "PassageVectors",
    "SearchIndex",
    "Stage",
    "VectorTable",
    "Where",
    "open_index",
    "reciprocal_rank_fusion",
    "search",
    "weighted_fusion",
]
