"""Silence of libraries that log and draw progress bars while they load a model."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from importlib import import_module


@contextmanager
def silence(*libraries: str) -> Generator[None]:
    """Context without progress bars and warnings of these libraries, diffusers or transformers."""
    with ExitStack() as restored:
        for library in libraries:
            logs = import_module(f"{library}.utils.logging")
            restored.callback(logs.set_verbosity, logs.get_verbosity())
            if logs.is_progress_bar_enabled():
                restored.callback(logs.enable_progress_bar)
            logs.set_verbosity_error()
            logs.disable_progress_bar()
        yield
