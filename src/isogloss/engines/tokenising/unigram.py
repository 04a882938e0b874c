"""Unigram segmentation of many words at once, in NumPy, with the very choices that `tokenizers` makes.

The best segmentation of a word is the path of the highest sum of scores through the pieces that match in it (Kudo 2018,
1804.10959). Here all words of a batch walk a trie side by side, one character a step, and their paths are extended side
by side, one place a step. Sums are added up in float64 in the order of `tokenizers`, and a later path wins only if it
is better, so that even ties, which rounding decides, are cut alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.tokenising.patterns import code_points

UNKNOWN_PENALTY = 10.0  # below the least score, as SentencePiece has it
NOTHING = -1
LARGE_FAMILY = 64

Ints = NDArray[np.int64]


class UnigramCutter:
    """Cuts words into the pieces of a Unigram model.

    Args:
        pieces: The pieces; the place of a piece is its id.
        scores: Their log probabilities.
        unknown: Id of the unknown piece, which stands for characters without a piece; a run of them is one.

    Attributes:
        alphabet: All characters of pieces, ascending.
        codes: Code point to the number of the character in the trie; 0 for characters of no piece.
    """

    def __init__(self, pieces: Sequence[str], scores: Sequence[float], unknown: int) -> None:
        self.scores = np.array(scores, dtype=np.float64)
        self.unknown = unknown
        self.unknown_score = float(self.scores.min()) - UNKNOWN_PENALTY
        points = code_points("".join(pieces))
        self.codes = np.zeros(int(points.max(initial=0)) + 1, dtype=np.int32)
        self.codes[points] = 1
        alphabet = np.flatnonzero(self.codes)
        self.alphabet = "".join(map(chr, alphabet.tolist()))
        self.codes[alphabet] = np.arange(1, len(alphabet) + 1)
        lengths = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces))
        self.trie = Trie.build(self.codes[points].astype(np.int64), lengths, len(alphabet))

    def cut(self, points: NDArray[np.uint32], lengths: Ints) -> tuple[NDArray[np.int32], Ints]:
        """Ids of the pieces of all words, one word after the other, and the number of pieces of each word.

        Args:
            points: Code points of all words, one word after the other.
            lengths: Characters of each word, all at least 1.
        """
        # One cell before each character and one at the end of each word; the end matches nothing, so walks stop there.
        ends = np.cumsum(lengths + 1) - 1
        starts = ends - lengths
        cells = np.zeros(int(ends[-1]) + 1 if len(ends) else 0, dtype=np.int32)
        inside = np.ones(len(cells), dtype=np.bool_)
        inside[ends] = False
        known = np.minimum(points, len(self.codes) - 1)
        cells[inside] = np.where(points == known, self.codes.take(known), 0)
        edges = self._edges(cells, np.flatnonzero(inside), np.repeat(starts, lengths))
        return self._best_paths(edges, starts, ends, len(cells))

    def _edges(self, cells: NDArray[np.int32], places: Ints, word_starts: Ints) -> _Edges:
        """Every piece that matches somewhere, and the unknown piece where no piece of one character does."""
        begins, spans, pieces = self.trie.matches(cells, places)
        single = np.zeros(len(cells), dtype=np.bool_)
        single[begins[spans == 1]] = True
        alone = places[~single[places]]
        begins = np.concatenate([begins, alone])
        spans = np.concatenate([spans, np.ones(len(alone), dtype=np.int64)])
        pieces = np.concatenate([pieces, np.full(len(alone), self.unknown, dtype=np.int32)])
        scores = self.scores.take(pieces)
        scores[len(scores) - len(alone) :] = self.unknown_score
        offset = np.zeros(len(cells), dtype=np.int64)
        offset[places] = places - word_starts
        offsets = offset.take(begins)
        order = np.argsort(offsets.astype(np.uint16), kind="stable")
        counts = np.bincount(offsets, minlength=1)
        return _Edges(
            begins.take(order), (begins + spans).take(order), pieces.take(order), scores.take(order), np.cumsum(counts)
        )

    def _best_paths(self, edges: _Edges, starts: Ints, ends: Ints, cells: int) -> tuple[NDArray[np.int32], Ints]:
        best = np.full(cells, -math.inf)
        best[starts] = 0.0
        came_by = np.zeros(cells, dtype=np.int64)
        first = 0
        for last in edges.upto:
            # All edges here begin at one distance from the start of their words, so no two of them share both ends.
            targets = edges.ends[first:last]
            sums = best.take(edges.begins[first:last]) + edges.scores[first:last]
            better = np.flatnonzero(sums > best.take(targets))
            chosen = targets.take(better)
            best[chosen] = sums.take(better)
            came_by[chosen] = better + first
            first = int(last)
        return self._walk_back(edges, came_by, starts, ends)

    def _walk_back(self, edges: _Edges, came_by: Ints, starts: Ints, ends: Ints) -> tuple[NDArray[np.int32], Ints]:
        """The pieces of the best paths from their ends to their starts, turned round, runs of unknown ones joined."""
        words, places = np.arange(len(ends)), ends
        steps: list[tuple[Ints, NDArray[np.int32]]] = []
        counts = np.zeros(len(ends), dtype=np.int64)
        follows = np.zeros(len(ends), dtype=np.bool_)  # whether the piece after this place is the unknown one
        while len(words):
            taken = came_by[places]
            pieces = edges.pieces[taken]
            is_unknown = pieces == self.unknown
            kept = ~(is_unknown & follows[words])
            follows[words] = is_unknown
            steps.append((words[kept], pieces[kept]))
            counts[words[kept]] += 1
            places = edges.begins[taken]
            going = places > starts[words]
            words, places = words[going], places[going]
        ids = np.empty(int(counts.sum()), dtype=np.int32)
        last = np.cumsum(counts)
        for of_words, pieces in steps:
            last[of_words] -= 1
            ids[last[of_words]] = pieces
        return ids, counts


@dataclass(frozen=True)
class _Edges:
    """Pieces that match, by the distance of their beginning from the start of the word, shorter before longer.

    Attributes:
        begins: Cell before the first character.
        ends: Cell after the last character.
        pieces: Ids.
        scores: Log probabilities.
        upto: Number of edges that begin at each distance or nearer.
    """

    begins: Ints
    ends: Ints
    pieces: NDArray[np.int32]
    scores: NDArray[np.float64]
    upto: Ints


@dataclass(frozen=True)
class Trie:
    """The pieces as a trie whose children lie at `base[node] + character` if `parent` says that they are its own.

    This is the double array of Aoe (1989): a step costs two look-ups, and a node is its place in the arrays.

    Attributes:
        base: Where the children of each node begin.
        parent: The node that each place is a child of; -1 where there is none. The root is node 0.
        piece: Id of the piece that ends at each node; -1 where none does.
    """

    base: NDArray[np.int32]
    parent: NDArray[np.int32]
    piece: NDArray[np.int32]

    @classmethod
    def build(cls, characters: Ints, lengths: Ints, alphabet: int) -> Trie:
        """A trie of pieces.

        Args:
            characters: Numbers of the characters of all pieces, 1 to `alphabet`, one piece after the other.
            lengths: Characters of each piece.
            alphabet: Number of distinct characters.
        """
        starts = np.cumsum(lengths) - lengths
        pieces = np.flatnonzero(lengths > 0)
        nodes = np.zeros(len(lengths), dtype=np.int64)  # where each piece stands, its first characters read
        size = 1 << max(10, len(characters).bit_length(), (2 * alphabet).bit_length())
        placing = _Placing(size, alphabet)
        depth = 0
        while len(pieces):
            keys = nodes[pieces] * (alphabet + 1) + characters[starts[pieces] + depth]
            distinct, of_piece = np.unique(keys, return_inverse=True)
            children = placing.place(*np.divmod(distinct, alphabet + 1))
            nodes[pieces] = children[of_piece.reshape(-1)]
            depth += 1
            done = lengths[pieces] == depth
            placing.piece[nodes[pieces[done]]] = pieces[done]
            pieces = pieces[~done]
        return placing.trie()

    def matches(self, cells: NDArray[np.int32], places: Ints) -> tuple[Ints, Ints, NDArray[np.int32]]:
        """Beginning, length and id of each piece that matches at one of `places`, shorter pieces first.

        Args:
            cells: Numbers of characters; 0 matches nothing.
            places: Where pieces may begin.
        """
        begins, spans, pieces = [], [], []
        nodes = np.zeros(len(places), dtype=np.int32)
        depth = 0
        while len(places):
            children = self.base.take(nodes) + cells.take(places + depth)
            found = np.flatnonzero(self.parent.take(children) == nodes)
            places, nodes = places.take(found), children.take(found)
            depth += 1
            ids = self.piece.take(nodes)
            ending = np.flatnonzero(ids >= 0)
            begins.append(places.take(ending))
            spans.append(np.full(len(ending), depth, dtype=np.int64))
            pieces.append(ids.take(ending))
        empty = np.zeros(0, dtype=np.int64)
        return (
            np.concatenate([empty, *begins]),
            np.concatenate([empty, *spans]),
            np.concatenate([empty.astype(np.int32), *pieces]),
        )


class _Placing:
    """A trie in the making: nodes draw places for their children by lot until none of these is taken."""

    def __init__(self, size: int, alphabet: int) -> None:
        self.size = size
        self.base = np.zeros(size + alphabet + 1, dtype=np.int32)
        self.parent = np.full(size + alphabet + 1, NOTHING, dtype=np.int32)
        self.piece = np.full(size + alphabet + 1, NOTHING, dtype=np.int32)
        self.taken = np.zeros(size + alphabet + 1, dtype=np.bool_)
        self.taken[0] = True  # the root
        self.drawn = np.zeros(size + alphabet + 1, dtype=np.int64)
        self.lots = np.random.default_rng(0)

    def place(self, parents: Ints, characters: Ints) -> Ints:
        """Nodes of the children of `parents` by `characters`; both ascend together."""
        children = np.zeros(len(parents), dtype=np.int64)
        begins = np.concatenate([[0], np.flatnonzero(parents[1:] != parents[:-1]) + 1, [len(parents)]])
        sizes = np.diff(begins)
        family = np.repeat(np.arange(len(sizes)), sizes)
        for large in np.flatnonzero(sizes > LARGE_FAMILY).tolist():  # one by one, and while there is room
            self._settle_all(parents, characters, children, np.arange(begins[large], begins[large + 1]), family)
        self._settle_all(parents, characters, children, np.flatnonzero(sizes[family] <= LARGE_FAMILY), family)
        return children

    def _settle_all(self, parents: Ints, characters: Ints, children: Ints, members: Ints, family: Ints) -> None:
        """Gives room to the families of `members`, each of which draws until all its places are free."""
        while len(members):
            families = family[members] - family[members[0]]
            bases = self.lots.integers(0, self.size, size=int(families[-1]) + 1)
            places = bases[families] + characters[members]
            order = np.arange(len(members))
            self.drawn[places] = order
            refused = np.zeros(len(bases), dtype=np.bool_)
            refused[families[(self.drawn[places] != order) | self.taken[places]]] = True
            settled = ~refused[families]
            self.taken[places[settled]] = True
            self.parent[places[settled]] = parents[members[settled]]
            self.base[parents[members[settled]]] = bases[families[settled]]
            children[members[settled]] = places[settled]
            members = members[~settled]

    def trie(self) -> Trie:
        """The finished trie."""
        return Trie(self.base, self.parent, self.piece)
