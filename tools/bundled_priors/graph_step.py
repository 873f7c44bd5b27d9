"""Training step as one CUDA graph, so that it is not bound by the launches of its thousands of kernels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from modeseek.io.errors import one_line
from tools.bundled_priors.example_pool import Examples

_EAGER_STEPS = 4  # before the capture: libraries allocate and choose their kernels


class GraphStep:
    """Step of fixed shapes, captured after a few eager steps and replayed from then on.

    The work must draw no random numbers, read nothing back from the device, and change tensors in place only. Where it
    cannot be captured, it runs eagerly, and `failure` has the reason.

    Args:
        work: the whole step on its inputs; returns its loss, a scalar.
        device: CUDA device.

    Attributes:
        captured: whether steps are replays of the graph.
        failure: reason why the capture failed, or None.
    """

    def __init__(self, work: Callable[[Examples], Tensor], device: torch.device) -> None:
        self._work = work
        self._stream = torch.cuda.Stream(device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: Examples = {}
        self._loss: Tensor | None = None
        self._n_steps = 0
        self.failure: str | None = None

    @property
    def captured(self) -> bool:
        return self._graph is not None

    def __call__(self, inputs: Examples) -> Tensor:
        """Takes a step; the returned loss is valid until the next one."""
        self._n_steps += 1
        if self._n_steps == _EAGER_STEPS + 1 and self.failure is None:
            self._capture(inputs)
        if self._graph is None or self._loss is None:
            return self._eager(inputs)
        for name, values in inputs.items():
            self._inputs[name].copy_(values)
        self._graph.replay()
        return self._loss

    def _eager(self, inputs: Examples) -> Tensor:
        """The step on the stream of the capture, which the kernels' workspaces belong to."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            loss = self._work(inputs)
        torch.cuda.current_stream().wait_stream(self._stream)
        return loss

    def _capture(self, inputs: Examples) -> None:
        self._inputs = {name: values.clone() for name, values in inputs.items()}
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        try:
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                self._loss = self._work(self._inputs)
        except RuntimeError as error:
            self.failure, self._loss = one_line(error, 300), None
            torch.cuda.synchronize()
            return
        self._graph = graph
