"""Mistakes in configurations: one line with the place, what was got, and a hint."""

from __future__ import annotations

import pytest
from cases import one_line

from modeseek.config.config import Config, read_config
from modeseek.config.yaml import read_yaml

LEAST = {"prior": "problem", "method": "sds"}


def read(text: str) -> Config:
    return read_config(read_yaml(text, "config.yaml"))


def bad(text: str) -> str:
    """The line with which a configuration is refused, beside a prior and a method that are right."""
    plain = read_yaml(text, "config.yaml")
    with pytest.raises(ValueError) as caught:
        read_config(LEAST | plain if isinstance(plain, dict) else plain)
    return one_line(caught.value)


# Each: what is written, then what the line must name: the place, what was got, and what to do.
MISTAKES: dict[str, tuple[str, ...]] = {
    "nothing": ("~", "config is no configuration", "one a line, such as method: msd"),
    "a word": ("msd", "config is no configuration", "settings are wanted"),
    "a list": ("[1, 2]", "config is no configuration"),
    "another verb": ("verb: toy", "config is for the verb 'toy', not run", "repeat the command"),
    "a verb that is none": ("verb: [1]", "config is for the verb", "not run"),
    "unknown setting": ("stepz: 3", "config has no setting 'stepz'", "did you mean steps?", "known are prior, method"),
    "odd key": ("1: 3", "config has no setting 1", "known are"),
    "no key": ("~: 3", "config has no setting None"),
    "no method": ("{method: ~}", "config.method: a method is a name", "got None", "known are msd, sds, sjc"),
    "method in capitals": ("method: MSD", "config.method: unknown method 'MSD'", "did you mean msd?"),
    "method misspelt": ("method: sdss", "config.method: unknown method 'sdss'", "did you mean sds?"),
    "method far off": ("method: zzz", "unknown method 'zzz'", "known are msd, sds, sjc"),
    "method without what it needs": (
        "method: msd",
        "config.method.msd needs bandwidth",
        "write config.method.msd.band",
    ),
    "two methods": ("method: {msd: , sds: }", "config.method: a method is a name", "got {'msd': None, 'sds': None}"),
    "method is a number": ("method: 3", "config.method: a method is a name", "got 3"),
    "method is a list": ("method: [sds]", "config.method: a method is a name", "got ['sds']"),
    "settings beside the name": (
        "method: {name: msd, bandwidth: 0.1}",
        "config.method: a method is a name, or a name with its settings below",
    ),
    "setting of a method": ("method: {sds: {time: uniform}}", "config.method.sds has no setting 'time'", "mean times?"),
    "settings as a list": ("method: {sds: [1]}", "config.method.sds: settings are wanted", "got [1]", "name: value"),
    "settings as a number": ("method: {sds: 0}", "config.method.sds: settings are wanted", "got 0"),
    "bandwidth is a number": ("method: {msd: {bandwidth: 0.1}}", "config.method.msd.bandwidth: a bandwidth is a name"),
    "bandwidth misspelt": (
        "method: {msd: {bandwidth: {geometrc: {start: 1, end: 0.1}}}}",
        "config.method.msd.bandwidth: unknown bandwidth 'geometrc'",
        "did you mean geometric?",
    ),
    "bandwidth is no number": (
        "method: {msd: {bandwidth: {fixed: {h: wide}}}}",
        "config.method.msd.bandwidth.fixed.h: a number is wanted",
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
        "vsd.camera takes what only Python can say",
        "leave it null",
    ),
    "jitter misspelt": (
        "method: {msd: {bandwidth: {fixed: {h: 1}}, jitter: fadin}}",
        "unknown varying",
        "mean fading?",
    ),
    "jitter too large": ("method: {msd: {bandwidth: {fixed: {h: 1}}, jitter: 2}}", "config.method.msd: jitter", "2.0"),
    "jitter is true": ("method: {msd: {bandwidth: {fixed: {h: 1}}, jitter: yes}}", "msd.jitter: a number", "got True"),
    "jitter is a list": ("method: {msd: {bandwidth: {fixed: {h: 1}}, jitter: [1]}}", "msd.jitter: a number", "got [1]"),
    "weight with settings": ("method: {sds: {weight: {uniform: {a: 1}}}}", "sds.weight.uniform has no settings: got"),
    "weight with a number": ("method: {sds: {weight: {uniform: 0}}}", "sds.weight.uniform has no settings: got 0"),
    "weight with underscores": ("method: {sds: {weight: sigma_squared}}", "unknown weight", "did you mean sigma-sq"),
    "estimator": (
        "method: {msd: {bandwidth: {fixed: {h: 1}}, estimator: denoise}}",
        "config.method.msd.estimator: got 'denoise'",
        "did you mean denoiser? known are denoiser, product, kernel-score",
    ),
    "sampler": ("method: {msd: {bandwidth: {fixed: {h: 1}}, sampler: dpmpp_2m}}", "msd.sampler", "mean dpmpp-2m?"),
    "interval too long": (
        "method: {msd: {bandwidth: {fixed: {h: 1}}, interval: [0, 0.5, 1]}}",
        "config.method.msd.interval: 2 values are wanted: got 3; write [a, b]",
    ),
    "interval is a number": (
        "method: {msd: {bandwidth: {fixed: {h: 1}}, interval: 1}}",
        "config.method.msd.interval: a list is wanted: got 1",
    ),
    "interval holds a word": (
        "method: {msd: {bandwidth: {fixed: {h: 1}}, interval: [0, b]}}",
        "config.method.msd.interval[1]: a number is wanted: got 'b'",
    ),
    "odd pairs": (
        "method: {msd: {bandwidth: {fixed: {h: 1}}, noise: antithetic, samples: 3}}",
        "config.method.msd: antithetic noise comes in pairs: got samples=3; make it even",
    ),
    "times the wrong way": (
        "method: {sds: {times: {uniform: {low: 0.9, high: 0.1}}}}",
        "config.method.sds.times.uniform: Uniform needs 0 <= low <= high <= 1",
    ),
    "prior unknown": ("prior: fractal", "config.prior: unknown prior 'fractal'", "known are problem, trained, samples"),
    "problem unknown": ("prior: {problem: {name: rings}}", "config.prior.problem.name: got 'rings'", "mean ring?"),
    "problem is true": ("prior: {problem: {name: yes}}", "config.prior.problem.name: got True", "known are fractal"),
    "problem is huge": (f"prior: {{problem: {{name: 0x{'f' * 200}}}}}", "config.prior.problem.name: got", "known are"),
    "path is a number": ("prior: {trained: {path: 7}}", "config.prior.trained.path: a path is wanted: got 7"),
    "path is missing": ("prior: trained", "config.prior.trained needs path"),
    "path holds NUL": ('prior: {trained: {path: "a\\0b"}}', "config.prior.trained.path: a path is wanted"),
    "schedule": ("prior: {samples: {path: a, schedule: {vp: {beta_min: 5, beta_max: 1}}}}", "samples.schedule.vp: VP"),
    "generator": ("generator: point", "config.generator: unknown generator 'point'", "did you mean points?"),
    "start": ("generator: {points: {start: {grid: {sides: 3}}}}", "points.start.grid has no setting 'sides'", "side?"),
    "start too small": ("generator: {points: {start: {noise: {n: 0}}}}", "start.noise: noise needs n >= 1", "got 0"),
    "no points": ("generator: {points: {start: {grid: {side: 0}}}}", "start.grid: a grid needs side >= 1: got 0"),
    "spread is infinite": (
        "generator: {points: {start: {noise: {spread: .inf}}}}",
        "start.noise: noise",
        "got 100 and",
    ),
    "gray": ("generator: {pixels: {gray: 2}}", "config.generator.pixels: pixels need", "gray in [0, 1]"),
    "optimizer": ("optimizer: {adan: {lr: 1}}", "config.optimizer: unknown optimizer 'adan'", "did you mean adam?"),
    "rate": ("optimizer: {adam: {lr: 0}}", "config.optimizer.adam: Adam needs a learning rate above 0: got 0.0"),
    "rate is no number": ("optimizer: {sgd: {lr: .nan}}", "config.optimizer.sgd: SGD needs a learning rate", "nan"),
    "betas": ("optimizer: {adam: {betas: [1, 1]}}", "config.optimizer.adam: Adam needs betas in [0, 1)"),
    "nesterov": ("optimizer: {sgd: {nesterov: yes}}", "config.optimizer.sgd: SGD needs momentum", "0.9 is usual"),
    "nesterov is 1": ("optimizer: {sgd: {nesterov: 1}}", "sgd.nesterov: true or false is wanted: got 1"),
    "name is a number": ("name: 3", "config.name: text (in quotes where YAML reads it otherwise) is wanted: got 3"),
    "name is no": ("name: no", "config.name: text (in quotes where YAML reads it otherwise) is wanted: got False"),
    "name of two lines": ('name: "a\\nb"', "config: a name is printable text on one line: got 'a\\nb'"),
    "name with NUL": ('name: "a\\0b"', "config.name: text", "got 'a\\x00b'"),
    "steps": ("steps: many", "config.steps: a whole number is wanted: got 'many'"),
    "steps with a fraction": ("steps: 1.5", "config.steps: a whole number is wanted: got 1.5"),
    "steps as 1e3": ("steps: 1e3", "config.steps: a whole number is wanted: got 1000.0"),
    "steps are true": ("steps: true", "config.steps: a whole number is wanted: got True"),
    "steps are nothing": ("steps: ~", "config.steps: a whole number is wanted: got None"),
    "no steps": ("steps: 0", "config: a run needs 1 to 1e9 steps: got 0"),
    "steps beyond numbers": (f"steps: {2**63}", "config.steps: a whole number is wanted: got 9223372036854775808"),
    "seed": ("seed: -1", "config: a seed lies in [0, 2^63): got -1"),
    "label": ("label: one", "config.label: a whole number is wanted: got 'one'"),
    "scale": ("scale: .inf", "config: a guidance scale is finite: got inf; 1 is none"),
    "scale is no number": ("scale: .nan", "config: a guidance scale is finite: got nan"),
    "device": ("device: gpu", "config: unknown device 'gpu': write cpu, cuda, cuda:1 or mps"),
    "device without data": ("device: meta", "config: no run works on the device 'meta': write cpu"),
    "device of nobody": ("device: cuda:-1", "config: unknown device 'cuda:-1'"),
    "saving": ("saving: {keep: 1}", "config.saving: saving needs", "keep >= 2", "keep=1"),
    "saving never": ("saving: {steps: 0}", "config.saving: saving needs", "steps >= 1 or null"),
    "saving is a number": ("saving: 30", "config.saving: settings are wanted, one a line: got 30"),
    "saving misspelt": ("saving: {second: 3}", "config.saving has no setting 'second'", "did you mean seconds?"),
    "saving at no time": ("saving: {seconds: .nan}", "config.saving: saving needs seconds >= 0"),
    "guard": ("guard: {patience: 0}", "config.guard: a guard needs patience >= 1"),
    "guard share": ("guard: {saturated: 1.5}", "config.guard: a guard needs", "shares in [0, 1]"),
    "on_failure": (
        "on_failure: roll-back",
        "config.on_failure: got 'roll-back'",
        "mean rollback? known are stop, roll",
    ),
    "previews": ("previews: 5000", "config: previews are 0 to 1000 pictures: got 5000"),
    "tracker": ("trackers: [wandbb]", "config.trackers[0]: got 'wandbb'", "did you mean wandb?"),
    "tracker alone": ("trackers: wandb", "config.trackers: a list is wanted: got 'wandb'"),
    "no tracker": ("trackers: [~]", "config.trackers[0]: got None", "known are tensorboard, wandb, trackio"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_with_its_place_what_was_got_and_a_hint(case: str, unchecked: None) -> None:
    text, *parts = MISTAKES[case]
    line = bad(text)
    for part in parts:
        assert part in line
    assert len(line) < 500


def test_what_is_missing(unchecked: None) -> None:
    for text, message in (
        ("method: sds", "config needs prior: got none; write config.prior"),
        ("prior: problem", "config needs method: got none; write config.method"),
    ):
        with pytest.raises(ValueError) as caught:
            read(text)
        assert one_line(caught.value) == message


def test_numbers_that_python_does_not_print(unchecked: None) -> None:
    huge = 10**5000
    for plain in ({"steps": huge}, {"steps": [huge]}, {huge: 1}, {"method": {huge: 1}}, {"on_failure": huge}):
        with pytest.raises(ValueError, match="config.*a number of thousands of digits") as caught:
            read_config(LEAST | plain)
        one_line(caught.value)
    with pytest.raises(ValueError, match=r"config\.scale: a number is wanted: got a number of thousands"):
        read_config(LEAST | {"scale": huge})
    with pytest.raises(ValueError, match=r"config\.scale: a number is wanted: got 1000000"):
        read_config(LEAST | {"scale": 10**400})


def test_long_things_are_shortened(unchecked: None) -> None:
    for plain in ({"name": ["x" * 10_000]}, {"method": "x" * 10_000}, {"x" * 10_000: 1}, {"trackers": ["y" * 10_000]}):
        with pytest.raises(ValueError) as caught:
            read_config(LEAST | plain)
        assert len(one_line(caught.value)) < 400


def test_the_place_is_the_file_where_it_is_known(unchecked: None) -> None:
    with pytest.raises(ValueError, match=r"^runs/a/config\.yaml\.steps: a whole number"):
        read_config(LEAST | {"steps": "x"}, "runs/a/config.yaml")
