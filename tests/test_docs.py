"""Documentation pages against the code: names, files, tests, settings. `make docs` builds them and runs their code."""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import math
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image

import modeseek as ms
from modeseek.cli import main
from modeseek.config.config import Config, read_config, read_yaml_file
from modeseek.config.overrides import override
from modeseek.config.yaml import read_yaml
from modeseek.reports.results_files import RunRecord, write_results
from modeseek.reports.table import Column, Row, Table

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*") if path.suffix in (".md", ".rst"))


def prose(path: Path) -> str:
    """A page without its blocks of code, though with what stands in back quotes."""
    return re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


def slugs(path: Path) -> set[str]:
    """Anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(path: Path) -> Iterator[str]:
    yield from re.findall(r"\]\(([^()\s]+)\)", prose(path))
    yield from re.findall(r"^```\{literalinclude\} (\S+)", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda page: str(page.relative_to(ROOT))
)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in slugs(target), link


def public(name: str) -> object:
    """The object of a documented name, which is relative to `modeseek`."""
    return functools.reduce(getattr, name.removeprefix("modeseek.").split("."), ms)


def test_every_public_name_is_documented_once() -> None:
    written = [
        name
        for page in (DOCS / "api").glob("*.rst")
        for name in re.findall(r"^\.\. auto(?:class|function|data):: (\S+)", page.read_text(), re.MULTILINE)
    ]
    assert {name for name in written if "." not in name} <= set(ms.__all__)
    documented = [public(name) for name in written]
    assert len(documented) == len(set(map(id, documented))) + 1  # Bundled is another name of bundled
    rooms = (ms.generators, ms.priors, ms.camera_conditions, ms.regularizers, ms.meanshift)
    names = [*((ms, name) for name in ms.__all__), *((room, name) for room in rooms for name in room.__all__)]
    named = {f"{room.__name__}.{name}": getattr(room, name) for room, name in names}
    missing = [n for n, v in named.items() if not inspect.ismodule(v) and not any(v is d for d in documented)]
    assert missing == []


def test_names_of_earlier_versions_are_still_there() -> None:
    assert ms.CSD is ms.methods.CSD and ms.Cosine is ms.schedules.Cosine and ms.HashGrid is ms.generators.HashGrid
    with pytest.raises(AttributeError, match="Tensor"):
        _ = ms.Tensor


@functools.cache
def defined(path: Path) -> set[str]:
    """Names of a file's tests."""
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("page", [page for page in PAGES if "`tests/" in page.read_text()], ids=lambda page: page.stem)
def test_the_tests_that_check_a_claim_exist(page: Path) -> None:
    cited = re.findall(r"`(tests/[\w/]+\.py)?::(test_\w+)`", page.read_text())
    path = ""
    for file, name in cited:
        path = file or path
        assert name in defined(ROOT / path), f"{path}::{name}"
    assert page.stem != "mathematics" or len(cited) > 40


def test_files_that_are_named_exist() -> None:
    for page in PAGES:
        for name in re.findall(
            r"`((?:src|tools|tests|benchmarks|docs|examples)/[\w./-]+\.\w+)(?:::\w+)?`", page.read_text()
        ):
            assert (ROOT / name).exists(), f"{page.name}: {name}"


def commands() -> Iterator[tuple[str, str]]:
    """Every command on a page, on one line, without its comment."""
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("modeseek "):
                    yield page.name, line


def test_commands_on_the_pages_exist(capsys: pytest.CaptureFixture[str]) -> None:
    verbs = {shlex.split(line, comments=True)[1] for _, line in commands()}
    assert {"run", "resume", "shape", "image", "benchmark"} <= verbs
    for verb in verbs:
        with pytest.raises(SystemExit) as ended:
            main([verb, "--help"])
        assert ended.value.code in (0, None), verb
    capsys.readouterr()


def test_the_configuration_from_threestudio_says_what_theirs_says() -> None:
    theirs = read_yaml((DOCS / "threestudio" / "dreamfusion-sd.yaml").read_text(), "theirs")
    ours = read_config(read_yaml_file(DOCS / "threestudio" / "dreamfusion.yaml"))
    system, data = theirs["system"], theirs["data"]
    guidance, loss = system["guidance"], system["loss"]
    assert ours.prior.path == guidance["pretrained_model_name_or_path"]
    assert ours.method == ms.SDS(
        ms.Uniform(guidance["min_step_percent"], guidance["max_step_percent"]), ms.sigma_squared
    )
    assert ours.scale == guidance["guidance_scale"] + 1
    assert ours.prompts == (system["prompt_processor"]["prompt"],)
    volume, adam = ours.generator, system["optimizer"]["args"]
    assert (volume.size, volume.views) == (data["width"], data["batch_size"])
    assert volume.radius == system["geometry"]["radius"]
    for ours_range, key in ((volume.orbit.elevation, "elevation"), (volume.orbit.fov, "fovy")):
        assert list(ours_range) == data[f"{key}_range"]
    assert list(volume.orbit.distance) == data["camera_distance_range"]
    assert ours.optimizer.lr == adam["lr"] and ours.optimizer.eps == adam["eps"]
    assert list(ours.optimizer.betas) == adam["betas"]
    steps, (_, start, end, until) = theirs["trainer"]["max_steps"], loss["lambda_orient"]
    assert (ours.steps, ours.seed) == (steps, theirs["seed"])
    orientation, sparsity = ours.regularizers
    assert orientation == ms.regularizers.Orientation(ms.Ramp(float(start), float(end), until / steps))
    assert sparsity == ms.regularizers.Sparsity(loss["lambda_sparsity"])


def test_its_commands_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    ours = read_config(read_yaml_file(DOCS / "threestudio" / "dreamfusion.yaml"))
    lines = [line for page, line in commands() if page == "threestudio.md" and "hamburger" in line]
    assert ["--preset" in line for line in lines] == [True, False]
    for line in lines:
        main([*shlex.split(line)[1:], "--dry-run"])
        parsed = read_config(read_yaml(capsys.readouterr().out, "output"))
        assert parsed.to_dict() == ours.to_dict() | {"name": "a hamburger"}


def test_settings_that_are_named_exist() -> None:
    text = (DOCS / "threestudio.md").read_text()
    named = set(re.findall(r"`((?:prior|generator|optimizer|views|saving)\.[a-z_.]+[a-z])", text))
    assert len(named) > 15
    for key in named:
        override({}, f"{key}=null")  # raises where there is no such key


@contextmanager
def script(name: str) -> Iterator[ModuleType]:
    """A file of docs/ that is run as a script."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(DOCS)
        patched.setitem(sys.modules, name, module)  # where its dataclass looks for the names of its hints
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(scope="module")
def gallery() -> Iterator[ModuleType]:
    with script("gallery") as module:
        yield module


@pytest.fixture(scope="module")
def experiment(gallery: ModuleType) -> Iterator[ModuleType]:
    with script("experiment") as module:
        yield module


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> ms.Run:
    from modeseek.config.optimizers import SGDConfig
    from modeseek.config.priors import ToyPriorConfig

    config = Config(ToyPriorConfig("ring"), ms.MSD(ms.Fixed(0.2)), optimizer=SGDConfig(), steps=3, previews=0)
    return ms.run(config, tmp_path_factory.mktemp("runs") / "three-steps")


def test_pictures_of_the_bundled_priors_have_a_column_per_prompt_and_a_row_per_way(tmp_path: Path) -> None:
    colours = {"samples": ["red", "lime"], "sds": ["blue", "black"]}
    for row, names in colours.items():
        (tmp_path / row / "exports").mkdir(parents=True)
        (tmp_path / row / "config.yaml").write_text("verb: sample\nprompts: [prompt 0, prompt 1]\nseed: 0\n")
        for k, name in enumerate(names):
            Image.new("RGB", (8, 6), name).save(tmp_path / row / "exports" / f"prompt-{k}-s0.png")
    with script("bundled_priors") as module:
        rows = [module.image_files(tmp_path / row) for row in colours]
        module.paste_rows(rows, 2, tmp_path / "sheet.png")
        assert set(module.PROMPTS) == {"scenes", "emoji"}
        for name in module.PROMPTS:
            assert f"(prior_{name}.png)" in (DOCS / "bundled_priors.md").read_text()
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (2 * 16 + 4, 2 * 12 + 4)
        pixels = sheet.convert("RGB")
        seen = [pixels.getpixel(at) for at in ((0, 0), (35, 0), (0, 27), (35, 27), (17, 13))]
    assert seen == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)]


@pytest.fixture
def measured(finished: ms.Run, tmp_path: Path) -> Path:
    """A folder as `modeseek paper` leaves it."""
    folder = Path(shutil.copytree(finished.path, tmp_path / "paper"))
    table = Table(
        (Column("right", "All", "Share.", ".2f", "high"),), (Row("sds", {"right": 0.5}), Row("msd", {"right": 1.0}))
    )
    record = RunRecord("Text to image", "modeseek paper text-to-image", {})
    write_results(folder / "exports", record, table, {"lacking": ["No CLIP."]})
    (folder / "exports" / "table.md").write_text(table.markdown({"msd": "MSD"}) + "\n- MSD is better.\n")
    Image.new("RGB", (1520, 40), "red").save(folder / "media" / "sheet.png")
    Image.new("RGB", (30, 20), "blue").save(folder / "media" / "curves-right.png")
    return folder


def test_a_page_shows_an_experiment(experiment: ModuleType, measured: Path, tmp_path: Path) -> None:
    page = tmp_path / "words.md"
    page.write_text("# Words\n\n<!-- experiment -->\nold\n<!-- end of experiment -->\n\nThe end.\n")
    experiment.main([str(measured), str(page)])
    text = page.read_text()
    assert text.startswith("# Words\n\n<!-- experiment -->\n\n```sh\n") and text.endswith(
        "<!-- end of experiment -->\n\nThe end.\n"
    )
    assert "old" not in text and "| sds | 0.50 |\n| MSD | **1.00** |" in text
    assert "- MSD is better." in text and "- No CLIP." in text and "(words_experiment.png)" in text
    with Image.open(tmp_path / "words_experiment.png") as image:
        assert image.size == (760, 20)
    assert "\n\n![Text to image: curves, right](words_curves-right.png)\n\n![Text to image: sheet](words_exp" in text
    with Image.open(tmp_path / "words_curves-right.png") as image:
        assert image.size == (30, 20)
    experiment.main([str(measured), str(page)])
    assert page.read_text() == text


def test_tables_of_an_experiment_fit_a_page(experiment: ModuleType) -> None:
    narrow = "| A | B |\n|---|---:|\n| **x** | **0.5 [-0.1, 1e-3]** |\n| y | a [0.1, 0.2] b |"
    assert experiment.fit_tables(f"{narrow}\n\n- no [0.1, 0.2]\n") == (
        "| A | B |\n|---|---:|\n| **x** | **0.5**<br><small>[-0.1, 1e-3]</small> |\n| y | a [0.1, 0.2] b |\n"
        "\n- no [0.1, 0.2]\n"
    )
    n = experiment.MOST_COLUMNS
    wide = [["M", *(f"c{k}" for k in range(n))], ["sds", *map(str, range(n))], ["msd", *map(str, range(n, 2 * n))]]
    head, *body = (f"| {' | '.join(row)} |" for row in wide)
    lines = experiment.fit_tables("\n".join([head, "|---|" + "---:|" * n, *body])).splitlines()
    assert lines[:3] == ["| M | sds | msd |", "|---|---:|---:|", f"| c0 | 0 | {n} |"] and len(lines) == n + 2


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("words.md", "no place", "has no place for an experiment"),
        ("paper/status.json", None, "is stopped"),
        ("paper/exports/table.md", "", "No such file"),
    ],
)
def test_an_experiment_is_refused(
    experiment: ModuleType,
    measured: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: str | None,
    words: str,
) -> None:
    page, path = tmp_path / "words.md", tmp_path / name
    page.write_text("<!-- experiment --><!-- end of experiment -->")
    if content is None:
        path.write_text(path.read_text().replace('"finished"', '"stopped"'))
    elif content:
        path.write_text(content)
    else:
        path.unlink()
    before = page.read_text()
    with pytest.raises(SystemExit) as ended:
        experiment.main([str(measured), str(page)])
    output = capsys.readouterr().err
    assert ended.value.code == 2 and words in output and output.count("\n") == 1
    assert page.read_text() == before and not (tmp_path / "words_experiment.png").exists()


def test_pages_and_images_stay_small() -> None:
    assert sum(path.stat().st_size for path in DOCS.rglob("*") if path.is_file()) < 8_000_000


@pytest.mark.parametrize("rate", [1.0, 2.0])
def test_mean_shift_at_unit_rate_is_the_sampler(rate: float) -> None:
    """`dx/dtau = rate (D(x; e^-tau) - x)` on a Gaussian, by the midpoint rule, against its closed form."""
    mu, s, first, last, n = 0.7, 0.5, 20.0, 0.02, 300
    mean, cov = (torch.tensor(value, dtype=torch.float64) for value in ([[mu]], [[[s**2]]]))
    prior = ms.GaussianMixture(torch.ones(1), mean, cov)
    x = torch.tensor([[-30.0], [5.0], [mu]], dtype=torch.float64)
    start, step = x - mu, math.log(first / last) / n
    for k in range(n):
        h = first * math.exp(-k * step)
        middle = x + rate * step / 2 * ms.shift(prior, x, h)
        x = x + rate * step * ms.shift(prior, middle, h * math.exp(-step / 2))
    exact = start * ((s**2 + last**2) / (s**2 + first**2)) ** (rate / 2)
    assert torch.allclose(x - mu, exact, rtol=1e-2, atol=1e-12)  # second order in the steps: 3e-3 at rate 2
