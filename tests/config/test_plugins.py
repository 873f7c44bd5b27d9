"""Methods, priors and generators of other packages: by entry point and by import path, on every verb, lazily."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from cases import one_line
from plugin_package import MODULE, write_package
from terminal import cli_error

import modeseek as ms
from modeseek.cli import main
from modeseek.config.defaults import configure
from modeseek.config.registry import ALL_METHODS, GENERATORS, PRIORS
from modeseek.config.yaml import read_yaml
from modeseek.sweeps.spec import parse_spec

BROKEN = "[modeseek.methods]\nbroken = {module}:Nothing\nempty = {module}:Empty\nbare = {module}:Bare\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    packages = write_package(tmp_path_factory.mktemp("packages"))
    code = "class Empty:\n    pass\nfrom dataclasses import dataclass\n@dataclass\nclass Bare:\n    x: int = 1\n"
    write_package(packages, "halfway", code, BROKEN)
    write_package(packages, "broken", "import no_such_module\n", "[modeseek.methods]\nworse = {module}:A\n")
    write_package(packages, "rival", MODULE, "[modeseek.methods]\ntwice = {module}:Pull\n")
    write_package(packages, "rival2", MODULE, "[modeseek.methods]\ntwice = {module}:Pull\n")
    return packages


@pytest.fixture(autouse=True)
def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name in ("pulling", "halfway", "broken", "rival", "rival2"):
            del sys.modules[name]


def printed(argv: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    main(argv.split())
    return capsys.readouterr().out


def test_names_are_listed_without_an_import(capsys: pytest.CaptureFixture[str]) -> None:
    for kind, name in (("methods", "pull"), ("priors", "ball"), ("generators", "cross")):
        out = printed(f"list {kind}", capsys)
        assert "Of other packages:\n" in out and f"{name} " in out and "pulling-package" in out
    assert printed("run --method msd --prior ring --dry-run", capsys) and "pulling" not in sys.modules
    assert "strength: number = 0.5" in printed("list methods pull", capsys) and "pulling" in sys.modules


def test_a_name_of_modeseek_cannot_be_taken() -> None:
    assert ALL_METHODS["msd"] is ms.MSD and "msd" not in ALL_METHODS.packages
    assert ALL_METHODS.is_foreign("pull") and not ALL_METHODS.is_foreign("sds")


METHOD_OPTIONS: list[tuple[list[str], dict[str, object]]] = [
    (["--method", "pull"], {"pull": {"strength": 0.5}}),
    (["--method", "pulling:Pull"], {"pull": {"strength": 0.5}}),
    (["--method", "rival:Pull"], {"rival:Pull": {"strength": 0.5}}),
    (["--method", "rival:Pull", "--set", "method.rival:Pull.strength=1"], {"rival:Pull": {"strength": 1.0}}),
    (["--set", "method.pull.strength=2"], {"pull": {"strength": 2.0}}),
    (["--set", "method=rival:Pull"], {"rival:Pull": {"strength": 0.5}}),
]


@pytest.mark.parametrize(("options", "stored"), METHOD_OPTIONS)
def test_a_method_is_named_or_imported(
    options: list[str], stored: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    plain = read_yaml(printed(" ".join(["run --prior ball --generator cross --dry-run", *options]), capsys), "it")
    assert plain["method"] == stored and plain["prior"] == {"ball": {"spread": 1.0}}
    assert plain["generator"] == {"cross": {"radius": 2.0}}


@pytest.mark.parametrize("method", ["pull", "rival:Pull"])
def test_a_run_is_resumed_and_repeated(method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    main(f"run --prior ball --generator cross --steps 3 --method {method} --out {out} --set previews=0".split())
    main(["resume", str(out), "--steps", "5"])
    run = ms.Run(out)
    assert run.status.step == 5 and run.status.state == "finished" and run.config.method_name == method
    again = printed(f"run {out} --dry-run", capsys)
    assert read_yaml(again, "it")["method"] == {method: {"strength": 0.5}}


def test_a_class_keeps_its_settings_in_yaml() -> None:
    text = "{rival:Pull: {strength: 3}}"
    config = configure({"prior": "ring", "method": read_yaml(text, "x")})
    assert config.to_dict()["method"] == {"rival:Pull": {"strength": 3.0}} and config.method_name == "rival:Pull"
    assert configure(config.to_dict()) == config
    assert "PULL" in config.title and "rival" not in config.title


def test_an_import_path_with_dots_is_one_key() -> None:
    config = configure({"prior": "ring"}, ["method.modeseek.methods.sds:SDS.weight=uniform"])
    assert config.method == ms.SDS(weight=ms.weights.unit_weight) and config.method_name == "sds"


def test_methods_of_sweeps_images_and_shapes(capsys: pytest.CaptureFixture[str]) -> None:
    spec = parse_spec({"base": {"prior": "ring"}, "methods": {"pull": {}, "rival:Pull": None, "msd": {}}})
    assert [choice.settings["method"] for choice in spec.methods] == ["pull", "rival:Pull", "msd"]
    for verb in ("image", "shape"):
        out = printed(f"{verb} cone --method pull --dry-run", capsys)
        assert "method:\n  pull:\n    strength: 0.5\n" in out
    assert "cross:" in printed("image cone --generator cross --dry-run", capsys)
    assert "prior:\n  ball:" in printed("image cone --prior ball --dry-run", capsys)
    assert "prior:\n  pulling:Ball:" not in printed("shape cone --prior pulling:Ball --dry-run", capsys)
    error = cli_error(["image", "cone", "--prior", "ball", "--size", "8", "8"], capsys)
    assert "size must be set where the prior ball is loaded" in error


BAD = {
    "worse": "method worse of the package broken-package cannot be imported: ModuleNotFoundError: No module named",
    "broken": "method broken of the package halfway-package cannot be imported: AttributeError",
    "empty": "method empty of the package halfway-package must be a dataclass with init, step, references, guides",
    "bare": "method bare of the package halfway-package must be a dataclass with init, step, references, guides",
    "twice": "method twice is offered by rival-package and rival2-package; use an import path: rival",
    "no_such.module:A": "method no_such.module:A cannot be imported: ModuleNotFoundError",
    "modeseek:NoSuch": "method modeseek:NoSuch cannot be imported: AttributeError",
    "modeseek:NeRF": "method modeseek:NeRF must be a dataclass with init, step, references, guides, got <class",
    "pul": "unknown method 'pul': did you mean pull?",
}


@pytest.mark.parametrize("name", BAD)
def test_a_broken_plugin_is_one_line_and_the_others_work(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["run", "--method", name], ["image", "cone", "--method", name], ["list", "methods", name]):
        assert BAD[name] in cli_error(argv, capsys)
    assert ALL_METHODS["pull"].__name__ == "Pull"


def test_python_takes_names_paths_and_objects(tmp_path: Path) -> None:
    ball, cross, pull = PRIORS["ball"](), GENERATORS["cross"](), ALL_METHODS["rival:Pull"](strength=1.0)
    run = ms.run(ms.Config(ball, pull, cross, steps=2), tmp_path / "run")
    assert run.config.method == pull and torch.equal(
        run.config.generator.make(ball.load("cpu"), 0).module.z.abs().amax(1), torch.full((4,), 2.0)
    )
    with pytest.raises(ValueError) as caught:
        ms.image("cone", method="worse")
    assert "broken-package" in one_line(caught.value)


@pytest.mark.slow
def test_an_installed_package_is_found(tmp_path: Path) -> None:
    """What pip installs, in a fresh interpreter."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "shipped.py").write_text(MODULE)
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "shipped"\nversion = "1"\n'
        '[project.entry-points."modeseek.methods"]\nshipped = "shipped:Pull"\n'
        '[tool.setuptools]\npy-modules = ["shipped"]\n'
    )
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(tmp_path / "site"), str(source)], check=True)
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
    code += "from modeseek.config.registry import ALL_METHODS\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "print(ALL_METHODS.packages, ALL_METHODS['shipped'].__name__)"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "{'shipped': 'shipped'} Pull\n"
