"""Metrics of the text-to-image experiment: one row of `METRICS` each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.datasets.scenes import Scenes
from modeseek.experiments.text_to_image.jobs import BatchResult, iterate_images
from modeseek.experiments.text_to_image.plan import TextToImage
from modeseek.metrics.bootstrap import Estimate, mean_with_interval
from modeseek.metrics.clip import CLIPSimilarity
from modeseek.metrics.features import ImageFeatures
from modeseek.metrics.frechet import fid, kid
from modeseek.metrics.image_statistics import clipped_fraction, saturation, sharpness
from modeseek.metrics.scenes.caption_accuracy import accuracy_by_attribute, classifier_features, score_captions
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.priors.pipeline import Pipeline
from modeseek.reports.metric import Metric
from modeseek.rng import Streams
from modeseek.sampling.likelihood import log_likelihood

_N_RENDERS = 256  # minimum number of renders


@dataclass(frozen=True)
class MetricNetworks:
    """Networks of the metrics; None skips the metrics of that network.

    Attributes:
        features: feature network of FID and KID.
        clip: CLIP model of the similarity.
        scene_classifier: scene classifier, for prompts that are captions of rendered scenes.
        likelihood_prior: prior of the log-likelihood.
    """

    features: ImageFeatures | None = None
    clip: CLIPSimilarity | None = None
    scene_classifier: SceneClassifier | None = None
    likelihood_prior: Pipeline | None = None


@dataclass(frozen=True)
class EntryImages:
    """All images of one entry: what image metrics are evaluated on.

    Attributes:
        plan: plan of the experiment.
        results: finished jobs of the entry.
        networks: networks of the metrics, on the device of the plan.
        reference: images of the DDIM reference; None if there are none.
        renders: scene-classifier features of new renders of the prompts, (n, d); None without a scene classifier.
    """

    plan: TextToImage
    results: tuple[BatchResult, ...]
    networks: MetricNetworks = MetricNetworks()
    reference: EntryImages | None = None
    renders: Float[Tensor, "n d"] | None = None

    def __len__(self) -> int:
        return len(self.prompts)

    @cached_property
    def prompts(self) -> Int[Tensor, "n"]:
        """Prompt number of each image."""
        return torch.tensor([prompt for result in self.results for prompt, _ in result.batch.items])

    @property
    def captions(self) -> list[str]:
        """Prompt of each image."""
        return [self.plan.prompts[prompt] for prompt in self.prompts.tolist()]

    def map(self, function: Callable[..., Tensor]) -> Tensor:
        """Values of a function of images (b, 3, h, w) on the device and their (prompt, seed), over all images."""
        device = torch.device(self.plan.device)
        return torch.cat([function(image.to(device), items).cpu() for image, items in iterate_images(self.results)])

    def mean(self, values: Float[Tensor, "n"], by_prompt: bool = False) -> Estimate:
        """Mean over images with its interval, by resampling images or whole prompts."""
        return mean_with_interval(values, self.prompts if by_prompt else None, self.plan.seed)

    @cached_property
    def features(self) -> Float[Tensor, "n d"] | None:
        """Features for FID and KID; None without a feature network."""
        network = self.networks.features
        return None if network is None else self.map(lambda image, items: network(image))

    @cached_property
    def caption_accuracy(self) -> dict[str, Estimate]:
        """Caption accuracy by attribute; empty without a scene classifier."""
        classifier = self.networks.scene_classifier
        if classifier is None:
            return {}
        scores = score_captions(classifier, self.map(lambda image, items: image), self.captions)
        return accuracy_by_attribute(scores, self.prompts, self.plan.seed)

    @cached_property
    def log_p(self) -> Float[Tensor, "n"] | None:
        """`log p(z | prompt) / d` of each image, with one Hutchinson probe for every entry; None without a prior."""
        prior, plan = self.networks.likelihood_prior, self.plan
        if prior is None:
            return None

        def evaluate(image: Tensor, items: list[tuple[int, int]]) -> Tensor:
            with torch.no_grad():
                z = prior.codec.encode(image.to(prior.device))
            cond = prior.encode([plan.prompts[prompt] for prompt, _ in items])
            rng = Streams(plan.seed, use="likelihood", items=tuple(2**20 * prompt + seed for prompt, seed in items))
            return log_likelihood(prior, z, cond, rng=rng, steps=plan.likelihood).cpu() / z[0].numel()

        return self.map(evaluate)


def per_image(function: Callable[[Tensor], Tensor]) -> Callable[[EntryImages], Estimate]:
    """Mean of a function of images, (n, 3, h, w) in [0, 1] to (n,), that needs no network."""
    return lambda images: images.mean(images.map(lambda image, items: function(image)))


@torch.no_grad()
def render_features(classifier: SceneClassifier, prompts: tuple[str, ...], seed: int) -> Float[Tensor, "n d"]:
    """Classifier features of new renders, equally many of each prompt."""
    captions = list(prompts) * -(-_N_RENDERS // len(prompts))
    rng = Streams(seed, use="paper renders").generator(0, torch.device("cpu"))
    return classifier_features(classifier, Scenes().render(Scenes().layouts_for(captions, rng)).image)


def _accuracy(attribute: str) -> Callable[[EntryImages], Estimate | None]:
    return lambda images: images.caption_accuracy.get(attribute)


def _to_renders(images: EntryImages) -> Estimate | None:
    classifier = images.networks.scene_classifier
    if classifier is None or images.renders is None or len(images) < 2:
        return None
    features = classifier_features(classifier, images.map(lambda image, items: image))
    return kid(images.renders, features, images.plan.seed)


def _to_reference(distance: Callable[[Tensor, Tensor, int], Estimate]) -> Callable[[EntryImages], Estimate | None]:
    def evaluate(images: EntryImages) -> Estimate | None:
        real = None if images.reference is None else images.reference.features
        if images.features is None or real is None or min(len(real), len(images)) < 2:
            return None
        return distance(real, images.features, images.plan.seed)

    return evaluate


def _clip(images: EntryImages) -> Estimate | None:
    network, prompts = images.networks.clip, images.plan.prompts
    if network is None:
        return None
    cosines = images.map(lambda image, items: network(image, [prompts[prompt] for prompt, _ in items]))
    return images.mean(cosines, by_prompt=True)


def _log_p(images: EntryImages) -> Estimate | None:
    if images.log_p is None or not images.log_p.isfinite().all():
        return None
    return images.mean(images.log_p, by_prompt=True)


def _relative_shift(images: EntryImages) -> Estimate | None:
    shifts = [result.relative_shift for result in images.results if result.relative_shift is not None]
    return Estimate(sum(shifts) / len(shifts)) if shifts else None


METRICS: tuple[Metric[EntryImages], ...] = (
    Metric("right", "All right", "Share of images with every attribute of the caption right, by the scene classifier; "
           "resampled by prompt, as the next four.", ".2f", "high", unit="share", summarised=True,
           evaluate=_accuracy("all")),
    Metric("object", "Object", "Share with all objects of the caption and no other.", ".2f", "high", unit="share",
           evaluate=_accuracy("object")),
    Metric("colour", "Colour", "Share in which each object has its colour.", ".2f", "high", unit="share",
           evaluate=_accuracy("colour")),
    Metric("relation", "Relation", "Share with the right relation, of captions with two objects.", ".2f", "high",
           unit="share", evaluate=_accuracy("relation")),
    Metric("view", "View", "Share with the right viewpoint, of captions with a visible viewpoint.", ".2f", "high",
           unit="share", evaluate=_accuracy("view")),
    Metric("truth", "KID to renders", "Unbiased squared MMD of classifier features to new renders of the same "
           "captions, cubic kernel.", ".3g", "low", ("kid",), summarised=True, evaluate=_to_renders),
    Metric("fid", "FID", "Frechet distance of features to the DDIM reference. Biased upwards for few images.", ".3g",
           "low", ("fid",), evaluate=_to_reference(fid)),
    Metric("kid", "KID", "Unbiased squared MMD of features to the DDIM reference, cubic kernel.", ".3g", "low",
           ("kid",), summarised=True, evaluate=_to_reference(kid)),
    Metric("clip", "CLIP", "Mean cosine similarity of image and prompt; resampled by prompt.", ".3f", "high", ("clip",),
           summarised=True, evaluate=_clip),
    Metric("log_p", "Log p", "Log-likelihood of z given the prompt, without guidance, by the probability-flow ODE, in "
           "nats per dimension of z; resampled by prompt. High for typical and for merely smooth images.", ".3f",
           "high", unit="nats per dimension", summarised=True, evaluate=_log_p),
    Metric("saturation", "Saturation", "Mean HSV saturation, 0 to 1.", ".3f", evaluate=per_image(saturation)),
    Metric("clipped", "Clipped", "Share of channel values at 0 or 255.", ".3f", evaluate=per_image(clipped_fraction)),
    Metric("sharpness", "Sharpness", "RMS Laplacian of the luma; counts noise as well as edges.", ".3f",
           evaluate=per_image(sharpness)),
    Metric("relative_shift", "Shift", "|shift| / (h sqrt(d)) in the last step; 0 is a fixed point.", ".2e",
           evaluate=_relative_shift),
    Metric("calls", "Calls", "Prior calls per image; a guided evaluation is two.", ".0f", unit="calls",
           evaluate=lambda images: Estimate(sum(result.calls for result in images.results) / len(images))),
    Metric("seconds", "Seconds", "Run time per image, decoding and previews included.", ".3g", unit="s",
           evaluate=lambda images: Estimate(sum(result.seconds for result in images.results) / len(images))),
)  # fmt: skip
"""Metrics in the order of the tables. To add one: a function in `metrics/`, and a row here."""
