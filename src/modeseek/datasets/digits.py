"""Handwritten digits: the 1,797 8x8 images that ship with scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.diffusion.schedule import VE
from modeseek.priors.empirical import Empirical

_SCHEDULE = VE(0.02, 50.0)
_HELD_OUT = 5  # every fifth image of a class is held out


@dataclass(frozen=True)
class Digits:
    """8x8 images in [-1, 1], ten classes, one fifth of each held out.

    Attributes:
        train: training images, (n, 1, 8, 8).
        train_labels: class of each training image, 0 to 9, (n,).
        held_out: held-out images, (m, 1, 8, 8).
        held_out_labels: class of each held-out image, 0 to 9, (m,).
    """

    train: Float[Tensor, "n 1 8 8"]
    train_labels: Int[Tensor, "n"]
    held_out: Float[Tensor, "m 1 8 8"]
    held_out_labels: Int[Tensor, "m"]

    @classmethod
    def load(cls) -> Digits:
        """Loads the images from scikit-learn (Alpaydin and Kaynak, UCI 1998)."""
        from sklearn.datasets import load_digits

        raw = load_digits()
        images = torch.tensor(raw.images, dtype=torch.float32)[:, None] / 8 - 1  # pyright: ignore[reportAttributeAccessIssue]
        labels = torch.tensor(raw.target)  # pyright: ignore[reportAttributeAccessIssue]
        is_held_out = torch.zeros(len(labels), dtype=torch.bool)
        for label in labels.unique():
            is_held_out[(labels == label).nonzero()[::_HELD_OUT, 0]] = True
        return cls(images[~is_held_out], labels[~is_held_out], images[is_held_out], labels[is_held_out])

    @cached_property
    def prior(self) -> Empirical:
        """Exact class-conditional prior of the training images."""
        return Empirical(self.train, _SCHEDULE, self.train_labels)

    @cached_property
    def bandwidth(self) -> float:
        """Kernel width of the highest leave-one-out likelihood of the training images, within their classes."""
        widths = torch.logspace(-1, 1, 81, dtype=torch.float64)
        scores = -64 * len(self.train) * widths.log()
        for label in self.train_labels.unique():
            images = self.train[self.train_labels == label].flatten(1).double()
            squares = torch.cdist(images, images).square().fill_diagonal_(math.inf)
            scores += torch.stack([(-squares / (2 * h * h)).logsumexp(1).sum() for h in widths])
        return widths[int(scores.argmax())].item()

    def log_likelihood(self, z: Float[Tensor, "b 1 8 8"], label: int) -> Float[Tensor, "b"]:
        """Log density, in nats, under the kernel density estimate of the held-out images of class `label`."""
        held_out_prior = Empirical(self.held_out, _SCHEDULE, self.held_out_labels)
        alpha = z.new_ones(len(z))
        return held_out_prior.evaluate(z, alpha, self.bandwidth * alpha, torch.full((len(z),), label))[1]

    def nearest_distance(self, z: Float[Tensor, "b 1 8 8"], label: int) -> Float[Tensor, "b"]:
        """Euclidean distance to the nearest held-out image of class `label`."""
        images = self.held_out[self.held_out_labels == label]
        return torch.cdist(z.flatten(1).to(images), images.flatten(1)).amin(1)

    def classifier(self) -> Callable[[Float[Tensor, "b 1 8 8"]], Int[Tensor, "b"]]:
        """Support-vector classifier fitted to the training images: a function from images to labels."""
        from sklearn.svm import SVC

        svm = SVC(gamma="scale", C=10.0).fit(self.train.flatten(1).numpy(), self.train_labels.numpy())
        return lambda z: torch.from_numpy(svm.predict(z.detach().flatten(1).float().numpy()))
