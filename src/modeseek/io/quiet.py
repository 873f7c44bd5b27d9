"""Libraries that load and run models: their progress bars are off, and their warnings become remarks."""

from __future__ import annotations

import logging
import re
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module

from modeseek.io.errors import one_line
from modeseek.io.remarks import add_remark

_ROUTINE = tuple(
    map(
        re.compile,
        (
            r"requires torchvision \(not installed\); falling back",  # of image processors, which are not used
            r"have disabled the safety checker",  # left out on purpose
            r"No LoRA keys associated to \w+ found with the prefix",  # its fit is checked part by part
            r"torch_dtype. is deprecated",
            r"\{'block_out_channels': .*\} were passed to AutoencoderTiny",  # which writes them itself
            r"should be kept in float32: \[\]",  # none
            r"Token indices sequence length is longer than",  # that it was cut is a warning of its own
        ),
    )
)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@contextmanager
def silence(*libraries: str, reported: Sequence[str] = ()) -> Generator[None]:
    """Context without progress bars and routine messages of diffusers or transformers.

    All other warnings, such as of weights that are missing, settings that are ignored or texts that are cut, become
    remarks of one line when the block ends. Where it raises, the exception speaks instead.

    Args:
        libraries: names of the libraries.
        reported: regular expressions of warnings whose facts the caller reports itself.
    """
    hidden = (*_ROUTINE, *map(re.compile, reported))
    collectors: list[_Collector] = []
    with ExitStack() as restored:
        for library in libraries:
            logs = import_module(f"{library}.utils.logging")
            if logs.is_progress_bar_enabled():
                restored.callback(logs.enable_progress_bar)
            logs.disable_progress_bar()
            logs.get_logger()  # makes the handler of the library
            collectors.append(_Collector(hidden))
            for handler in logging.getLogger(library).handlers:
                handler.addFilter(collectors[-1])
                restored.callback(handler.removeFilter, collectors[-1])
        yield
    for line in dict.fromkeys(line for collector in collectors for line in collector.lines):
        add_remark(line)


class _Collector(logging.Filter):
    """Filter of a library's handler that keeps its warnings instead of printing them.

    Attributes:
        lines: the warnings, one line each.
    """

    def __init__(self, hidden: Sequence[re.Pattern[str]]) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._hidden = hidden

    def filter(self, record: logging.LogRecord) -> bool:
        line = one_line(_COLOURS.sub("", record.getMessage()))
        if record.levelno >= logging.WARNING and not any(pattern.search(line) for pattern in self._hidden):
            self.lines.append(f"{record.name.partition('.')[0]}: {line}")
        return False
