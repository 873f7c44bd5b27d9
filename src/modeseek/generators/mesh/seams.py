"""Seams of an atlas: where they lie, and a texture that does not differ across them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.generators.mesh.atlas import Atlas
from modeseek.operators.conjugate_gradients import conjugate_gradients

_PER_TEXEL = 2  # points for each texel along an edge
_KEEP = 0.01  # weight of the given texels against equal colours across seams
_STEPS = 60  # of conjugate gradients


@dataclass(frozen=True)
class Seams:
    """Points on the seams of an atlas, each with its two places in the texture.

    Attributes:
        first: texture coordinates on one side.
        second: texture coordinates of the same points on the other side.
    """

    first: Float[Tensor, "m 2"]
    second: Float[Tensor, "m 2"]

    @classmethod
    def of(cls, atlas: Atlas, size: int) -> Seams:
        """Finds the edges of two faces that lie apart in the atlas, with two points for each texel along them.

        Args:
            atlas: the atlas.
            size: side of the texture, texels.
        """
        ends = torch.cat([atlas.faces[:, [k, (k + 1) % 3]] for k in range(3)])
        swap = atlas.origin[ends[:, 0]] > atlas.origin[ends[:, 1]]
        ends = torch.where(swap[:, None], ends.flip(1), ends)
        key = atlas.origin[ends[:, 0]] * (int(atlas.origin.max()) + 1) + atlas.origin[ends[:, 1]]
        order = key.argsort(stable=True)
        ends, key = ends[order], key[order]
        pairs = torch.stack([ends[:-1], ends[1:]], 1)[key[1:] == key[:-1]]
        places = atlas.uv[pairs[(pairs[:, 0] != pairs[:, 1]).any(1)]]
        length = (places[:, :, 1] - places[:, :, 0]).norm(dim=-1).amax(1)
        count = (_PER_TEXEL * size * length).ceil().long().clamp(min=1)
        edge = torch.arange(len(count), device=count.device).repeat_interleave(count)
        within = torch.arange(len(edge), device=count.device) - (count.cumsum(0) - count)[edge]
        share = ((within + 0.5) / count[edge]).to(atlas.uv)[:, None, None]
        points = places[edge, :, 0] * (1 - share) + places[edge, :, 1] * share
        return cls(points[:, 0], points[:, 1])


def bilinear(uv: Float[Tensor, "m 2"], size: int) -> tuple[Int[Tensor, "m 4"], Float[Tensor, "m 4"]]:
    """Returns the four texels of a bilinear look-up, row-major with row 0 on top, and their weights."""
    column, row = size * uv[:, 0] - 0.5, size * (1 - uv[:, 1]) - 0.5
    left, top = (place.detach().floor().clamp(0, size - 2) for place in (column, row))
    right, low = (column - left).clamp(0, 1), (row - top).clamp(0, 1)
    first = top.long() * size + left.long()
    index = torch.stack([first, first + 1, first + size, first + size + 1], 1)
    return index, torch.stack([(1 - low) * (1 - right), (1 - low) * right, low * (1 - right), low * right], 1)


def sew(texels: Float[Tensor, "q c"], seams: Seams) -> Float[Tensor, "q c"]:
    """Returns texels that agree across seams: the least change of those given, in the sense of least squares.

    Minimises `|D x|^2 + 0.01 |x - texels|^2`, D the difference across the seams, by conjugate gradients.

    Args:
        texels: texels of a square texture, row-major with row 0 on top.
        seams: points on the seams.
    """
    size = round(len(texels) ** 0.5)
    (first, plus), (second, minus) = (bilinear(uv.to(texels), size) for uv in (seams.first, seams.second))
    touched, index = torch.cat([first, second], 1).unique(return_inverse=True)  # others stay as they are
    weights, given = torch.cat([plus, -minus], 1), texels[touched]

    def apply(x: Tensor) -> Tensor:
        difference = (weights[..., None] * x[index]).sum(1)
        spread = (weights[..., None] * difference[:, None]).flatten(0, 1)
        return torch.zeros_like(x).index_add(0, index.flatten(), spread) + _KEEP * x

    change = conjugate_gradients(  # a row per channel
        lambda rows: apply(rows.T).T, (_KEEP * given - apply(given)).T, max_iterations=_STEPS, truncate=True
    )
    return texels.index_copy(0, touched, given + change.T)
