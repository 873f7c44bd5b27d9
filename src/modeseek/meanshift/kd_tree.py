"""Truncated-kernel mean shift on samples by a block k-d tree, for low dimensions."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.priors.empirical import Empirical

_LEAF_SIZE = 64  # samples per block
_QUERY_SIZE = 128  # query points per block
_CUTOFF = 6.0  # kernel cutoff in bandwidths


class KDTreeMeanShift:
    """Mean shift on samples (n, d) with the Gaussian kernel truncated at 6 bandwidths.

    Samples and query points are sorted into blocks by recursive median splits, and each block of points visits only the
    blocks of samples whose bounding boxes are within the cutoff. The truncated kernel mass is below `n exp(-18)`;
    points with less than one sample's worth of kernel mass nearby use all samples instead.

    Args:
        samples: samples, (n, d).
    """

    def __init__(self, samples: Float[Tensor, "n d"]) -> None:
        self._all = Empirical(samples)
        blocks = _split(torch.arange(len(samples), device=samples.device), samples, _LEAF_SIZE)
        width = max(map(len, blocks))
        filler = samples.new_full((width, samples.shape[1]), math.inf)
        self._blocks = torch.stack([torch.cat([samples[b], filler[len(b) :]]) for b in blocks])  # (m, width, d)
        self._low = torch.stack([samples[b].amin(0) for b in blocks])
        self._high = torch.stack([samples[b].amax(0) for b in blocks])
        self._n = len(samples)

    def shift(self, z: Float[Tensor, "b d"], h: Float[Tensor, "b"]) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b"]]:
        """Returns the mean-shift vector and `log p_h` at points z with bandwidths h."""
        vector, mass = torch.empty_like(z), torch.empty_like(h)
        for rows in _split(torch.arange(len(z), device=z.device), z, _QUERY_SIZE):
            vector[rows], mass[rows] = self._block(z[rows], h[rows])
        log_p = mass.log() - math.log(self._n) - z.shape[1] * (0.5 * math.log(2 * math.pi) + h.log())
        far = (mass < 1).nonzero()[:, 0]
        if len(far):
            p, log_p[far] = self._all.evaluate(z[far], torch.ones_like(h[far]), h[far])
            vector[far] = -expand_like(h[far], z[far]) * p.eps
        return vector, log_p

    def _block(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        gap = torch.maximum(self._low - z.amax(0), z.amin(0) - self._high).clamp(min=0)
        near = gap.square().sum(1) <= (_CUTOFF * h.max()) ** 2
        samples = self._blocks[near].flatten(0, 1)
        samples = samples[samples[:, 0].isfinite()]
        origin = z.mean(0)
        points, samples = z - origin, samples - origin
        distance = sum((points[:, i, None] - samples[:, i]).square_() for i in range(z.shape[1]))
        weights = torch.as_tensor(distance).mul_((-0.5 / h**2)[:, None]).exp_()
        mass = weights.sum(1)
        mean = weights @ samples / mass.clamp(min=torch.finfo(z.dtype).tiny)[:, None]
        return mean - points, mass


def _split(rows: Tensor, points: Tensor, size: int) -> list[Tensor]:
    """Splits rows into blocks of at most `size`, at medians along the longest side."""
    if len(rows) <= size:
        return [rows]
    block = points[rows]
    axis = int((block.amax(0) - block.amin(0)).argmax())
    order = rows[block[:, axis].argsort()]
    half = len(rows) // 2
    return _split(order[:half], points, size) + _split(order[half:], points, size)
