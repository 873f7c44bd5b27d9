"""Data-parallel processes make the same updates as a single process."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import modeseek as ms
from modeseek.distributed import Distributed, find_optimizers
from modeseek.methods.auxiliary_exact import ExactAuxiliary, delta
from modeseek.methods.base import block_size
from modeseek.rundir.state_sharding import gather_state, shard_state, without_modules

pytestmark = pytest.mark.slow

DRIVER = Path(__file__).parent / "distributed_driver.py"
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked: POSIX only")


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 12))
def test_shards_are_whole_blocks_that_cover_every_row_once(size, block, blocks):
    n = block * blocks
    if blocks < size:
        with pytest.raises(ValueError, match="share the items"):
            Distributed(0, size).shard(n, block)
        return
    shards = [Distributed(rank, size).shard(n, block) for rank in range(size)]
    assert [row for shard in shards for row in range(n)[shard]] == list(range(n))
    lengths = [shard.stop - shard.start for shard in shards]
    assert all(length % block == 0 for length in lengths) and max(lengths) - min(lengths) <= block
    with pytest.raises(ValueError, match="stay together"):
        Distributed(0, 2).shard(2 * block + 1, 2 * block)


def test_block_size_of_methods_that_compare_rows():
    assert block_size(ms.SDS(), None) == 1 and block_size(ms.methods.MVDream(views=4), None) == 4
    assert block_size(ms.methods.RSD(repulsion=1.0)) is None and block_size(ms.methods.RSD(repulsion=0.0)) == 1
    assert block_size(ms.VSD(), None) == 1 and block_size(ms.VSD(auxiliary=ExactAuxiliary())) is None
    assert block_size(ms.VSD(auxiliary=ExactAuxiliary(delta))) == 1
    assert (
        block_size(
            ms.methods.Debiased(ms.methods.MVDream(views=6)),
            ms.camera_conditions.MultiviewPrompts(ms.Conditions(torch.zeros(1)), views=4),
        )
        == 12
    )
    with pytest.raises(ValueError, match="got 1"):
        Distributed(0, 2).shard(1)


@dataclass(frozen=True)
class State:
    rows: torch.Tensor
    level: float
    kept: dict[int, torch.Tensor] = field(default_factory=dict)
    phi: object = None
    inner: tuple[object, ...] = ()


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_a_sharded_state_is_gathered_unchanged(counts):
    n = sum(counts)
    phi = torch.nn.Linear(n, 2)
    kept = {-1: torch.randn(n, 3)} | {10 + i: torch.full((2, 1), float(i)) for i in range(n)}
    whole = State(torch.randn(n, 2), 0.5, kept, phi, (torch.arange(n), torch.tensor(3.0), [None, "x"]))
    ends = [sum(counts[: i + 1]) for i in range(len(counts))]
    shards = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
    parts = [shard_state(whole, shard, n, range(10, 10 + n)[shard]) for shard in shards]
    for part, shard in zip(parts, shards, strict=True):
        assert torch.equal(part.rows, whole.rows[shard]) and torch.equal(part.inner[0], whole.inner[0][shard])
        assert set(part.kept) == {-1, *range(10 + shard.start, 10 + shard.stop)} and part.phi is phi
    assert without_modules(whole).phi is None
    again = gather_state([parts[0], *(without_modules(part) for part in parts[1:])], counts)
    assert torch.equal(again.rows, whole.rows) and again.phi is phi and again.inner[1:] == whole.inner[1:]
    assert torch.equal(again.inner[0], whole.inner[0]) and set(again.kept) == set(kept)
    assert all(torch.equal(again.kept[item], kept[item]) for item in kept)


def test_optimizers_are_found_wherever_a_state_holds_them():
    optimizers = [torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1) for _ in range(3)]
    assert (
        find_optimizers(State(torch.zeros(1), 0.0, {0: optimizers[0]}, optimizers[1], ([optimizers[2]], None)))
        == optimizers
    )


# Four items over three processes: unequal shares, of one item and of two.
SIZES = (2, 3, 4) if os.environ.get("MODESEEK_SOAK") == "1" else (3,)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("distributed")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(folder), "1", *map(str, SIZES)],
        capture_output=True, text=True, timeout=240, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


BOUNDS = {
    "field gradient": 1e-6, "nerf gradient": 1e-6, "field sgd": 1e-10, "nerf sgd": 1e-10, "vectors sgd": 1e-10,
    "field adam": 2e-5, "vsd": 1e-5, "kept noise": 1e-10, "variate": 1e-10, "shifted": 1e-10, "inner": 1e-10,
    "inner nerf": 1e-10, "inner overflow": 1e-10, "accumulated": 1e-10, "ensemble": 1e-10, "kept seeds": 1e-10,
}  # fmt: skip


@forks
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", BOUNDS)
def test_several_processes_make_the_updates_of_one(case, size, saved):
    alone = torch.load(saved / f"{case}-1-0.pt", weights_only=True)
    assert alone["parameters"].isfinite().all()
    for rank in range(size):
        tensors = torch.load(saved / f"{case}-{size}-{rank}.pt", weights_only=True)
        assert tensors.keys() == alone.keys()
        for name, value in alone.items():
            difference = (tensors[name].double() - value.double()).norm() / value.double().norm().clamp(min=1e-12)
            assert difference <= BOUNDS[case], (name, difference)
    first = torch.load(saved / f"{case}-{size}-0.pt", weights_only=True)
    last = torch.load(saved / f"{case}-{size}-{size - 1}.pt", weights_only=True)
    assert torch.equal(first["parameters"], last["parameters"])  # to the bit


@forks
def test_cases_cover_their_feature(saved):
    tensors = {case: torch.load(saved / f"{case}-1-0.pt", weights_only=True) for case in BOUNDS}
    assert tensors["nerf gradient"]["without"].any() and not tensors["field gradient"]["without"].any()
    assert tensors["field sgd"]["loss brightness"].min() > 0 and "phi" in tensors["vsd"]
    assert len(tensors["kept noise"]["state noise"]) == 4 and "state cross" in tensors["variate"]
    assert "state h" in tensors["vectors sgd"] and "state h" in tensors["inner"]
    assert tensors["inner"]["weight of steps"].shape == (12, 4) and "weight of steps" not in tensors["variate"]
    assert tensors["inner"]["loss brightness"].min() > 0
    message = bytes(tensors["inner overflow"]["message"].tolist()).decode()
    assert message.startswith("the direction is not finite at step 0, row 3 (1 of 4 rows)")
