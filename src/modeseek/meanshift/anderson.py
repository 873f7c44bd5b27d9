"""Anderson extrapolation of many fixed-point iterations at once."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class AndersonAcceleration:
    """The last few differences of each row's iterates, and what they extrapolate to.

    Anderson 1965; Walker and Ni, SIAM J. Numer. Anal. 49 (2011): with residuals f = g(z) - z and difference matrices
    dZ, dF, the next point is `z + f - (dZ + dF) gamma`, gamma the least-squares solution of `dF gamma = f`.

    Args:
        like: the iterates, (b, d).
        size: differences kept; never more than d.
    """

    def __init__(self, like: Float[Tensor, "b d"], size: int = 5) -> None:
        b, d = like.shape
        m = min(size, d)
        self._steps = like.new_zeros(b, m, d)
        self._changes = like.new_zeros(b, m, d)
        self._z, self._f = like.new_zeros(b, d), like.new_zeros(b, d)
        self._seen = torch.zeros(b, dtype=torch.long, device=like.device)

    def propose(
        self, rows: Int[Tensor, "r"], z: Float[Tensor, "r d"], f: Float[Tensor, "r d"]
    ) -> tuple[Float[Tensor, "r d"], Bool[Tensor, "r"]]:
        """Takes in the accepted iterates of `rows` and returns the next points, and where they are extrapolated."""
        seen = self._seen[rows]
        known = seen > 0
        if known.any():
            r = rows[known]
            slot = (self._seen[r] - 1) % self._steps.shape[1]
            self._steps[r, slot] = z[known] - self._z[r]
            self._changes[r, slot] = f[known] - self._f[r]
        self._z[rows], self._f[rows] = z, f
        self._seen[rows] = seen + 1
        steps, changes = self._steps[rows], self._changes[rows]
        gram = changes @ changes.mT
        size = gram.diagonal(dim1=1, dim2=2)
        ridge = torch.where(size > 0, 64 * torch.finfo(z.dtype).eps * size.amax(1, keepdim=True), 1.0)
        gamma = torch.linalg.solve(gram + torch.diag_embed(ridge), changes @ f[..., None])
        return z + f - ((steps + changes).mT @ gamma)[..., 0], known

    def reset(self, rows: Int[Tensor, "r"]) -> None:
        """Drops the history of rows whose extrapolation was refused."""
        self._steps[rows], self._changes[rows], self._seen[rows] = 0, 0, 0
