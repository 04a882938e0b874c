"""AdamW that keeps its means only for the rows of a token table that have had a gradient.

A step reads some of the tokens of a table. The means of all others are zeros, which change nothing, so they need no
memory: with 250,000 tokens of width 384 the gradient and both means are 1.2 GB, most of what such a model is trained
in. Steps are those of `torch.optim.AdamW` (Loshchilov and Hutter 2019, 1711.05101): a row that has had a gradient once
moves on by its means, and weight decay reaches every row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

ROWS_AT_ONCE = 8_192
SPARE = 8  # an eighth more room than is needed, so that new rows seldom move all others
ROWS, FIRST, SECOND, STEP = "rows", "exp_avg", "exp_avg_sq", "step"


class RowAdamW(torch.optim.AdamW):
    """AdamW for parameters of which some have gradients that hold rows (coalesced COO) and all others have whole ones.

    The state of a parameter with rows is `rows`, int64 in the order in which they came, and `exp_avg` and `exp_avg_sq`,
    of shape (rows, dimension).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._room: dict[tuple[Tensor, str], Tensor] = {}
        self._places: dict[Tensor, Tensor] = {}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step over all parameters that have a gradient."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        by_row = [(group, table) for group in self.param_groups for table in group["params"] if _has_rows(table.grad)]
        gradients = [table.grad for _, table in by_row]
        for group, table in by_row:
            self._step_rows(group, table)
            table.grad = None
        super().step()
        for (_, table), gradient in zip(by_row, gradients, strict=True):
            table.grad = gradient
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As any optimiser's, but for the numbers of rows, which torch would round as it rounds all state."""
        super().load_state_dict(state_dict)
        self._room, self._places = {}, {}
        stored = [number for group in state_dict["param_groups"] for number in group["params"]]
        own = [value for group in self.param_groups for value in group["params"]]
        for number, value in zip(stored, own, strict=True):
            rows = state_dict["state"].get(number, {}).get(ROWS)
            if rows is not None:
                self.state[value][ROWS] = rows.to(value.device)

    def _step_rows(self, group: dict[str, Any], table: Tensor) -> None:
        gradient = table.grad.coalesce()  # type: ignore[union-attr]
        values = gradient.values()
        places = self._places_of(table, gradient.indices()[0])
        state = self.state[table]
        if group["weight_decay"]:
            table.mul_(1 - group["lr"] * group["weight_decay"])
        places, order = places.sort()
        rows, first, second, step = (state[name] for name in (ROWS, FIRST, SECOND, STEP))
        for start in range(0, len(rows), ROWS_AT_ONCE):
            block = slice(start, min(start + ROWS_AT_ONCE, len(rows)))
            here = slice(*torch.searchsorted(places, torch.tensor([block.start, block.stop])).tolist())
            given = torch.zeros_like(first[block])
            given[places[here] - start] = values[order[here]]
            weights = table[rows[block]]
            adamw(
                [weights], [given], [first[block]], [second[block]], [], [step.clone()],
                fused=group["fused"], foreach=False, amsgrad=False, maximize=False, weight_decay=0.0,
                beta1=group["betas"][0], beta2=group["betas"][1], lr=group["lr"], eps=group["eps"],
            )  # fmt: skip
            table[rows[block]] = weights
        step += 1

    def _places_of(self, table: Tensor, rows: Tensor) -> Tensor:
        """Places of the rows in the state of a table, which takes in those that it does not have."""
        state = self.state[table]
        if not state:
            state[STEP] = torch.zeros((), dtype=torch.float32)
            state[ROWS] = rows.new_zeros(0)
            state[FIRST] = state[SECOND] = table.new_zeros((0, table.shape[1]))
        if table not in self._places:
            self._places[table] = rows.new_full((len(table),), -1)
            self._places[table][state[ROWS]] = torch.arange(len(state[ROWS]))
        places = self._places[table]
        new = rows[places[rows] < 0]
        if len(new):
            known = len(state[ROWS])
            places[new] = torch.arange(known, known + len(new))
            state[ROWS] = torch.cat([state[ROWS], new])
            for name in (FIRST, SECOND):
                state[name] = self._with_room(table, name, state[name], known + len(new))
        return places[rows]

    def _with_room(self, table: Tensor, name: str, values: Tensor, rows: int) -> Tensor:
        """The values with further rows of zeros."""
        room = self._room.get((table, name))
        if room is None or len(room) < rows:
            room = values.new_zeros((min(len(table), rows + rows // SPARE), values.shape[1]))
            room[: len(values)] = values
            self._room[table, name] = room
        return room[:rows]


def _has_rows(gradient: Tensor | None) -> bool:
    return gradient is not None and gradient.is_sparse
