"""Comparison page: every run beside the others, differing settings, and runs of the same verb only."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fabricated_runs import ENVIRONMENT, MSD, fabricate

from modeseek.reports.compare_page import comparison_table, write_comparison
from modeseek.reports.comparison import differences, read_runs
from modeseek.reports.settings_diff import ABSENT, differing, flatten
from modeseek.rundir.run_dir import Run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folder = tmp_path_factory.mktemp("runs")
    other = ENVIRONMENT | {"versions": {**ENVIRONMENT["versions"], "torch": "2.14.0"}}
    return [
        fabricate(folder / "first", video=False, n_previews=2),
        fabricate(folder / "second", method="sds", seed=7, video=False, n_previews=2, environment=other),
        fabricate(
            folder / "third", done=100, name="<i>half</i>", video=False, n_previews=0, optimizer={"sgd": {"lr": 0.5}}
        ),
    ]


def write(runs: list[Run], tmp_path: Path) -> str:
    path = write_comparison(runs, tmp_path / "new" / "compare.html")
    assert path == tmp_path / "new" / "compare.html"
    return path.read_text(encoding="utf-8")


def test_the_page_has_every_run_in_every_part(runs: list[Run], tmp_path: Path) -> None:
    text = write(runs, tmp_path)
    assert re.findall("<h2>([^<]+)</h2>", text) == ["Results", "Metrics", "Differences", "Curves"]
    assert text.count("src='data:image/png;base64,") == 2 and text.count("<div class='none'>no preview</div>") == 1
    for words in ("1 first", "2 second", "3 third", "3 MSD on &lt;i&gt;half&lt;/i&gt;", "stopped", "102,400", "25,600"):
        assert words in text, words
    assert "between 25,600 and 102,400 prior calls: compare them at equal calls" in text
    assert (
        "<i>half" not in text and "<a " not in text and "<script" not in text and "http" not in text.split("</head>")[1]
    )


def test_curves_have_a_line_a_run_against_prior_calls(runs: list[Run], tmp_path: Path) -> None:
    text = write(runs, tmp_path)
    shift, norm = re.findall(r"<figure class='curve'>.*?</figure>", text)
    assert "against prior calls" in shift and "against prior calls" in norm
    assert re.findall(r"class='line (c\d)[^f']*'", shift) == ["c0", "c2"]  # SDS has no relative shift
    assert sorted(set(re.findall(r"class='line (c\d)", norm))) == ["c0", "c1", "c2"]
    assert text.count("<svg class='key'") == 3


def test_the_table_holds_numbers_and_numeric_settings_that_all_have(runs: list[Run]) -> None:
    table = comparison_table(runs)
    assert [row.name for row in table.rows] == ["first", "second", "third (stopped)"]
    assert [c.key for c in table.columns[-1:]] == ["config.seed"]
    first, second, third = (row.values for row in table.rows)
    last = json.loads((runs[0].path / "metrics.jsonl").read_text().splitlines()[-1])
    assert first["relative_shift"] == last["relative_shift"] and first["bandwidth"] == last["bandwidth"]
    assert "relative_shift" not in second and second["config.seed"] == 7
    assert (third["steps"], third["calls"], third["seconds"]) == (100, 25_600, 1.0)


def test_differing_settings_are_listed_and_no_others(runs: list[Run]) -> None:
    values = differences(read_runs(runs))
    assert values["seed"] == ["0", "7", "0"] and values["method"] == ["msd", "sds", "msd"]
    assert values["optimizer"] == ["adam", "adam", "sgd"] and values["optimizer.sgd.lr"] == [ABSENT, ABSENT, "0.5"]
    assert values["name"] == ["", "", "<i>half</i>"] and values["env.versions.torch"] == ["2.13.0", "2.14.0", "2.13.0"]
    assert not {"steps", "device", "env.prior.sha256", "generator"} & values.keys()


def test_equal_runs_differ_in_nothing(runs: list[Run], tmp_path: Path) -> None:
    assert "None: settings, versions" in write([runs[0], runs[0]], tmp_path)
    assert "equal calls" not in write([runs[0], runs[0]], tmp_path)
    assert "One run" in write(runs[:1], tmp_path)


def test_settings_left_out_of_a_file_count_as_their_defaults(runs: list[Run], tmp_path: Path) -> None:
    run = fabricate(tmp_path / "short", video=False, n_previews=0)
    (run.path / "config.yaml").write_text(
        "prior: problem\nmethod: {msd: {bandwidth: {adaptive: {end: 1e-1}}}}\nscale: 1\n"
    )
    assert differences(read_runs([runs[0], run])) == {}
    assert [c.key for c in comparison_table([runs[0], run]).columns][6:] == []


def test_only_runs_of_the_same_verb_compare(runs: list[Run], tmp_path: Path) -> None:
    toy = Run.create({"verb": "toy"}, name_parts=["toy"], command=["toy"], prior={}, out=tmp_path / "toy")
    for refused in (comparison_table, lambda runs: write_comparison(runs, tmp_path / "never.html")):
        with pytest.raises(ValueError, match=r"toy must be made by modeseek run, got modeseek toy; remove it$"):
            refused([runs[0], toy])
        with pytest.raises(ValueError, match="got none"):
            refused([])
    assert not (tmp_path / "never.html").exists()


def test_damage_to_one_run_is_reported_and_leaves_the_others(runs: list[Run], tmp_path: Path) -> None:
    run = fabricate(tmp_path / "hurt", done=5, video=False, n_previews=2)
    (run.path / "status.json").write_text("{")
    (run.path / "env.json").write_text("[]")
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "calls"')
    newest = max((run.path / "previews").iterdir())
    newest.write_bytes(newest.read_bytes()[:100])
    text = write([runs[0], run], tmp_path)
    warnings = re.findall(r"<p class='alarm' role='note'>hurt: ([^<]+)</p>", text)
    assert [
        word in line
        for word, line in zip(("status.json", "1 of the lines", "env.json", newest.name), warnings, strict=True)
    ] == [True] * 4
    assert text.count("src='data:image/png;base64,") == 2  # the preview before it replaces it
    (row, *_) = comparison_table([run]).rows
    assert row.name == "hurt (unknown)" and "steps" not in row.values and "relative_shift" in row.values
    (run.path / "config.yaml").write_text("method: [")
    with pytest.raises(ValueError, match="config.yaml"):
        read_runs([runs[0], run])


def test_kinds_are_settings_too() -> None:
    first, second = {"a": {"x": {"n": 1}}, "b": 0.0}, {"a": {"y": {"m": 2}}, "b": {"z": {"k": [1, 2]}}}
    assert flatten(second) == {"a": "y", "a.y.m": 2, "b": "z", "b.z.k": [1, 2]}
    assert differing([first, second])["b"] == [0.0, "z"] and differing([first, first]) == {}
    assert flatten(MSD)["msd"] == "bandwidth"
