"""Empirical prior: the exact denoiser of a finite data set, which is Gaussian kernel density estimation."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.device import float64_device, is_on
from modeseek.diffusion.prediction import Prediction
from modeseek.diffusion.schedule import VP, Schedule
from modeseek.priors.base import BasePrior, PerRow, Rows, positive_condition
from modeseek.priors.full_precision import full_float32
from modeseek.priors.labels import check_classes, check_data, check_labels, rows_per_block
from modeseek.pytree import Cond, expand
from modeseek.rng import Rng, rand

_NOISE_ALLOWED = 5e-4  # round-off of a logit above which distances are recomputed exactly
_NEGLIGIBLE = 20.0  # logits this far below the best contribute exp(-20)
_CPU_CHUNK = 8192  # data rows per block on a CPU: logits stay in its cache
_LOGITS = 2**24  # logits per block on an accelerator, where each block costs a dozen launches: 128 MB in float64


class Empirical(BasePrior):
    """Empirical density `p(z) = mean_i delta(z - z_i)` as a prior.

    Its denoiser is the kernel mean of the data with bandwidth `h = sigma / alpha`,
    `D(z; h) = sum_i softmax_i(-|z - z_i|^2 / (2 h^2)) z_i`, so `D - z` is the classical Gaussian mean-shift vector.
    Computed in chunks of data with an online softmax: memory O(batch x chunk), two matrix products per chunk, in full
    precision (no TF32). Squared distances come from a matrix product of centred data; where its round-off could move a
    logit, the points that matter are re-evaluated by subtraction in float64, so float32 results agree with float64 at
    every bandwidth.

    Args:
        data: data set, (n, *d), finite.
        schedule: native noise schedule; default `VP()`.
        labels: class of each datum, (n,) integers >= 0; cond is then labels (b,), -1 for the whole set.
        chunk: number of data rows per block, >= 1; None: 8192 on a CPU, on an accelerator as many as make 16.8 million
            logits with the batch.

    Raises:
        ValueError: empty, non-finite or non-floating data, labels that do not match.
    """

    def __init__(
        self, data: Tensor, schedule: Schedule | None = None, labels: Tensor | None = None, chunk: int | None = None
    ) -> None:
        if chunk is not None and chunk < 1:
            raise ValueError(f"chunk must be a number of data rows >= 1, got {chunk}; try 8192")
        check_data(data, "data")
        check_classes(labels, len(data), "datum")
        self.schedule: Schedule = VP() if schedule is None else schedule
        self.shape, self.dtype, self.device = tuple(data.shape[1:]), data.dtype, data.device
        self.labels, self._chunk = None, chunk
        flat = data.flatten(1)
        rows = rows_per_block(flat)
        double = torch.empty(rows, flat.shape[1], dtype=torch.float64, device=flat.device)  # one buffer for all
        total = torch.zeros_like(double[0])
        for part in flat.split(rows):
            total += double[: len(part)].copy_(part).sum(0)
        self._center = (total / len(flat)).to(flat)
        self._slices = {-1: slice(0, len(flat))}
        if labels is not None:
            self.labels, order = labels.to(data.device).sort(stable=True)
            flat = flat[order]
            classes, counts = self.labels.unique_consecutive(return_counts=True)
            ends = counts.cumsum(0).tolist()
            starts = [0, *ends[:-1]]
            self._slices |= {int(c): slice(a, b) for c, a, b in zip(classes, starts, ends, strict=True)}
        self._raw = flat  # (n, d), classes contiguous
        self._data = flat - self._center
        self._squares = torch.empty(len(flat), dtype=torch.float64, device=flat.device)
        for part, squares in zip(self._data.split(rows), self._squares.split(rows), strict=True):
            torch.sum(double[: len(part)].copy_(part).square_(), 1, out=squares)
        self._radius = self._squares.max().sqrt().item()

    def to(self, device: str | torch.device) -> Empirical:
        """Returns the prior on a device; itself if it is there.

        Raises:
            ValueError: a device without float64 (mps).
        """
        target = float64_device(device)
        if is_on(self.device, target):
            return self
        return Empirical(self.data.to(target), self.schedule, self.labels, self._chunk)

    @property
    def data(self) -> Float[Tensor, "n *d"]:
        """The data set, grouped by class."""
        return self._raw.reshape(-1, *self.shape)

    @property
    def n_classes(self) -> int:
        return 0 if self.labels is None else int(self.labels.max()) + 1

    def at(self, z_t: Rows, alpha: PerRow, sigma: PerRow, cond: Cond = None) -> Prediction:
        return self.evaluate(z_t, alpha, sigma, cond)[0]

    def evaluate(
        self, z_t: Rows, alpha: PerRow, sigma: PerRow, cond: Cond = None
    ) -> tuple[Prediction, Float[Tensor, "b"]]:
        """Returns the prediction and `log p(z_t)` at that level; one prior call per row.

        At sigma = 0 the posterior is the nearest datum and the log density is infinite or undefined.
        """
        flat = z_t.flatten(1).to(self._data)
        a, s = alpha.to(flat), sigma.to(flat)
        z, log_mass = torch.empty_like(flat), torch.empty(len(flat), dtype=torch.float64, device=flat.device)
        for label, rows in self._groups(cond, len(flat)):
            part = self._slices[label]
            with full_float32():
                z[rows], log_mass[rows] = self._posterior(flat[rows], a[rows], s[rows], part)
            log_mass[rows] -= math.log(part.stop - part.start)
        log_p = log_mass - flat.shape[1] * (0.5 * math.log(2 * math.pi) + s.double().log())
        prediction = Prediction.from_z(z_t, alpha, sigma, z.to(z_t).reshape(z_t.shape))
        return prediction, log_p.to(z_t)

    def sample(self, n: int, rng: Rng, cond: Cond = None) -> Float[Tensor, "n *d"]:
        """Draws n data with replacement, from the given class where there is a condition."""
        index, u = torch.empty(n, dtype=torch.long, device=self.device), rand((n,), rng, self._center)
        for label, rows in self._groups(cond, n):
            part = self._slices[label]
            index[rows] = part.start + (u[rows] * (part.stop - part.start)).long().clamp(max=part.stop - part.start - 1)
        return self._raw[index].reshape(n, *self.shape)

    def _groups(self, cond: Cond, n: int) -> list[tuple[int, Tensor]]:
        labels = positive_condition(cond)
        all_rows = torch.arange(n, device=self.device)
        if labels is None:
            return [(-1, all_rows)]
        if self.labels is None:
            raise ValueError(
                "this data set has no classes: got a cond; pass labels=(n,) when building it, or cond=None"
            )
        labels = check_labels(expand(labels.to(self.device), n), self.labels)
        return [(int(label), (labels == label).nonzero()[:, 0]) for label in labels.unique()]

    def _posterior(self, z_t: Tensor, alpha: Tensor, sigma: Tensor, part: slice) -> tuple[Tensor, Tensor]:
        """Returns the mean and `log sum_i exp(-|z_t - alpha z_i|^2 / (2 sigma^2))`, online over chunks of data."""
        tiny = torch.finfo(torch.float32).tiny
        a = alpha.double()[:, None]
        exact = z_t.double() - a * self._center.double()  # (b, d): the noised point, centred as the data are
        y, y_squares = exact.to(z_t), exact.square().sum(1, keepdim=True)
        scale = 0.5 / sigma.double().square().clamp(min=tiny)[:, None]
        # round-off of a logit: of the matrix product, of y and of the centred data; y_squares and squares are exact
        radius = a * self._radius
        noise = 8 * torch.finfo(z_t.dtype).eps * scale * radius * (y_squares.sqrt() + radius)
        rough = (noise > _NOISE_ALLOWED)[:, 0].nonzero()[:, 0]
        by_product, by_square, offset = 2 * a * scale, a * a * scale, y_squares * scale
        best = torch.full_like(a, -math.inf)
        mass, total = torch.zeros_like(a), torch.zeros_like(z_t)
        chunk = self._chunk or (_CPU_CHUNK if z_t.is_cpu else max(_CPU_CHUNK, _LOGITS // len(z_t)))
        for i in range(part.start, part.stop, chunk):
            data = self._data[i : min(i + chunk, part.stop)]
            logits = (y @ data.T).double().mul_(by_product)
            logits.addcmul_(by_square, self._squares[i : i + len(data)], value=-1)
            if len(rough):
                coarse = logits[rough] - offset[rough]
                raw = self._raw[i : i + len(data)]
                rest = (best[rough], z_t[rough], a[rough], raw, scale[rough], noise[rough])
                logits[rough] = self._refined(coarse, *rest)
            new = torch.maximum(best, logits.amax(1, keepdim=True))
            weights = (logits - new).to(z_t).exp()
            keep = (best - new).exp()
            mass = mass * keep + weights.sum(1, keepdim=True, dtype=torch.float64)
            total = torch.addmm(total * keep.to(total), weights, data)
            best = new
        best = best - offset.index_fill(0, rough, 0.0)
        return total / mass.to(total) + self._center, (best + mass.log())[:, 0]

    def _refined(
        self, coarse: Tensor, best: Tensor, z_t: Tensor, a: Tensor, data: Tensor, scale: Tensor, noise: Tensor
    ) -> Tensor:
        """Returns exact logits of the data that can matter, and -inf for the others."""
        least = torch.maximum(best, coarse.amax(1, keepdim=True) - noise) - _NEGLIGIBLE - noise
        exact = torch.full_like(coarse, -math.inf)
        for pairs in (coarse >= least).nonzero().split(rows_per_block(data)):
            row, column = pairs.unbind(1)
            distance = data[column].double().mul_(a[row]).sub_(z_t[row]).square_().sum(1)
            exact[row, column] = -distance * scale[row, 0]
        return exact
