"""Error messages of invalid configurations: one line with the dotted key, the value and a hint."""

from __future__ import annotations

import pytest
from cases import one_line

from modeseek.config.config import Config, read_config
from modeseek.config.yaml import read_yaml

LEAST = {"prior": "problem", "method": "sds"}


def read(text: str) -> Config:
    return read_config(read_yaml(text, "config.yaml"))


def bad(text: str) -> str:
    """Error message of a configuration with one mistake, beside a valid prior and method."""
    plain = read_yaml(text, "config.yaml")
    with pytest.raises(ValueError) as caught:
        read_config(LEAST | plain if isinstance(plain, dict) else plain)
    return one_line(caught.value)


# Each row: the YAML text, then parts of the error message: dotted key, value, hint.
MISTAKES: dict[str, tuple[str, ...]] = {
    "nothing": ("~", "config must hold settings, one per line", "try method: msd"),
    "a word": ("msd", "config must hold settings"),
    "a list": ("[1, 2]", "config must hold settings"),
    "another verb": ("verb: toy", "config must be for the verb run, got 'toy'", "rerun the command"),
    "a verb that is none": ("verb: [1]", "config must be for the verb run", "got '[1]'"),
    "unknown setting": ("stepz: 3", "config has no setting 'stepz'", "did you mean steps?", "known are prior, method"),
    "integer key": ("1: 3", "config has no setting 1", "known are"),
    "no key": ("~: 3", "config has no setting None"),
    "no method": ("{method: ~}", "config.method must be a method name", "got None", "known are msd, sds, sjc"),
    "method in capitals": ("method: MSD", "config.method: unknown method 'MSD'", "did you mean msd?"),
    "method misspelt": ("method: sdss", "config.method: unknown method 'sdss'", "did you mean sds?"),
    "method far off": ("method: zzz", "unknown method 'zzz'", "known are msd, sds, sjc"),
    "method without what it needs": (
        "method: msd",
        "config.method.msd needs bandwidth",
        "set config.method.msd.band",
    ),
    "two methods": ("method: {msd: , sds: }", "config.method must be a method name", "got {'msd': None, 'sds': None}"),
    "method is a number": ("method: 3", "config.method must be a method name", "got 3"),
    "method is a list": ("method: [sds]", "config.method must be a method name", "got ['sds']"),
    "settings beside the name": (
        "method: {name: msd, bandwidth: 0.1}",
        "config.method must be a method name, or a name with its settings",
    ),
    "setting of a method": ("method: {sds: {time: uniform}}", "config.method.sds has no setting 'time'", "mean times?"),
    "settings as a list": ("method: {sds: [1]}", "config.method.sds must hold settings", "got [1]", "name: value"),
    "settings as a number": ("method: {sds: 0}", "config.method.sds must hold settings", "got 0"),
    "bandwidth is a list": ("method: {msd: {bandwidth: [0.1]}}", "config.method.msd.bandwidth must be a number"),
    "number as bandwidth below 0": (
        "method: {msd: {bandwidth: -1}}",
        "config.method.msd: h must be positive and finite, got -1.0",
    ),
    "bandwidth misspelt": (
        "method: {msd: {bandwidth: {geometrc: {start: 1, end: 0.1}}}}",
        "config.method.msd.bandwidth: unknown bandwidth 'geometrc'",
        "did you mean geometric?",
    ),
    "bandwidth is no number": (
        "method: {msd: {bandwidth: {fixed: {h: wide}}}}",
        "config.method.msd.bandwidth.fixed.h must be a number",
        "got 'wide'",
    ),
    "bandwidth below 0": (
        "method: {msd: {bandwidth: {fixed: {h: -1}}}}",
        "config.method.msd.bandwidth.fixed: h must be positive and finite",
        "got -1.0",
    ),
    "bandwidth without an end": (
        "method: {msd: {bandwidth: {geometric: {start: 1}}}}",
        "config.method.msd.bandwidth.geometric needs end",
    ),
    "camera in a file": (
        "method: {vsd: {camera: front}}",
        "config.method.vsd.camera: unknown camera 'front'; known are pose",
    ),
    "jitter misspelt": (
        "method: {msd: {bandwidth: {fixed: {h: 1}}, jitter: fadin}}",
        "unknown varying",
        "mean fading?",
    ),
    "jitter too large": (
        "method: {msd: {bandwidth: {fixed: {h: 1}}, jitter: 2}}",
        "config.method.msd: MSD jitter",
        "2.0",
    ),
    "jitter is true": (
        "method: {msd: {bandwidth: {fixed: {h: 1}}, jitter: yes}}",
        "msd.jitter must be a number",
        "got True",
    ),
    "jitter is a list": (
        "method: {msd: {bandwidth: {fixed: {h: 1}}, jitter: [1]}}",
        "msd.jitter must be a number",
        "got [1]",
    ),
    "weight with settings": ("method: {sds: {weight: {uniform: {a: 1}}}}", "sds.weight.uniform has no settings, got"),
    "weight with a number": ("method: {sds: {weight: {uniform: 0}}}", "sds.weight.uniform has no settings, got 0"),
    "weight with underscores": ("method: {sds: {weight: sigma_squared}}", "unknown weight", "did you mean sigma-sq"),
    "estimator": (
        "method: {msd: {bandwidth: {fixed: {h: 1}}, estimator: denoise}}",
        "config.method.msd.estimator: unknown value 'denoise'",
        "did you mean denoiser? known are denoiser, product, kernel-score",
    ),
    "sampler": ("method: {msd: {bandwidth: {fixed: {h: 1}}, sampler: dpmpp_2m}}", "msd.sampler", "mean dpmpp-2m?"),
    "interval too long": (
        "method: {msd: {bandwidth: {fixed: {h: 1}}, interval: [0, 0.5, 1]}}",
        "config.method.msd.interval must have 2 values, got 3; try [a, b]",
    ),
    "interval is a number": (
        "method: {msd: {bandwidth: {fixed: {h: 1}}, interval: 1}}",
        "config.method.msd.interval must be a list, got 1",
    ),
    "interval holds a word": (
        "method: {msd: {bandwidth: {fixed: {h: 1}}, interval: [0, b]}}",
        "config.method.msd.interval[1] must be a number, got 'b'",
    ),
    "antithetic noise": (
        "method: {msd: {bandwidth: {fixed: {h: 1}}, noise: antithetic, samples: 3}}",
        "config.method.msd: MSD samples must be even with antithetic noise, got 3; try 4",
    ),
    "times the wrong way": (
        "method: {sds: {times: {uniform: {low: 0.9, high: 0.1}}}}",
        "config.method.sds.times.uniform: Uniform needs 0 <= low <= high <= 1",
    ),
    "prior unknown": ("prior: fractal", "config.prior: unknown prior 'fractal'", "known are problem, trained, samples"),
    "problem unknown": (
        "prior: {problem: {name: rings}}",
        "config.prior.problem.name: unknown value 'rings'",
        "mean ring?",
    ),
    "problem is true": (
        "prior: {problem: {name: yes}}",
        "config.prior.problem.name: unknown value True",
        "known are fractal",
    ),
    "problem is huge": (
        f"prior: {{problem: {{name: 0x{'f' * 200}}}}}",
        "config.prior.problem.name: unknown value",
        "known are",
    ),
    "path is a number": ("prior: {trained: {path: 7}}", "config.prior.trained.path must be a path, got 7"),
    "path is missing": ("prior: trained", "config.prior.trained needs path"),
    "path holds NUL": ('prior: {trained: {path: "a\\0b"}}', "config.prior.trained.path must be a path"),
    "schedule": ("prior: {samples: {path: a, schedule: {vp: {beta_min: 5, beta_max: 1}}}}", "samples.schedule.vp: VP"),
    "generator": ("generator: point", "config.generator: unknown generator 'point'", "did you mean points?"),
    "start": ("generator: {points: {start: {grid: {sides: 3}}}}", "points.start.grid has no setting 'sides'", "side?"),
    "start too small": ("generator: {points: {start: {noise: {n: 0}}}}", "start.noise: noise needs n >= 1", "got 0"),
    "no points": ("generator: {points: {start: {grid: {side: 0}}}}", "start.grid: grid needs side >= 1, got 0"),
    "spread is infinite": (
        "generator: {points: {start: {noise: {spread: .inf}}}}",
        "start.noise: noise",
        "got 100 and",
    ),
    "gray": ("generator: {pixels: {gray: 2}}", "config.generator.pixels: pixels need", "gray in [0, 1]"),
    "optimizer": ("optimizer: {adan: {lr: 1}}", "config.optimizer: unknown optimizer 'adan'", "did you mean adam?"),
    "rate": ("optimizer: {adam: {lr: 0}}", "config.optimizer.adam: Adam needs a learning rate above 0, got 0.0"),
    "rate is no number": ("optimizer: {sgd: {lr: .nan}}", "config.optimizer.sgd: SGD needs a learning rate", "nan"),
    "betas": ("optimizer: {adam: {betas: [1, 1]}}", "config.optimizer.adam: Adam needs betas in [0, 1)"),
    "nesterov": ("optimizer: {sgd: {nesterov: yes}}", "config.optimizer.sgd: SGD needs momentum", "try 0.9"),
    "nesterov is 1": ("optimizer: {sgd: {nesterov: 1}}", "sgd.nesterov must be true or false, got 1"),
    "name is a number": ("name: 3", "config.name must be text (quoted if YAML parses it otherwise), got 3"),
    "name is no": ("name: no", "config.name must be text (quoted if YAML parses it otherwise), got False"),
    "name of two lines": ('name: "a\\nb"', "config: name must be printable text on one line, got 'a\\nb'"),
    "name with NUL": ('name: "a\\0b"', "config.name must be text", "got 'a\\x00b'"),
    "steps": ("steps: many", "config.steps must be an integer, got 'many'"),
    "steps with a fraction": ("steps: 1.5", "config.steps must be an integer, got 1.5"),
    "steps as 1e3": ("steps: 1e3", "config.steps must be an integer, got 1000.0"),
    "steps are true": ("steps: true", "config.steps must be an integer, got True"),
    "steps are nothing": ("steps: ~", "config.steps must be an integer, got None"),
    "shift below 0": ("{shift: -1, generator: pixels}", "config: shift must be at least 0, got -1; 0 is none"),
    "shift with a fraction": ("{shift: 1.5, generator: pixels}", "config.shift must be an integer, got 1.5"),
    "shift of latents": (
        "{shift: 2, generator: latent}",
        "shift must be 0",
        "renders no images, got 2",
        "pixels or field",
    ),
    "shift of points": ("{shift: 2}", "config: shift must be 0 for a generator in the prior's own space"),
    "no steps": ("steps: 0", "config: steps must be 1 to 1e9, got 0"),
    "steps beyond numbers": (f"steps: {2**63}", "config.steps must be an integer, got 9223372036854775808"),
    "seed": ("seed: -1", "config: seed must be in [0, 2^63), got -1"),
    "label": ("label: one", "config.label must be an integer, got 'one'"),
    "scale": ("scale: .inf", "config: scale must be finite, got inf; 1 is no guidance"),
    "scale is no number": ("scale: .nan", "config: scale must be finite, got nan"),
    "device": ("device: gpu", "config: device must be auto, cpu, cuda, cuda:1 or mps, got 'gpu'"),
    "device without data": ("device: meta", "config: device must be auto, cpu, cuda, cuda:1 or mps, got 'meta'"),
    "negative device": ("device: cuda:-1", "config: device must be auto, cpu, cuda, cuda:1 or mps, got 'cuda:-1'"),
    "saving": ("saving: {keep: 1}", "config.saving: saving needs", "keep >= 2", "keep=1"),
    "saving never": ("saving: {steps: 0}", "config.saving: saving needs", "steps >= 1 or null"),
    "saving is a number": ("saving: 30", "config.saving must hold settings, one per line, got 30"),
    "saving misspelt": ("saving: {second: 3}", "config.saving has no setting 'second'", "did you mean seconds?"),
    "saving at no time": ("saving: {seconds: .nan}", "config.saving: saving needs seconds >= 0"),
    "guard": ("guard: {patience: 0}", "config.guard: guard needs patience >= 1"),
    "guard share": ("guard: {saturated: 1.5}", "config.guard: guard needs", "shares in [0, 1]"),
    "on_failure": (
        "on_failure: roll-back",
        "config.on_failure: unknown value 'roll-back'",
        "mean rollback? known are stop, roll",
    ),
    "previews": ("previews: 5000", "config: previews must be 0 to 1000, got 5000"),
    "tracker": ("trackers: [wandbb]", "config.trackers[0]: unknown value 'wandbb'", "did you mean wandb?"),
    "tracker alone": ("trackers: wandb", "config.trackers must be a list, got 'wandb'"),
    "no tracker": ("trackers: [~]", "config.trackers[0]: unknown value None", "known are tensorboard, wandb, trackio"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_with_key_value_and_hint(case: str, unchecked: None) -> None:
    text, *parts = MISTAKES[case]
    line = bad(text)
    for part in parts:
        assert part in line
    assert len(line) < 500


def test_what_is_missing(unchecked: None) -> None:
    for text, message in (
        ("method: sds", "config needs prior, got none; set config.prior"),
        ("prior: problem", "config needs method, got none; set config.method"),
    ):
        with pytest.raises(ValueError) as caught:
            read(text)
        assert one_line(caught.value) == message


def test_integers_that_python_does_not_print(unchecked: None) -> None:
    huge = 10**5000
    for plain in ({"steps": huge}, {"steps": [huge]}, {huge: 1}, {"method": {huge: 1}}, {"on_failure": huge}):
        with pytest.raises(ValueError, match="config.*a number of thousands of digits") as caught:
            read_config(LEAST | plain)
        one_line(caught.value)
    with pytest.raises(ValueError, match=r"config\.scale must be a number, got a number of thousands"):
        read_config(LEAST | {"scale": huge})
    with pytest.raises(ValueError, match=r"config\.scale must be a number, got 1000000"):
        read_config(LEAST | {"scale": 10**400})


def test_long_values_are_shortened(unchecked: None) -> None:
    for plain in ({"name": ["x" * 10_000]}, {"method": "x" * 10_000}, {"x" * 10_000: 1}, {"trackers": ["y" * 10_000]}):
        with pytest.raises(ValueError) as caught:
            read_config(LEAST | plain)
        assert len(one_line(caught.value)) < 400


def test_the_key_begins_with_the_file_where_it_is_known(unchecked: None) -> None:
    with pytest.raises(ValueError, match=r"^runs/a/config\.yaml\.steps must be an integer"):
        read_config(LEAST | {"steps": "x"}, "runs/a/config.yaml")
