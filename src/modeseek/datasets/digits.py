"""Real images: the 1,797 handwritten digits that ship inside scikit-learn."""

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

_WALK = VE(0.02, 50.0)
_HELD_OUT = 5  # every fifth image of a class


@dataclass(frozen=True)
class Digits:
    """8x8 images in [-1, 1], ten classes, one fifth of each held out.

    Attributes:
        train: (n, 1, 8, 8).
        train_labels: (n,).
        held_out: (m, 1, 8, 8).
        held_out_labels: (m,).
    """

    train: Float[Tensor, "n 1 8 8"]
    train_labels: Int[Tensor, "n"]
    held_out: Float[Tensor, "m 1 8 8"]
    held_out_labels: Int[Tensor, "m"]

    @classmethod
    def load(cls) -> Digits:
        """Reads them from scikit-learn (Alpaydin and Kaynak, UCI 1998)."""
        from sklearn.datasets import load_digits

        raw = load_digits()
        images = torch.tensor(raw.images, dtype=torch.float32)[:, None] / 8 - 1  # pyright: ignore[reportAttributeAccessIssue]
        labels = torch.tensor(raw.target)  # pyright: ignore[reportAttributeAccessIssue]
        held = torch.zeros(len(labels), dtype=torch.bool)
        for label in labels.unique():
            held[(labels == label).nonzero()[::_HELD_OUT, 0]] = True
        return cls(images[~held], labels[~held], images[held], labels[held])

    @cached_property
    def prior(self) -> Empirical:
        """The ideal denoiser of the training part, class-conditional."""
        return Empirical(self.train, _WALK, self.train_labels)

    @cached_property
    def bandwidth(self) -> float:
        """The kernel width under which the training part best explains itself, each image by the others."""
        widths = torch.logspace(-1, 1, 81, dtype=torch.float64)
        scores = -64 * len(self.train) * widths.log()
        for label in self.train_labels.unique():
            mine = self.train[self.train_labels == label].flatten(1).double()
            squares = torch.cdist(mine, mine).square().fill_diagonal_(math.inf)
            scores += torch.stack([(-squares / (2 * h * h)).logsumexp(1).sum() for h in widths])
        return widths[int(scores.argmax())].item()

    def log_likelihood(self, z: Float[Tensor, "b 1 8 8"], label: int) -> Float[Tensor, "b"]:
        """Log density, in nats, under the kernel estimate of the held-out images of that class."""
        judge = Empirical(self.held_out, _WALK, self.held_out_labels)
        one = z.new_ones(len(z))
        return judge.evaluate(z, one, self.bandwidth * one, torch.full((len(z),), label))[1]

    def nearest_distance(self, z: Float[Tensor, "b 1 8 8"], label: int) -> Float[Tensor, "b"]:
        """Distance to the nearest held-out image of that class."""
        mine = self.held_out[self.held_out_labels == label]
        return torch.cdist(z.flatten(1).to(mine), mine.flatten(1)).amin(1)

    def classifier(self) -> Callable[[Float[Tensor, "b 1 8 8"]], Int[Tensor, "b"]]:
        """A support-vector classifier fitted to the training part: images to labels."""
        from sklearn.svm import SVC

        machine = SVC(gamma="scale", C=10.0).fit(self.train.flatten(1).numpy(), self.train_labels.numpy())
        return lambda z: torch.from_numpy(machine.predict(z.detach().flatten(1).float().numpy()))
