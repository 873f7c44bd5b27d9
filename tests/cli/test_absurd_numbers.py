"""Numbers beyond all sense: each ends in one line that says what happened, without a traceback or a null."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeseek.cli import main

RING = "run --prior ring --steps 3 --set previews=0"
DIGITS = "run --prior digits --method sds --steps 3 --set previews=0"
MOONS = f"modes {Path(__file__).parents[2] / 'examples' / 'moons.csv'}"


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (f"{RING} --method sds --label 1 --scale 1e30", 2, "scale must be at most 1e+06 in size, got 1e+30"),
        (f"{RING} --method sds --label 1 --scale nan", 2, "scale must be finite"),
        (f"{RING} --method sds --label 1 --scale -inf", 2, "scale must be finite"),
        (f"{RING} method.sdi.scale=1e30 --method sdi --label 1", 2, "scale must be at most"),
        (f"{RING} optimizer.adam.lr=1e30 --method sds", 1, "z at step 1 must be at most"),
        (f"{RING} optimizer.adam.lr=1e300 --method sds", 1, "at step 1"),
        (f"{RING} optimizer.sgd.lr=1e30", 1, "z at step 1 must be at most"),
        (f"{RING} optimizer.adam.lr=1e30 --method sds --steps 1", 1, "must be at most 2e+12 in size"),
        (f"{RING} optimizer.adam.lr=nan --method sds", 2, "learning rate above 0, got nan"),
        (f"{RING} method.msd.bandwidth.fixed.h=nan", 2, "h must be positive and finite"),
        (f"{RING} method.msd.bandwidth.adaptive.end=1e300", 1, "not finite"),
        (f"{RING} generator.points.start.noise.spread=1e30 --method sds", 1, "the spread of the start"),
        (f"{RING} generator.points.start.noise.spread=nan", 2, "finite spread"),
        (f"{RING} generator.points.start.noise.n=1000000000000", 2, "must hold at most 50,000,000 numbers"),
        (f"{RING} method.sds.times.uniform.low=nan --method sds", 2, "Uniform needs 0 <= low"),
        (f"{RING} saving.seconds=nan", 2, "saving needs seconds >= 0"),
        (f"{RING} --inner-steps 1000000000", 2, "inner_steps must be at most"),
        (f"{RING} --steps 0", 2, "steps must be 1 to 1e9"),
        (f"{RING} --steps 1000000000000", 2, "steps must be 1 to 1e9"),
        (f"{RING} --seed -1", 2, "seed must be in [0, 2^63)"),
        (f"{DIGITS} generator.pixels.levels=1000000000 --generator pixels", 2, "levels 1 to 16"),
        (f"{DIGITS} generator.pixels.gray=nan --generator pixels", 2, "gray in [0, 1]"),
        (f"{DIGITS} --generator pixels --shift 1000000000", 2, "smaller than the image of 8 x 8"),
        (f"{DIGITS} generator.field.width=1000000000 --generator field", 2, "fields must have fewer weights"),
        (f"{DIGITS} generator.field.depth=1000000000 --generator field", 2, "fields must have fewer weights"),
        (f"{DIGITS} generator.field.frequency=nan --generator field", 2, "finite frequency"),
        (f"{DIGITS} generator.nerf.size=1000000000 --generator nerf", 2, "size must be at most 8192"),
        (f"{MOONS} --bandwidth nan", 2, "--bandwidth must be positive and finite"),
        (f"{MOONS} --bandwidth 1e-300", 2, "no start of 400 reached a mode"),
        (f"{MOONS} --bandwidth 0.3 --tol 1e30", 2, "--tol must be in (0, 1)"),
        (f"{MOONS} --bandwidth 0.3 --tol nan", 2, "--tol must be in (0, 1)"),
        ("toy --problem ring --budget 1000000000000", 2, "budget must be at most"),
        ("toy --problem ring --budget 100 --side 1000000", 2, "side must be at most 1000"),
        ("toy --problem ring --budget 100 --seed -1", 2, "seed must be in [0, 2^63)"),
        ("toy --problem ring --budget 100 --label 1 --scale 1e30", 2, "scale must be at most"),
        ("compare --problem ring --budget 100 --methods sds --side 1000000", 2, "side must be at most 1000"),
        ("compare --problem ring --budget 100 --methods sds --scale 1e30", 2, "scale must be at most"),
        (
            "compare --problem ring --budget 100 --methods sds --bandwidth inf",
            2,
            "bandwidth must be positive and finite",
        ),
        ("sample cat --copies 1000000000000", 2, "--copies must be at most 100,000"),
    ],
)
def test_absurd_numbers(
    line: str,
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main([*line.split(), *([] if line.startswith("modes") else ["--out", "o"])])
    err = [text for text in capsys.readouterr().err.splitlines() if text.startswith("modeseek:")]
    assert caught.value.code == code and len(err) == 1 and words in err[0], err
    metrics = tmp_path / "o" / "metrics.jsonl"
    assert code == 1 or "method.sdi" in line or not (tmp_path / "o").exists()  # of a method: at its first step
    assert not metrics.exists() or "null" not in metrics.read_text()
    if code == 1:
        assert '"state": "failed"' in (tmp_path / "o" / "status.json").read_text()


def test_memory_that_runs_out_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from modeseek.cli.modes import ModesCommand

    def fail(*_: object) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    monkeypatch.setattr(ModesCommand, "run", fail)
    with pytest.raises(SystemExit) as caught:
        main(["modes", "x.npy", "--bandwidth", "1"])
    err = capsys.readouterr().err
    assert (
        caught.value.code == 2
        and err.startswith("modeseek: error: out of memory: [enforce fail]")
        and err.count("\n") == 1
    )
