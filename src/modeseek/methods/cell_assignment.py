"""Assignment of the cells of a noise field to the pixels that see them, each cell to one pixel of a view."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def assign_cells(cells: Int[Tensor, "b p s"], n_cells: int) -> tuple[Int[Tensor, "b p q"], Bool[Tensor, "b p q"]]:
    """Gives each cell that a view sees to one of its pixels: that with most sub-samples in it, on ties the first.

    The weights `1 / sqrt(number of own cells)` make of standard normal cells pixels that are independent and standard
    normal exactly: with W the matrix from cells to pixels, `W W^T = I` for the pixels that own a cell, as no two share
    one. Integers and sorting only, so the same result on every device, and for each view whatever the batch.

    Args:
        cells: cell of each of s sub-samples of each of p pixels, < n_cells; below 0 for none.
        n_cells: number of cells.

    Returns:
        The own cells of each pixel, in ascending order and filled up with 0, and which of them are its own.
    """
    b, p, s = cells.shape
    device = cells.device
    view = torch.arange(b, device=device)[:, None, None]
    pixel = view * p + torch.arange(p, device=device)[None, :, None]
    seen = cells >= 0
    pair = ((view * n_cells + cells) * p + pixel % p)[seen]  # sorted by view, cell and pixel
    pair, count = torch.unique(pair, return_counts=True)
    cell, owner = pair // p, pair // (n_cells * p) * p + pair % p
    if not len(pair):
        none = torch.zeros(b, p, 1, dtype=torch.long, device=device)
        return none, none.bool()
    group = torch.cat([cell.new_zeros(1), (cell[1:] != cell[:-1]).cumsum(0)])
    order = (group * (s + 1) + (s - count)).argsort(stable=True)  # most sub-samples first, then the first pixel
    best = order[torch.cat([group.new_ones(1, dtype=torch.bool), group[1:] != group[:-1]])]
    cell, owner = cell[best], owner[best]
    order = owner.argsort(stable=True)
    cell, owner = cell[order] % n_cells, owner[order]
    owned = torch.bincount(owner, minlength=b * p)
    place = torch.arange(len(owner), device=device) - (owned.cumsum(0) - owned)[owner]
    table = cell.new_zeros(b * p, int(owned.max()))
    own = torch.zeros_like(table, dtype=torch.bool)
    table[owner, place], own[owner, place] = cell, True
    return table.view(b, p, -1), own.view(b, p, -1)
