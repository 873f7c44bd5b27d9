"""Default guidance scale of a method under a prior: what was published with it, or measured here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modeseek.config.priors import PipelinePriorConfig, PriorConfig
from modeseek.config.registry import ALL_METHODS
from modeseek.methods.base import Method, own_scale
from modeseek.priors.pipeline.bundled_table import bundled_prior
from modeseek.priors.pipeline.configurations import model_index
from modeseek.priors.pipeline.hub import repository_class

SAMPLER_SCALE = 7.5  # of Stable Diffusion's own pipelines
_DREAMFUSION = "DreamFusion's 100, plus 1"


@dataclass(frozen=True)
class GuidanceDefault:
    """Default guidance scale, and where it comes from.

    Attributes:
        scale: classifier-free guidance scale; 1 is none.
        reason: its origin, one phrase.
    """

    scale: float
    reason: str


# Published with Stable Diffusion, of methods that take a guided prior; DreamFusion-style numbers plus 1.
_PUBLISHED: dict[str, tuple[float, str]] = {
    "sds": (101.0, _DREAMFUSION),
    "debiased": (101.0, f"that of SDS: {_DREAMFUSION}"),
    "sjc": (101.0, "its authors' 100, plus 1"),
    "hifa": (101.0, "its authors' 100, plus 1"),
    "stein": (101.0, f"that of SDS: {_DREAMFUSION}"),
    "rsd": (101.0, f"that of SDS: {_DREAMFUSION}"),
    "rfds": (100.0, "its authors' on Stable Diffusion 3"),
    "cfd": (70.0, "its authors'"),
    "fsd": (70.0, "that of CFD"),
}
_BY_CLASS: dict[str, dict[str, tuple[float, str]]] = {
    "IFPipeline": {"sds": (21.0, "threestudio's 20, plus 1")},
}
_DISTILLED = {"FluxPipeline": "the network has its own, prior.pipeline.guidance"}


def default_guidance(method: str, prior: PriorConfig) -> GuidanceDefault:
    """Returns the default guidance scale of a method under a prior.

    Under a bundled prior it is the scale at which images were measured here. Under other pipelines: the one published
    with the method, by the family of the pipeline; for MSD that of the samplers, since the authors' is not known. Under
    any other prior there is none.

    Args:
        method: registered name of the method.
        prior: configuration of the prior; the family is read from its folder where there is one.
    """
    if not isinstance(prior, PipelinePriorConfig):
        return GuidanceDefault(1.0, f"none under {prior.title}")
    named, kind = bundled_prior(prior.path), _pipeline_class(prior.path)
    made = ALL_METHODS.get(method)
    if made is not None and made.guides and own_scale(made) is None:
        return GuidanceDefault(1.0, "its coefficients are its guidance")
    if named is not None:
        return GuidanceDefault(named.scale, f"default under {named.name}")
    if kind in _DISTILLED:
        return GuidanceDefault(1.0, _DISTILLED[kind])
    title = "Stable Diffusion (family unknown)" if kind is None else kind.removesuffix("Pipeline")
    published = _BY_CLASS.get(kind or "", {}).get(method) or _PUBLISHED.get(method)
    if published is None and (own := _published_scale(method)) is not None:
        published = (own, "its authors'")
    if published is None:
        return GuidanceDefault(SAMPLER_SCALE, f"that of samplers; {method} has no published one")
    return GuidanceDefault(published[0], f"default of {method} on {title}: {published[1]}")


def chosen_scale(name: str, given: Method | None, prior: PriorConfig, scale: float | None) -> float:
    """Returns the guidance scale that was chosen, else that of a given method that guides by itself, else the default.

    Args:
        name: registered name of the method.
        given: the method, where it was given with its own settings.
        prior: configuration of the prior.
        scale: scale that was chosen; None for none.
    """
    if scale is not None:
        return scale
    own = None if given is None else own_scale(given)
    return default_guidance(name, prior).scale if own is None else own


def _published_scale(method: str) -> float | None:
    """Scale with which a method that guides by itself was published; None for others."""
    made = ALL_METHODS.get(method)
    return None if made is None else own_scale(made)


def _pipeline_class(path: str) -> str | None:
    """Class of a pipeline in diffusers, from its folder or from the hub; None where there is neither."""
    folder = Path(path).expanduser()
    if not (folder / "model_index.json").is_file():
        return None if folder.exists() else repository_class(path)
    name = model_index(folder).get("_class_name")
    return name if isinstance(name, str) else None
