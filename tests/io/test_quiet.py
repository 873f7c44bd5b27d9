"""Messages of libraries: what tells of wrong numbers is never hidden; progress bars and routine messages are."""

from __future__ import annotations

import logging
import warnings

import pytest
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from modeseek.io.quiet import silence
from modeseek.io.remarks import RemarkWarning, collect_remarks

LIBRARIES = {"diffusers": diffusers_logging, "transformers": transformers_logging}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Some weights of X were not initialized from the model checkpoint and are newly initialized: ['a']", True),
        ("X LOAD REPORT\n\x1b[1mKey | Status\x1b[0m\na | MISSING\n", True),
        ("Some weights of the model checkpoint were not used when initializing X: ['conv_out.bias']", True),
        ("The config attributes {'a': 1} were passed to X, but are not expected and will be ignored", True),
        ("Keyword arguments {'a': 1} are not expected by X and will be ignored.", True),
        ("You are using a model of type a to instantiate a model of type b.", True),
        ("The following part of your input was truncated because CLIP can only handle 77 tokens: ['on a hill']", True),
        ("upcast_vae is deprecated: the VAE overflows in float16 and its output would be NaN", True),
        ("The module was loaded in torch.float32 instead of torch.float16", True),
        ("Something unforeseen", True),
        ("`CLIPImageProcessor` requires torchvision (not installed); falling back to `CLIPImageProcessorPil`", False),
        ("You have disabled the safety checker for <class 'X'> by passing `safety_checker=None`.", False),
        ("No LoRA keys associated to CLIPTextModel found with the prefix='text_encoder'.", False),
        ("Token indices sequence length is longer than the specified maximum sequence length for this model", False),
    ],
)
def test_what_is_shown(library: str, message: str, shown: bool, capsys: pytest.CaptureFixture[str]) -> None:
    logger = LIBRARIES[library].get_logger(f"{library}.models.x")
    with warnings.catch_warnings(), collect_remarks() as remarks:
        warnings.simplefilter("ignore", RemarkWarning)
        with silence("diffusers", "transformers"):
            logger.warning(message)
            logger.warning(message)
    line = " ".join(message.replace("\x1b[1m", "").replace("\x1b[0m", "").split())
    assert remarks == ([f"{library}: {line}"] if shown else [])
    assert capsys.readouterr().err == ""  # not a second time, by the library


def test_an_error_speaks_for_itself() -> None:
    logger = transformers_logging.get_logger("transformers.x")
    with collect_remarks() as remarks, pytest.raises(ValueError, match="broken"), silence("transformers"):
        logger.warning("weights are missing")
        raise ValueError("broken")
    assert remarks == []


def test_what_the_caller_reports_is_left_to_it() -> None:
    logger = diffusers_logging.get_logger("diffusers.x")
    with collect_remarks() as remarks, silence("diffusers", reported=[r"was truncated"]):
        logger.warning("your input was truncated")
    assert remarks == []


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("library", LIBRARIES)
def test_the_library_is_as_before_after(library: str, on: bool, capsys: pytest.CaptureFixture[str]) -> None:
    logs = LIBRARIES[library]
    logger, handlers = logs.get_logger(f"{library}.x"), logging.getLogger(library).handlers
    before = (logs.get_verbosity(), logs.is_progress_bar_enabled())
    try:
        logs.set_verbosity_info()
        (logs.enable_progress_bar if on else logs.disable_progress_bar)()
        filters = [list(handler.filters) for handler in handlers]
        with pytest.raises(KeyError), silence(library):
            assert not logs.is_progress_bar_enabled()
            logger.info("a fact about nothing")
            raise KeyError
        assert capsys.readouterr().err == ""
        assert (logs.get_verbosity(), logs.is_progress_bar_enabled()) == (logs.INFO, on)
        assert [list(handler.filters) for handler in handlers] == filters
    finally:
        logs.set_verbosity(before[0])
        (logs.enable_progress_bar if before[1] else logs.disable_progress_bar)()
