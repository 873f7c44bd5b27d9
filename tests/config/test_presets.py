"""Presets: every file loads, options that are given win, and mistakes are one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from terminal import cli_error

from modeseek.cli import main
from modeseek.cli.image import ImageCommand
from modeseek.cli.options import arguments_of
from modeseek.cli.shape import ShapeCommand
from modeseek.cli.svg import SvgCommand
from modeseek.config.config import Config, read_config
from modeseek.config.image_config import image_config
from modeseek.config.presets import preset_names, read_preset
from modeseek.config.shape_config import refined_config, shape_config
from modeseek.config.svg_config import svg_config

VERBS = [(name, verb) for name in preset_names() for verb in read_preset(name).sections]


def config_of(name: str | None, verb: str, **options: Any) -> Config:
    """Configuration of a command with a preset and options, as its `run` makes it."""
    options = {"set": options.pop("settings", ()), "preset": name, **options}
    if verb == "image":
        image = ImageCommand(("a cat",), **{"prior": "owner/name", **options})
        return image_config(**arguments_of(image, image_config, "image"))
    if verb == "svg":
        svg = SvgCommand(("a cat",), **{"prior": "owner/name", **options})
        return svg_config(**arguments_of(svg, svg_config, "svg"))
    shape = ShapeCommand("a cat", **{"prior": "owner/name", **options})
    return shape_config(**arguments_of(shape, shape_config, "shape"))


@pytest.mark.parametrize(("name", "verb"), VERBS)
def test_a_preset_is_in_the_configuration(name: str, verb: str) -> None:
    """Each setting of the file, read by another YAML reader, is what the configuration holds."""
    config = config_of(name, verb)
    folder = Path(__file__).parents[2] / "src" / "modeseek" / "presets"
    section = yaml.safe_load((folder / f"{name}.yaml").read_text())[verb]
    options, plain = section["options"], config.to_dict()
    assert config.method_name == options["method"] and config.steps == options["steps"]
    if "scale" in options:
        own = getattr(config.method, "scale", None) if config.method.guides else config.scale
        assert own == options["scale"]
    for key, value in section["settings"].items():
        assert holds(at(plain, key), value), key
    assert read_config(plain) == config


def at(plain: Any, key: str) -> Any:
    for part in key.split("."):
        plain = plain[part]
    return plain


def holds(actual: Any, expected: Any) -> bool:
    """Whether plain data hold the expected values; settings that are not named are free."""
    if isinstance(expected, dict):
        if isinstance(actual, str):
            return list(expected) == [actual]
        return all(key in actual and holds(actual[key], value) for key, value in expected.items())
    if isinstance(expected, list):
        return len(actual) == len(expected) and all(map(holds, actual, expected))
    return actual == pytest.approx(float(expected)) if isinstance(actual, float) else actual == expected


def test_the_published_numbers() -> None:
    """Those that people know by heart (threestudio's configurations; SDI's)."""
    shape = {name: config_of(name, "shape") for name, verb in VERBS if verb == "shape"}
    assert shape["dreamfusion"].scale == 101 and shape["dreamfusion"].steps == 10_000
    assert shape["dreamfusion"].optimizer.lr == 0.01  # pyright: ignore[reportAttributeAccessIssue]
    assert shape["prolificdreamer"].method.scale == 7.5 and shape["prolificdreamer"].steps == 25_000  # pyright: ignore[reportAttributeAccessIssue]
    assert shape["sdi"].method.inversion_scale == -7.5 and shape["sdi"].method.inversion_eta == 0.3  # pyright: ignore[reportAttributeAccessIssue]
    assert "low contrast" in shape["nfsd"].negative
    fusion, dreamer = (config_of(name, "svg") for name in ("vectorfusion", "svgdreamer"))
    assert fusion.scale == 100 and fusion.steps == 1000 and fusion.generator.paths == 64  # pyright: ignore[reportAttributeAccessIssue]
    assert fusion.generator.relocation.every == 50 and fusion.optimizer.betas == (0.9, 0.9)  # pyright: ignore[reportAttributeAccessIssue]
    assert dreamer.method.scale == 7.5 and dreamer.generator.relocation.every == 100  # pyright: ignore[reportAttributeAccessIssue]


def test_what_is_given_wins() -> None:
    config = config_of(
        "dreamfusion", "shape", steps=7, scale=20.0, lr=0.5, settings=("generator.nerf.samples=9",), volume="dense"
    )
    assert (config.steps, config.scale, config.optimizer.lr) == (7, 20.0, 0.5)  # pyright: ignore[reportAttributeAccessIssue]
    assert config.generator.samples == 9 and config.generator.kind == "dense"  # pyright: ignore[reportAttributeAccessIssue]
    assert config_of(None, "shape").method_name == "msd"
    assert list(config_of("sdi", "image", optimizer="sgd").to_dict()["optimizer"]) == ["sgd"]
    other = config_of("dreamfusion", "shape", method="msd")
    assert other.method_name == "msd" and other.scale == 7.5 and other.generator.samples == 128  # pyright: ignore[reportAttributeAccessIssue]
    assert config_of("dreamfusion", "image", method="sdi").method.scale == 7.5  # pyright: ignore[reportAttributeAccessIssue]


def test_the_second_stage_has_no_penalties_on_rays_and_its_own_rate() -> None:
    first = config_of("magic3d-coarse", "shape")
    second = refined_config(first, Path("mesh.ply"), 5, None, ())
    assert first.regularizers and not second.regularizers
    assert second.optimizer.lr == 0.05 and second.generator.path.name == "mesh.ply"  # pyright: ignore[reportAttributeAccessIssue]


def test_own_files(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "about: mine\nimage:\n  options: {method: sds, steps: 3, seed: 3, copies: 2, film: gif}\n"
        "  settings: {method.sds.weight: uniform}\n"
    )
    config = config_of(str(path), "image", prior="emoji")
    assert (config.seed, config.generator.n, config.film) == (3, 2, "gif")  # pyright: ignore[reportAttributeAccessIssue]
    assert config.steps == 3 and config.to_dict()["method"]["sds"]["weight"] == "uniform"


@pytest.mark.parametrize(
    ("argv", "text", "line"),
    [
        (["--preset", "dreamfuson"], "", "unknown preset 'dreamfuson': did you mean dreamfusion?"),
        (["--preset", "hifa"], "", "preset hifa must be for modeseek image, got one for shape"),
        (["--preset", "FILE"], "a: 1", "must have about, source, differs and image, shape, svg or edit"),
        (["--preset", "FILE"], "[1]", "must have about, source, differs and image, shape, svg or edit"),
        (["--preset", "FILE"], "image: {option: {}}", "must have about, source, differs and image, shape, svg or edit"),
        (
            ["--preset", "FILE"],
            "image: {options: [1]}",
            "must have about, source, differs and image, shape, svg or edit",
        ),
        (["--preset", "FILE"], "image: {options: {stepps: 3}}", "image has no option 'stepps'; did you mean steps?"),
        (["--preset", "FILE"], "image: {options: {steps: many}}", "steps must be an integer, got 'many'"),
        (["--preset", "FILE"], "image: {settings: {nowhere.x: 3}}", "a run has no setting 'nowhere'"),
        (["--preset", "FILE"], "image: {", "is not valid YAML"),
        (["--preset", "missing.yaml"], "", "cannot read or write missing.yaml"),
    ],
)
def test_mistakes(argv: list[str], text: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.yaml").write_text(text)
    argv = [str(tmp_path / "p.yaml") if arg == "FILE" else arg for arg in argv]
    assert line in cli_error(["image", "a cube", *argv, "--dry-run"], capsys)


def test_presets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", "presets"])
    output = capsys.readouterr().out
    assert all(name in output for name in preset_names()) and len(preset_names()) >= 7
    main(["list", "presets", "prolificdreamer"])
    output = capsys.readouterr().out
    assert "--method vsd" in output and "arXiv 2305.16213" in output and "method.vsd.auxiliary=" in output


def test_the_start_of_a_run_says_where_its_guidance_comes_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["image", "a red cone", "--steps", "1", "--film", "none", "--device", "cpu", "--out", str(tmp_path / "a")])
    output = capsys.readouterr().out
    assert "Prior: scenes, on cpu (" in output and "Method: msd, 1 steps, seed 0" in output
    assert "Guidance: 3 (default under scenes; --scale changes it)" in output
    main(
        [
            "image",
            "a red cone",
            "--preset",
            "dreamfusion",
            "--steps",
            "1",
            "--film",
            "none",
            "--out",
            str(tmp_path / "b"),
        ]
    )
    output = capsys.readouterr().out
    assert "Method: sds of preset dreamfusion, 1 steps, seed 0\nGuidance: 101\n" in output
