"""Anderson acceleration of batched fixed-point iterations."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class AndersonAcceleration:
    """Anderson acceleration of a batch of fixed-point iterations, with a separate history per row.

    Anderson 1965; Walker and Ni, SIAM J. Numer. Anal. 49 (2011): with residuals f = g(z) - z and difference matrices
    dZ, dF, the next point is `z + f - (dZ + dF) gamma`, gamma the least-squares solution of `dF gamma = f`.

    Args:
        like: iterates, (b, d); sets the shape, dtype and device.
        size: number of stored differences, >= 1; at most d are used.
    """

    def __init__(self, like: Float[Tensor, "b d"], size: int = 5) -> None:
        b, d = like.shape
        m = min(size, d)
        self._steps = like.new_zeros(b, m, d)
        self._changes = like.new_zeros(b, m, d)
        self._z, self._f = like.new_zeros(b, d), like.new_zeros(b, d)
        self._count = torch.zeros(b, dtype=torch.long, device=like.device)

    def propose(
        self, rows: Int[Tensor, "r"], z: Float[Tensor, "r d"], f: Float[Tensor, "r d"]
    ) -> tuple[Float[Tensor, "r d"], Bool[Tensor, "r"]]:
        """Stores accepted iterates of `rows`; returns the next points, and a mask of those that are extrapolated."""
        count = self._count[rows]
        extrapolated = count > 0
        if extrapolated.any():
            r = rows[extrapolated]
            slot = (self._count[r] - 1) % self._steps.shape[1]
            self._steps[r, slot] = z[extrapolated] - self._z[r]
            self._changes[r, slot] = f[extrapolated] - self._f[r]
        self._z[rows], self._f[rows] = z, f
        self._count[rows] = count + 1
        steps, changes = self._steps[rows], self._changes[rows]
        gram = changes @ changes.mT
        size = gram.diagonal(dim1=1, dim2=2)
        ridge = torch.where(size > 0, 64 * torch.finfo(z.dtype).eps * size.amax(1, keepdim=True), 1.0)
        gamma = torch.linalg.solve(gram + torch.diag_embed(ridge), changes @ f[..., None])
        return z + f - ((steps + changes).mT @ gamma)[..., 0], extrapolated

    def reset(self, rows: Int[Tensor, "r"]) -> None:
        """Clears the history of rows whose extrapolation was rejected."""
        self._steps[rows], self._changes[rows], self._count[rows] = 0, 0, 0
