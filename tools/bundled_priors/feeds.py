"""Feeds of training examples: a pool that grows by rendered chunks, in this process or in others."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import count
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.io.progress import Progress
from tools.bundled_priors.example_pool import ExamplePool, Examples
from tools.bundled_priors.recipe import PoolRecipe

Encode = Callable[[Float[Tensor, "n 3 s s"], Int[Tensor, "n l"]], Examples]  # images and token ids on the device
_WAITING = 64  # largest number of rendered chunks that wait for the trainer
_PATIENCE = 0.2  # seconds between two looks at whether to stop


@runtime_checkable
class Feed(Protocol):
    """Source of a stage's examples on the training device."""

    def fill(self) -> Generator[Progress, None, None]:
        """Prepares what the first step needs."""
        ...

    def draw(self, n: int, step: int, rng: torch.Generator) -> Examples:
        """Draws n examples for a step; the generator is on the training device."""
        ...

    def state(self) -> dict[str, Any]:
        """State for a checkpoint."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Restores the feed from its `state`, before `fill`."""
        ...

    def close(self) -> None:
        """Ends what runs beside the training."""
        ...


@runtime_checkable
class ChunkMaker(Protocol):
    """Maker of numbered chunks of examples, picklable; what a chunk holds depends on its number alone."""

    def __getitem__(self, number: int) -> Any: ...


@runtime_checkable
class ChunkStream(Protocol):
    """Chunks in the order of their numbers."""

    def wait(self, number: int) -> Any:
        """The chunk of the next number."""
        ...

    def ready(self, number: int) -> Iterator[Any]:
        """Chunks from the next number on that are due."""
        ...

    def close(self) -> None:
        """Ends the makers."""
        ...


@dataclass(frozen=True)
class InProcess:
    """Chunks made in this process, one whenever they are due."""

    maker: ChunkMaker

    def wait(self, number: int) -> Any:
        return self.maker[number]

    def ready(self, number: int) -> Iterator[Any]:
        yield self.maker[number]

    def close(self) -> None:
        pass


class InWorkers:
    """Chunks made by worker processes as fast as they can; all that have arrived are due.

    Args:
        maker: maker of chunks.
        workers: number of processes.
    """

    def __init__(self, maker: ChunkMaker, workers: int) -> None:
        self._maker, self._workers = maker, workers
        self._queue: Queue[Any] = Queue(_WAITING)
        self._stop = Event()
        self._thread: Thread | None = None

    def wait(self, number: int) -> Any:
        return self._checked(self._started(number).get())

    def ready(self, number: int) -> Iterator[Any]:
        queue = self._started(number)
        while True:
            try:
                item = queue.get_nowait()
            except Empty:
                return
            yield self._checked(item)

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _started(self, number: int) -> Queue[Any]:
        if self._thread is None:
            self._thread = Thread(target=self._receive, args=(number,), daemon=True)
            self._thread.start()
        return self._queue

    def _receive(self, number: int) -> None:
        """Moves chunks from the workers into the queue, in the order of their numbers, until `close`."""
        from torch.utils.data import DataLoader

        loader: DataLoader[Any] = DataLoader(
            self._maker,  # pyright: ignore[reportArgumentType]  # sampled by number, without a length
            batch_size=None,
            sampler=count(number),
            num_workers=self._workers,
            collate_fn=_unchanged,
            multiprocessing_context="spawn",  # this process has threads, and perhaps a CUDA context
            worker_init_fn=_ignore_interrupts,
            generator=torch.Generator(),  # otherwise the loader draws from the global one
        )
        try:
            for chunk in loader:
                self._put(_copied(chunk))
                if self._stop.is_set():
                    return
        except Exception as error:  # raised by the trainer, which takes it from the queue
            self._put(error)

    def _put(self, item: Any) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=_PATIENCE)
            except Full:
                continue
            return

    @staticmethod
    def _checked(item: Any) -> Any:
        if isinstance(item, Exception):
            raise item
        return item


class PooledFeed:
    """Pool that grows by chunks, the next ones after every `recipe.every` steps.

    Args:
        chunks: chunks by number.
        encode: examples for the pool from a chunk.
        recipe: sizes of the pool and its chunks; the newest `recipe.size` examples are in a checkpoint.
        capacity: maximum number of examples in memory.
        device: training device, which holds the pool.
    """

    def __init__(
        self,
        chunks: ChunkStream,
        encode: Callable[[Any], Examples],
        recipe: PoolRecipe,
        capacity: int,
        device: torch.device,
    ) -> None:
        self._chunks, self._encode, self._recipe = chunks, encode, recipe
        self.pool = ExamplePool(capacity, device)
        self._n_chunks = 0

    def fill(self) -> Generator[Progress, None, None]:
        first = min(self._recipe.first, self._recipe.size)
        while len(self.pool) < first:
            self._add(self._chunks.wait(self._n_chunks))
            yield Progress("rendering", min(len(self.pool), first), first)

    def draw(self, n: int, step: int, rng: torch.Generator) -> Examples:
        if step and step % self._recipe.every == 0:
            for chunk in self._chunks.ready(self._n_chunks):
                self._add(chunk)
        return self.pool.draw(n, rng)

    def state(self) -> dict[str, Any]:
        return {"chunks": self._n_chunks, "pool": self.pool.state(self._recipe.size)}

    def restore(self, state: dict[str, Any]) -> None:
        self._n_chunks = state["chunks"]
        self.pool.restore(state["pool"])

    def close(self) -> None:
        self._chunks.close()

    def _add(self, chunk: Any) -> None:
        self.pool.add(self._encode(chunk))
        self._n_chunks += 1


def _unchanged(chunk: Any) -> Any:
    return chunk


def _ignore_interrupts(worker: int) -> None:
    """Leaves Ctrl-C to the trainer, which saves and then ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _copied(chunk: tuple[Tensor, list[str]]) -> tuple[Tensor, list[str]]:
    """The chunk outside the memory that is shared with its worker, which is small on some machines."""
    image, captions = chunk
    return image.clone(), captions
