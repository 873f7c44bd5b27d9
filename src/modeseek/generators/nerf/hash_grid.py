"""Multi-resolution hash grids. Designed for GPUs; on the CPU a dense grid is faster."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.generators.nerf.network import EncodedVolume
from modeseek.generators.nerf.volume import BlobInit
from modeseek.rng import Rng, rand

_PRIMES = (1, 2_654_435_761, 805_459_861)


class HashGrid(EncodedVolume):
    """Volume as an MLP of features on grids of increasing resolution.

    Grids with more points than their table has rows are hashed (Mueller, Evans, Schied, Keller 2022, arXiv
    2201.05989). Recommended learning rate with Adam: 0.01.

    Args:
        rng: random stream of the initial tables and weights.
        coarsest: cells along each axis of the first grid, >= 1.
        finest: cells along each axis of the last grid, >= coarsest; resolutions in between are geometric.
        levels: number of grids, >= 1.
        rows: rows of each table, >= 1; preferably a power of two.
        channels: features per row, >= 1.
        width: width of the network's hidden layers, >= 1.
        depth: number of hidden layers, >= 1.
        blob: initial blob, added to the raw density.
        like: tensor whose dtype and device the parameters take; default float32 on the CPU.

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
                "a hash grid needs positive sizes and a finest grid no coarser than the coarsest, got "
                f"coarsest={coarsest}, finest={finest}, levels={levels}, rows={rows}, channels={channels}"
            )
        like = torch.empty(0) if like is None else like
        super().__init__(levels * channels, width, depth, rng, blob, like)
        growth = (finest / coarsest) ** (1 / max(1, levels - 1))
        self.cells = tuple(round(coarsest * growth**k) for k in range(levels))
        # One row per feature: torch gathers scalars fastest, forward and backward.
        self.tables = nn.ParameterList(
            1e-2 * (2 * rand((1, channels, min(rows, (cells + 1) ** 3)), rng, like)[0] - 1) for cells in self.cells
        )

    @property
    def spacing(self) -> float:
        return 2 / self.cells[-1]

    def encode(self, points: Float[Tensor, "m 3"]) -> Float[Tensor, "a m"]:
        coordinates = (points.T + 1) / 2
        return torch.cat([_look_up(table, coordinates, n) for table, n in zip(self.tables, self.cells, strict=True)])


def _look_up(table: Float[Tensor, "c r"], coordinates: Float[Tensor, "3 m"], cells: int) -> Float[Tensor, "c m"]:
    """Interpolates one grid of `cells` per axis of [0, 1]^3; corners index the table, by a hash if it is too small."""
    position = coordinates * cells
    low = position.detach().floor().clamp(0, cells - 1)
    fraction, corner = position - low, low.long()
    hashed = (cells + 1) ** 3 > table.shape[1]
    factors = _PRIMES if hashed else (1, cells + 1, (cells + 1) ** 2)
    axes = [(corner[i] * f, (corner[i] + 1) * f) for i, f in enumerate(factors)]
    weights = [(1 - fraction[i], fraction[i]) for i in range(3)]
    features = torch.zeros((), dtype=table.dtype, device=table.device)
    for dz in (0, 1):
        for dy in (0, 1):
            for dx in (0, 1):
                x, y, z = axes[0][dx], axes[1][dy], axes[2][dz]
                row = (x ^ y ^ z) % table.shape[1] if hashed else x + y + z
                weight = weights[0][dx] * weights[1][dy] * weights[2][dz]
                features = features + weight * torch.stack([feature.index_select(0, row) for feature in table])
    return features
