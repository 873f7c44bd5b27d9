"""Contrastive loss between the patches of two feature maps."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.rng import Rng, rand


def patch_nce(
    target: Float[Tensor, "b c h w"],
    source: Float[Tensor, "b c h w"],
    rng: Rng,
    patch: int = 1,
    patches: int = 256,
    temperature: float = 0.07,
) -> Float[Tensor, "b"]:
    """PatchNCE (Park et al. 2020, arXiv 2007.15651) of each row: every target patch finds the source's patch there.

    Mean over patches i of `-log softmax_j(<f_i, g_j> / temperature)_i`, f and g the L2-normalised features of target
    and source; the other patches of the same row are the negatives. The source has no graph.

    Args:
        target: features of the target.
        source: features of the source.
        rng: random numbers, for the choice of patches where there are more than `patches`.
        patch: side of a patch, over which features are averaged, >= 1.
        patches: largest number of patches of a row.
        temperature: temperature of the softmax, > 0.
    """
    pooled = [nn.functional.avg_pool2d(maps, patch) if patch > 1 else maps for maps in (target, source.detach())]
    f, g = (nn.functional.normalize(maps.flatten(2), dim=1) for maps in pooled)
    if f.shape[2] > patches:
        chosen = rand((len(f), f.shape[2]), rng, f.detach()).argsort(1)[:, None, :patches]
        f, g = (maps.gather(2, chosen.expand(-1, maps.shape[1], -1)) for maps in (f, g))
    logits = torch.einsum("bci,bcj->bij", f, g) / temperature
    return -logits.log_softmax(2).diagonal(dim1=1, dim2=2).mean(1)
