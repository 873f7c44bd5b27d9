"""Explanations of terms in the pages, shown as tooltips."""

from __future__ import annotations

from collections.abc import Mapping

TERMS: Mapping[str, str] = {
    "prior calls": "Denoiser evaluations (NFE): how often the diffusion model was evaluated, per image and guidance "
    "branch. They are nearly all of the cost of a run with a large model.",
    "relative shift": "Length of the mean shift that remains, in units of the bandwidth, on average: "
    "|shift| / (h √d). 0 is a mode; below the tolerance a result has converged.",
    "bandwidth": "Standard deviation h of the Gaussian kernel that blurs the density whose modes are sought, in units "
    "of z. Wide early in a run, to find the mode; narrow at its end, for details.",
    "direction norm": "Length of the gradient that the method gives for z, the space of the prior (latents, pixels or "
    "points). It is no loss: watch its trend.",
    "noise level": "Time t at which the method evaluates the denoiser: 0 is clean, 1 is pure noise.",
    "rollbacks": "How often the run diverged and continued from its last checkpoint with half the learning rate.",
    "sessions": "How often the run was started or resumed.",
}


def explanation(term: str) -> str:
    """The explanation of a term in any case, also after `final`; empty if it has none."""
    return TERMS.get(term.lower().removeprefix("final "), "")
