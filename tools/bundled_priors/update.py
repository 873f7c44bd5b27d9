"""One optimizer step of a stage: gradient, clipping, optimizers, moving average; the same on CPU and CUDA."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tools.bundled_priors.ema import decay_at, update_average
from tools.bundled_priors.example_pool import Examples
from tools.bundled_priors.graph_step import GraphStep
from tools.bundled_priors.muon import DECAY
from tools.bundled_priors.threaded_gradient import accumulate_gradient

_MAX_GRADIENT_NORM = 1.0


class Update:
    """Optimizer step of a stage.

    On a CPU the gradient is computed by threads, on CUDA the whole step is one graph. Learning rate and share of the
    average are tensors, which are filled before every step.

    Args:
        prepare: inputs of the loss from examples, without gradient or random draws.
        loss: mean loss of inputs.
        groups: all trained parameters, in groups that are clipped together.
        optimizers: optimizers that together hold the parameters.
        averages: moving averages of parameters, (averages, parameters).
        decay: final decay of the averages.
        device: device of the parameters.
    """

    def __init__(
        self,
        prepare: Callable[[Examples], Examples],
        loss: Callable[[Examples], Tensor],
        groups: Sequence[Sequence[nn.Parameter]],
        optimizers: Sequence[torch.optim.Optimizer],
        averages: Sequence[tuple[Sequence[Tensor], Sequence[Tensor]]],
        decay: float,
        device: torch.device,
    ) -> None:
        self._prepare, self._loss = prepare, loss
        self._groups = [list(group) for group in groups]
        self._parameters = [parameter for group in self._groups for parameter in group]
        self._optimizers, self._averages, self._decay = optimizers, averages, decay
        self._lr, self._share = torch.zeros((), device=device), torch.zeros((), device=device)
        self._graph = GraphStep(self._work, device) if device.type == "cuda" else None
        self.bind(0.0)

    @property
    def captured(self) -> bool:
        """Whether steps are replays of a CUDA graph."""
        return self._graph is not None and self._graph.captured

    @property
    def graph_failure(self) -> str | None:
        """Reason why the step is not a CUDA graph, or None."""
        return None if self._graph is None else self._graph.failure

    def bind(self, lr: float) -> None:
        """Gives the optimizers the learning rate of this update, after they were made or restored."""
        self._lr.fill_(lr)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self._lr
                group["capturable"] = self._graph is not None

    def __call__(self, examples: Examples, lr: float, step: int) -> Tensor:
        """Takes a step and returns the mean loss, valid until the next step.

        Args:
            examples: tensors with leading axis b.
            lr: learning rate.
            step: number of steps before this one.
        """
        self._lr.fill_(lr)
        self._share.fill_(1 - decay_at(step, self._decay))
        if self._graph is not None:
            with torch.no_grad():
                inputs = self._prepare(examples)
            return self._graph(inputs)
        loss = accumulate_gradient(examples, self._prepared_loss, self._parameters)
        self._apply()
        return torch.tensor(loss)

    def _prepared_loss(self, examples: Examples) -> Tensor:
        with torch.no_grad():
            inputs = self._prepare(examples)
        return self._loss(inputs)

    def _work(self, inputs: Examples) -> Tensor:
        for parameter in self._parameters:
            parameter.grad = None
        loss = self._loss(inputs)
        loss.backward()
        self._apply()
        return loss.detach()

    def _apply(self) -> None:
        for group in self._groups:
            nn.utils.clip_grad_norm_(group, _MAX_GRADIENT_NORM)
        for optimizer in self._optimizers:
            optimizer.step()
        for average, weights in self._averages:
            update_average(average, weights, self._share)


def adamw(parameters: Sequence[Tensor]) -> torch.optim.AdamW:
    """AdamW with the settings of all stages; `Update` sets its learning rate."""
    device = parameters[0].device
    return torch.optim.AdamW(
        parameters,
        lr=torch.zeros((), device=device),
        betas=(0.9, 0.99),
        weight_decay=DECAY,
        fused=True,
        capturable=device.type == "cuda",
    )


def mixed_precision(device: torch.device) -> torch.autocast:
    """Context of mixed precision, bfloat16 on hardware whose kernels support it.

    On CUDA no casts are cached: a graph would keep those of its capture.
    """
    mkldnn = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast(
        device.type,
        torch.bfloat16,
        enabled=device.type != "cpu" or mkldnn,
        cache_enabled=device.type != "cuda",
    )


@contextmanager
def fast_kernels(device: torch.device) -> Generator[None]:
    """TF32 products and the fastest convolutions of a CUDA device while open."""
    benchmark, precision = torch.backends.cudnn.benchmark, torch.get_float32_matmul_precision()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = benchmark
        torch.set_float32_matmul_precision(precision)
