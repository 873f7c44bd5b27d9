"""Metrics of the text-to-3D experiment: one row of `METRICS` each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.scenes.static_scene import StaticScene
from modeseek.metrics.bootstrap import Estimate
from modeseek.metrics.scenes.alignment import RenderFunction
from modeseek.metrics.scenes.caption_accuracy import accuracy_by_attribute, score_captions
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.metrics.scenes.janus import FrontFaces, classify_front_faces, count_front_faces, has_front_face
from modeseek.metrics.scenes.shape_metrics import ShapeMetrics
from modeseek.reports.metric import Metric
from modeseek.reports.table import Column
from modeseek.rundir.status import Status


@dataclass(frozen=True)
class EvaluatedShape:
    """3D shape in held-out and turntable views: what 3D metrics are evaluated on.

    Attributes:
        scene: ground-truth scene.
        classifier: scene classifier.
        render: render function of the shape.
        image: held-out views, in [0, 1].
        turntable: turntable views, in [0, 1].
        found: shape metrics of the held-out views; None of the ground truth itself.
        watertight: whether its mesh is closed; None without a mesh.
        status: status of its run; None of the ground truth itself.
    """

    scene: StaticScene
    classifier: SceneClassifier
    render: RenderFunction
    image: Float[Tensor, "n 3 s s"]
    turntable: Float[Tensor, "m 3 t t"]
    found: ShapeMetrics | None = None
    watertight: bool | None = None
    status: Status | None = None

    @cached_property
    def shape_metrics(self) -> dict[str, Estimate]:
        """Shape metrics by name; empty of the ground truth."""
        return {} if self.found is None else self.found.estimates()

    @cached_property
    def caption_accuracy(self) -> dict[str, Estimate]:
        """Share of held-out views in which an attribute of the caption is right, by attribute."""
        captions = [self.scene.caption] * len(self.image)
        return accuracy_by_attribute(score_captions(self.classifier, self.image, captions))

    @cached_property
    def fronts(self) -> dict[str, Estimate]:
        """Counts of front faces, see `front_counts`; empty for a caption without a front face."""
        if not has_front_face(self.scene.parsed):
            return {}
        alignment = None if self.found is None else self.found.alignment
        compared = count_front_faces(self.render, self.scene, alignment)
        return front_counts(compared, classify_front_faces(self.classifier, self.turntable))


def front_counts(compared: FrontFaces, judged: FrontFaces) -> dict[str, Estimate]:
    """Number of front faces by comparison with the ground truth and by the scene classifier, and whether it is 1."""
    counts = {
        "fronts": float(compared.count),
        "one_front": float(compared.count == 1),
        "fronts_judged": float(judged.count),
        "one_front_judged": float(judged.count == 1),
    }
    return {key: Estimate(value) for key, value in counts.items()}


Evaluate = Callable[[EvaluatedShape], Estimate | None]


def _shape(name: str) -> Evaluate:
    return lambda shape: shape.shape_metrics.get(name)


def _caption(attribute: str) -> Evaluate:
    return lambda shape: shape.caption_accuracy.get(attribute)


def _front(name: str) -> Evaluate:
    return lambda shape: shape.fronts.get(name)


def _cost(amount: Callable[[Status], float]) -> Evaluate:
    return lambda shape: None if shape.status is None else Estimate(float(amount(shape.status)))


def _saturation_error(shape: EvaluatedShape) -> Estimate | None:
    if shape.found is None:
        return None
    return Estimate(abs(shape.shape_metrics["saturation"].value - shape.shape_metrics["true_saturation"].value))


def _watertight(shape: EvaluatedShape) -> Estimate | None:
    return None if shape.watertight is None else Estimate(float(shape.watertight))


RUNS = Column("plays", "Runs", "Number of optimised shapes: captions times seeds.", ".0f")
METRICS: tuple[Metric[EvaluatedShape], ...] = (
    Metric("iou", "IoU", "Silhouette overlap with the ground truth over 16 held-out views, at the best scale and "
           "height; without view conditioning, at the best rotation too.", ".3f", "high", unit="share",
           summarised=True, evaluate=_shape("iou")),
    Metric("right", "All right", "Share of held-out views with every attribute of the caption right, by the scene "
           "classifier.", ".2f", "high", unit="share", summarised=True, evaluate=_caption("all")),
    Metric("object", "Object", "Share with all objects of the caption and no other.", ".2f", "high", unit="share",
           evaluate=_caption("object")),
    Metric("colour", "Colour", "Share in which each object has its colour.", ".2f", "high", unit="share",
           evaluate=_caption("colour")),
    Metric("relation", "Relation", "Share with the right relation, of captions with two objects.", ".2f", "high",
           unit="share", evaluate=_caption("relation")),
    Metric("delta_e", "Delta E", "Mean CIELAB difference within both silhouettes.", ".1f", "low", summarised=True,
           evaluate=_shape("delta_e")),
    Metric("psnr", "PSNR", "Held-out views against the ground truth, decibels.", ".1f", "high", unit="dB",
           summarised=True, evaluate=_shape("psnr")),
    Metric("saturation", "Saturation", "Mean HSV saturation within the silhouette.", ".3f",
           evaluate=_shape("saturation")),
    Metric("true_saturation", "True saturation", "Mean HSV saturation of the ground truth.", ".3f",
           evaluate=_shape("true_saturation")),
    Metric("saturation_error", "Saturation error", "Mean absolute difference of the two, shape by shape.", ".3f",
           "low", summarised=True, evaluate=_saturation_error),
    Metric("one_front", "One front", "Share with exactly one front face, of captions that have one: sides that "
           "correlate best with the true front. Blind to a smeared face.", ".2f", "high", unit="share",
           evaluate=_front("one_front")),
    Metric("fronts", "Fronts", "Mean number of front faces: 1 is right, more is the Janus problem.", ".2f",
           evaluate=_front("fronts")),
    Metric("one_front_judged", "One front (classifier)", "The same by the scene classifier, without the ground truth: "
           "sides that it classifies as the front of the object. Specks mislead it.", ".2f", "high", unit="share",
           evaluate=_front("one_front_judged")),
    Metric("fronts_judged", "Fronts (classifier)", "Mean number of front faces by the scene classifier.", ".2f",
           evaluate=_front("fronts_judged")),
    Metric("watertight", "Watertight", "Share with a closed mesh.", ".2f", "high", unit="share", evaluate=_watertight),
    Metric("steps", "Steps", "Number of optimisation steps.", ".0f", resampled=False,
           evaluate=_cost(lambda status: status.step)),
    Metric("calls", "Calls", "Prior calls of a run, counted per view; a guided evaluation is two.", ",.0f",
           resampled=False, evaluate=_cost(lambda status: status.calls)),
    Metric("seconds", "Seconds", "Optimisation time of a run, without previews and meshes.", ".1f", unit="s",
           resampled=False, evaluate=_cost(lambda status: status.seconds)),
)  # fmt: skip
"""Metrics in the order of the tables. To add one: a function in `metrics/`, and a row here."""
