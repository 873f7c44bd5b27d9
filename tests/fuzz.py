"""Hypothesis strategies of configurations, YAML text and file damage, shared by the fuzz tests.

`MODESEEK_SOAK=1` runs the long form of every fuzz test: 2,000 examples instead of 200.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

import modeseek as ms
from modeseek.config.config import CheckpointConfig, Config, GuardConfig
from modeseek.config.generators import PixelsConfig, PointsConfig
from modeseek.config.optimizers import AdamConfig, SGDConfig
from modeseek.config.priors import NetworkPriorConfig, SamplesPriorConfig, ToyPriorConfig
from modeseek.config.starts import FileStart, GridStart, NoiseStart
from modeseek.diffusion.weighting import alpha_sigma, alpha_sigma_squared, sigma_over_alpha, sigma_squared, unit_weight
from modeseek.ramp import Fading, Until

EXAMPLES = 2000 if os.environ.get("MODESEEK_SOAK") == "1" else 200
SECONDS = 20.0  # time limit of one example

soak = settings(max_examples=EXAMPLES)


class Hang(BaseException):
    """Raised when a block exceeds its time limit."""


@contextmanager
def time_limit(seconds: float = SECONDS) -> Iterator[None]:
    """Raises `Hang` when the block takes longer than `seconds`."""

    def ring(*_: Any) -> None:
        raise Hang(f"longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def error_line(function: Callable[[], Any]) -> str | None:
    """One-line error message of a call; None if it succeeds. Only ValueError and OSError are allowed."""
    with time_limit():
        try:
            function()
        except (ValueError, OSError) as error:
            text = str(error)
            assert text and len(text.splitlines()) == 1 and len(text) < 2000, repr(text)
            return text
    return None


# Configurations.

shares = st.floats(0, 1)
_positive = st.floats(1e-9, 1e9)
_finite = st.floats(allow_nan=False, allow_infinity=False)
_paths = st.text(st.characters(exclude_characters="\0"), max_size=20).map(Path)
_names = st.text(max_size=20).filter(str.isprintable)
_below_one = st.floats(0, 1, exclude_max=True)


def _ordered(low: float, high: float) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(low, high), min_size=2, max_size=2, unique=True).map(sorted)


schedules = st.one_of(
    st.builds(
        lambda ends, spacing: ms.VP(*ends, spacing), _ordered(1e-3, 100), st.sampled_from(["linear", "scaled-linear"])
    ),
    st.builds(ms.schedules.Cosine, shift=_finite),
    st.builds(lambda ends, rho: ms.VE(*ends, rho), _ordered(1e-4, 1e4), _positive),
    st.builds(ms.Flow, shift=_positive),
)
times = st.one_of(
    st.lists(shares, min_size=2, max_size=2).map(sorted).map(lambda ends: ms.Uniform(*ends)),
    st.builds(ms.noise_levels.Annealed, start=shares, end=shares, power=_positive),
)
bandwidths = st.one_of(
    st.builds(ms.Fixed, h=_positive),
    st.builds(ms.Geometric, start=_positive, end=_positive, hold=_below_one),
    st.builds(
        ms.Adaptive,
        end=_positive,
        start=st.none() | _positive,
        shrink=st.floats(0, 1, exclude_min=True, exclude_max=True),
        settle=_positive,
        hold=_below_one,
    ),
    st.builds(ms.Along, times=times, end=st.just(0.0) | _positive, hold=_below_one),
)
weights = st.sampled_from([sigma_squared, unit_weight, alpha_sigma, alpha_sigma_squared, sigma_over_alpha])
methods = st.one_of(
    st.builds(
        ms.MSD,
        bandwidth=bandwidths,
        estimator=st.sampled_from(["denoiser", "product", "kernel-score"]),
        steps=st.integers(1, 2**62),
        samples=st.integers(1, 1000).map(lambda n: 2 * n),
        jitter=shares
        | st.builds(Fading, start=shares, until=st.floats(0, 1, exclude_min=True))
        | st.builds(Until, until=shares, start=shares, end=shares),
        noise=st.sampled_from(["independent", "antithetic", "common"]),
        sampler=st.sampled_from([ms.ddim, ms.heun, ms.dpmpp_2m]),
        interval=st.tuples(shares, shares),
        noise_scale=st.floats(allow_nan=False),
        tol=st.floats(allow_nan=False),
        weight=weights,
    ),
    st.builds(
        ms.SDS,
        times=times,
        weight=weights,
    ),
    st.builds(
        ms.SDI,
        times=times,
        scale=_finite,
        inversion_scale=_finite,
        inversion_steps=st.integers(1, 10**6),
        inversion_eta=shares,
    ),
)
priors = st.one_of(
    st.builds(ToyPriorConfig, name=st.sampled_from(["fractal", "spiral", "pinwheel", "ring", "grid", "digits"])),
    st.builds(NetworkPriorConfig, path=_paths, low=_finite, high=_finite),
    st.builds(SamplesPriorConfig, path=_paths, schedule=schedules),
)
generators = st.one_of(
    st.builds(
        PointsConfig,
        start=st.one_of(
            st.builds(NoiseStart, n=st.integers(1, 10**9), spread=st.floats(0, 1e9)),
            st.builds(GridStart, side=st.integers(1, 10**6)),
            st.builds(FileStart, path=_paths),
        ),
    ),
    st.builds(PixelsConfig, n=st.integers(1, 10**6), gray=shares, spread=st.floats(0, 10)),
)
_inside = st.floats(0, 1, exclude_min=True, exclude_max=True)
optimizers = st.one_of(
    st.builds(AdamConfig, lr=_positive, betas=st.tuples(_below_one, _below_one), eps=_inside, weight_decay=_below_one),
    st.builds(SGDConfig, lr=_positive, momentum=_inside, nesterov=st.booleans()),
)


def _config(method: ms.Method, scale: float, **settings: Any) -> Config:
    """A configuration without guidance of the prior where the method guides."""
    return Config(method=method, scale=1.0 if method.guides else scale, **settings)


configs = st.builds(
    _config,
    prior=priors,
    method=methods,
    generator=generators,
    optimizer=optimizers,
    name=_names,
    steps=st.integers(1, 10**9),
    seed=st.integers(0, 2**63 - 1),
    label=st.none() | st.integers(-(2**40), 2**40),
    scale=_finite,
    device=st.sampled_from(["cpu", "cuda", "cuda:1", "mps"]),
    saving=st.builds(
        CheckpointConfig, seconds=st.floats(0), steps=st.none() | st.integers(1, 10**9), keep=st.integers(2, 10**9)
    ),
    guard=st.builds(
        GuardConfig,
        active=st.booleans(),
        patience=st.integers(1, 10**9),
        grace=shares,
        constant=shares,
        saturated=shares,
    ),
    on_failure=st.sampled_from(["stop", "rollback"]),
    previews=st.integers(0, 1000),
    trackers=st.lists(st.sampled_from(["tensorboard", "wandb", "trackio"]), max_size=3).map(tuple),
)

# Plain data, and text that is almost YAML.

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(allow_nan=False),
    st.text(),
    st.sampled_from(["msd", "ring", "0.1", "1e-3", "yes", "null", "2020-01-01", "1:30", "0x1F", "~", "=", "<<", "- a"]),
)
plain_data = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.integers() | st.booleans(), inner)
    ),
    max_leaves=12,
)
_words = st.sampled_from(
    ["msd", "sds", "sdi", "fixed", "ring", "noise", "adam", "heun", "uniform", "vp", "h", "lr", ""]
)
odd_values = (
    plain_data
    | _words
    | st.dictionaries(_words, plain_data | _words, max_size=2)
    | st.sampled_from([-1, 0, 1e999, "1e3"])
)
_SETTINGS = ["prior", "method", "generator", "optimizer", "name", "steps", "seed", "label", "scale", "device", "verb"]
_SETTINGS += ["saving", "guard", "on_failure", "previews", "trackers"]
settings_like = st.dictionaries(st.sampled_from(_SETTINGS) | st.text(max_size=5), plain_data, max_size=6)
_MARKS = ["&a ", "*a", "!!python/object:os.system ", "[", "{", "]", "}", ": ", "? ", "- ", "\n", "\t", "\0", "'", '"']
_MARKS += ["---\n", "...\n", "|\n", ">\n", "#", "<<: ", "%YAML 1.1\n", "\ufeff", "\x85", "1:1:1", "0x", "0b_", "\ud800"]
yaml_fragments = st.sampled_from(_MARKS) | st.text(max_size=6)


def mutated_data(plain: Any) -> st.SearchStrategy[Any]:
    """Plain data with one value at any depth replaced, removed or renamed."""

    def paths(part: Any) -> list[tuple[Any, ...]]:
        pairs = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
        return [path for key, value in pairs for path in ((key,), *((key, *rest) for rest in paths(value)))]

    def mutate(part: Any, path: tuple[Any, ...], how: str, value: Any) -> Any:
        items = dict(part.items() if isinstance(part, dict) else enumerate(part))
        key = path[0]
        if len(path) > 1:
            items[key] = mutate(items[key], path[1:], how, value)
        elif how == "rename":
            items[value if isinstance(value, str | int) else "x"] = items.pop(key)
        elif how == "drop":
            del items[key]
        else:
            items[key] = value
        return items if isinstance(part, dict) else list(items.values())

    mutations = st.sampled_from(["value", "value", "value", "rename", "drop"])
    return st.tuples(st.sampled_from(paths(plain)), mutations, odd_values).map(lambda change: mutate(plain, *change))


def corrupted_text(text: str) -> st.SearchStrategy[str]:
    """Text with a few pieces removed, inserted or doubled."""
    position = st.integers(0, len(text))
    shard = st.one_of(st.just(None), scalars.map(str), _words, yaml_fragments)
    edits = st.lists(st.tuples(position, position, shard), min_size=1, max_size=2)

    def apply(edits: list[tuple[int, int, str | None]]) -> str:
        result = text
        for a, b, shard in edits:
            start, end = min(a, b), min(max(a, b), min(a, b) + 20)
            middle = result[start:end] * 2 if shard is None else shard
            result = result[:start] + middle + result[end:]
        return result

    return edits.map(apply)


# Damage to files.


@st.composite
def file_damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Function that damages bytes: truncation, bit flip, insertion, deletion, replacement."""
    kind = draw(st.sampled_from(["cut", "flip", "put", "drop", "other", "nothing"]))
    where, bit, junk = draw(shares), draw(st.integers(0, 7)), draw(st.binary(max_size=12) | _json_junk)

    def apply(data: bytes) -> bytes:
        at = int(where * max(0, len(data) - 1))
        if kind == "cut":
            return data[:at]
        if kind == "flip" and data:
            return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
        if kind == "put":
            return data[:at] + junk + data[at:]
        if kind == "drop":
            return data[:at] + data[at + 1 + bit :]
        return junk if kind == "other" else b""

    return apply


_json_junk = st.sampled_from(
    [
        b"null",
        b"[]",
        b"{}",
        b"NaN",
        b"1e999",
        b"[" * 5000,
        b'{"a":' * 3000,
        b"9" * 5000,
        b"-1",
        b'"\\ud800"',
        b"\xff\xfe",
        b"\n\n",
        b"true",
    ]
)
