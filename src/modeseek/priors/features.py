"""Protocol of priors whose network shows its self-attention features."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

FeatureMap = Float[Tensor, "b c h w"]
"""Features of one layer on its grid of patches."""


@runtime_checkable
class FeaturePrior(Protocol):
    """Prior whose calls can be recorded: the features of its network beside the prediction, at no further call."""

    def record_features(self) -> AbstractContextManager[list[FeatureMap]]:
        """Returns a context whose list gets the feature maps of each layer at every call, with their graph."""
        ...
