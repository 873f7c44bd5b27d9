"""Comparison of a prior with the one that a run folder records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modeseek.priors.pipeline.identity import describe_changes


def changed_prior(recorded: Mapping[str, Any], present: Mapping[str, Any]) -> str | None:
    """Returns how a prior differs from a recorded one, a phrase; None if it is the same.

    A run of an earlier version records the weights of a pipeline's network alone, and is compared by these.

    Args:
        recorded: the prior in `env.json`: title, and SHA-256, weights and configuration where it has them.
        present: `LoadedPrior.record` of the prior as it is.
    """
    before, now = recorded.get("sha256"), present.get("sha256")
    if before == now or ("weights" not in recorded and before is not None and before == present.get("weights")):
        return None
    fields, others = recorded.get("configuration"), present.get("configuration")
    phrases = []
    if isinstance(fields, dict) and isinstance(others, dict):
        phrases.append(describe_changes(fields, others))
        if recorded.get("weights") != present.get("weights"):
            phrases.append("the weights of its network changed")
    return ", ".join(filter(None, phrases)) or "its SHA-256 differs"
