"""A hash grid: many resolutions in little memory. Made for GPUs; on the CPU a dense grid is faster."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.generators.nerf.network import EncodedVolume
from modeseek.generators.nerf.volume import BlobInit
from modeseek.rng import Rng, rand

_PRIMES = (1, 2_654_435_761, 805_459_861)


class HashGrid(EncodedVolume):
    """Features on grids of growing fineness, and a network of them.

    Grids with more points than their table has rows share them by a hash (Mueller, Evans, Schied, Keller 2022, arXiv
    2201.05989). Adam with rate 0.01 suits it.

    Args:
        rng: draws tables and weights.
        coarsest: cells along each axis of the first grid.
        finest: of the last; between them they grow geometrically.
        levels: grids.
        rows: of each table; a power of two hashes best.
        channels: features a row.
        width: of the network's hidden layers.
        depth: hidden layers.
        blob: added to raw density.
        like: dtype and device.

    Raises:
        ValueError: sizes below 1, or a finest grid that is coarser than the coarsest.
    """

    def __init__(
        self,
        rng: Rng,
        coarsest: int = 8,
        finest: int = 128,
        levels: int = 8,
        rows: int = 2**15,
        channels: int = 2,
        width: int = 32,
        depth: int = 1,
        blob: BlobInit | None = None,
        like: Tensor | None = None,
    ) -> None:
        if min(coarsest, levels, rows, channels) < 1 or finest < coarsest:
            raise ValueError(
                "a hash grid needs positive sizes and a finest grid no coarser than the coarsest: got "
                f"coarsest={coarsest}, finest={finest}, levels={levels}, rows={rows}, channels={channels}"
            )
        like = torch.empty(0) if like is None else like
        super().__init__(levels * channels, width, depth, rng, blob, like)
        growth = (finest / coarsest) ** (1 / max(1, levels - 1))
        self.cells = tuple(round(coarsest * growth**k) for k in range(levels))
        # Features apart: gathering single numbers is what torch does fastest, forth and back.
        self.tables = nn.ParameterList(
            1e-2 * (2 * rand((1, channels, min(rows, (cells + 1) ** 3)), rng, like)[0] - 1) for cells in self.cells
        )

    @property
    def spacing(self) -> float:
        return 2 / self.cells[-1]

    def encode(self, points: Float[Tensor, "m 3"]) -> Float[Tensor, "a m"]:
        place = (points.T + 1) / 2
        return torch.cat([_look_up(table, place, n) for table, n in zip(self.tables, self.cells, strict=True)])


def _look_up(table: Float[Tensor, "c r"], place: Float[Tensor, "3 m"], cells: int) -> Float[Tensor, "c m"]:
    """One grid of `cells` along [0, 1]^3 between its corners, which are rows of the table, hashed if they must be."""
    spot = place * cells
    low = spot.detach().floor().clamp(0, cells - 1)
    share, corner = spot - low, low.long()
    hashed = (cells + 1) ** 3 > table.shape[1]
    factors = _PRIMES if hashed else (1, cells + 1, (cells + 1) ** 2)
    axes = [(corner[i] * f, (corner[i] + 1) * f) for i, f in enumerate(factors)]
    shares = [(1 - share[i], share[i]) for i in range(3)]
    found = torch.zeros((), dtype=table.dtype, device=table.device)
    for dz in (0, 1):
        for dy in (0, 1):
            for dx in (0, 1):
                x, y, z = axes[0][dx], axes[1][dy], axes[2][dz]
                row = (x ^ y ^ z) % table.shape[1] if hashed else x + y + z
                weight = shares[0][dx] * shares[1][dy] * shares[2][dz]
                found = found + weight * torch.stack([feature.index_select(0, row) for feature in table])
    return found
