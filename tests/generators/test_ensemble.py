"""Ensembles: K generators in one, each with its own items, draws, files and optimizer groups."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cases_shift import generator
from torch import Tensor

import modeseek as ms
from modeseek.generators.base import render
from modeseek.generators.ensemble import single_shape
from modeseek.generators.rendering3d import Rendering3D
from modeseek.rundir.checkpoint import read_checkpoint, write_checkpoint

F64 = torch.float64


def nerf(value: float = 0.0, **options: object) -> ms.NeRF:
    module = ms.NeRF(ms.generators.Dense((6,)), size=8, samples=8, **options).to(F64)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(value)
    return module


def latent(seed: int) -> ms.Latent:
    return ms.Latent(torch.randn(2, 3, 4, 4, generator=generator(seed), dtype=F64))


def field(seed: int) -> ms.Field:
    return ms.Field(2, (8, 8), generator(seed), width=8, depth=1, like=torch.empty(0, dtype=F64))


def drawing(seed: int, **options: object) -> ms.Drawing:
    return ms.Drawing(2, (12, 12), paths=3, rng=seed, like=torch.empty(0, dtype=F64), **options)


def points(seed: int) -> ms.Points:
    return ms.Points(torch.randn(3, 2, generator=generator(seed), dtype=F64))


def pixels(seed: int) -> ms.Image:
    return ms.Image(torch.rand(2, 3, 8, 8, generator=generator(seed), dtype=F64), levels=2)


KINDS = {
    "points": (points, 1),
    "latent": (latent, 2),
    "field": (field, 2),
    "pixels": (pixels, 2),
    "drawing": (drawing, 2),
}


@pytest.mark.parametrize("name", KINDS)
def test_generators_of_fixed_items_render_as_they_do_alone(name):
    make, each = KINDS[name]
    members = [make(seed) for seed in range(3)]
    module = ms.Ensemble(members)
    view = module.view(3 * each, ms.Streams(0))
    assert view.items == tuple(range(3 * each)) and module.encodes == members[0].encodes and not module.is_3d
    whole = render(module, view).image
    alone = torch.cat([render(member, member.view(each, ms.Streams(0))).image for member in members])
    assert torch.equal(whole, alone)
    if each > 1:  # as a process renders its shard, across a boundary between generators
        assert torch.equal(render(module, view.select(slice(1, 3))).image, whole[1:3])
    assert torch.equal(render(module, module.preview_view()).image, whole)
    groups = module.parameter_groups()
    assert {id(p) for group in groups for p in group["params"]} <= {id(p) for p in module.parameters()}
    assert [sorted(group) for group in groups] == [sorted(g) for member in members for g in member.parameter_groups()]


def test_drawings_keep_their_random_backgrounds_and_svgs():
    members = [drawing(seed, background="random") for seed in range(2)]
    module, rng = ms.Ensemble(members), ms.Streams(5, 3)
    whole = render(module, module.view(4, rng)).image
    own = members[1].view(2, rng.at(3, (2, 3)))
    assert torch.equal(whole[2:], render(members[1], own).image)
    svgs = module.svgs(["a", "b", "c", "d"])
    assert svgs is not None and [svg.text.count("<title>") for svg in svgs] == [1, 1, 1, 1]
    large = module.render_at((24, 24))
    assert large is not None and len(list(large)) == 4


def test_cameras_of_each_nerf_and_all_that_regularizers_see():
    first, second = nerf(), nerf(0.3, normals=True)
    first.normals = True
    module, rng = ms.Ensemble([first, second]), ms.Streams(4, 2)
    view = module.view(4, rng)
    assert view.items == (0, 1, 2, 3) and view.particle_of_item == (0, 0, 1, 1)
    single = nerf().view(4, rng)
    assert torch.equal(view.cameras.azimuth, single.cameras.azimuth)  # items' own streams
    whole = module(view)
    assert isinstance(whole, Rendering3D) and whole.normal is not None and whole.ray_samples is not None
    parts = [member(view.select(rows)) for member, rows in ((first, slice(0, 2)), (second, slice(2, 4)))]
    for name in ("image", "opacity", "depth", "normal"):
        assert torch.equal(getattr(whole, name), torch.cat([getattr(part, name) for part in parts]))
    assert len(whole.grids) == 2
    for penalty in (
        ms.regularizers.Orientation(),
        ms.regularizers.Distortion(),
        ms.regularizers.TotalVariation(),
        ms.regularizers.Sparsity(),
        ms.regularizers.NormalSmoothness(),
    ):
        mean = sum(float(penalty(part, 0.5).detach()) for part in parts) / 2
        assert float(penalty(whole, 0.5).detach()) == pytest.approx(mean, rel=1e-9, abs=1e-12)
    uneven = module(view.select(slice(1, 4)))  # one view of the first, two of the second
    assert len(uneven.grids) == 3 and torch.equal(uneven.image, whole.image[1:])
    samples, before = uneven.ray_samples, parts[0].ray_samples
    assert samples is not None and before is not None and int(samples.ray.max()) < 3 * 64
    assert torch.equal(
        samples.normals()[samples.ray < 64], parts[0].ray_samples.normals()[parts[0].ray_samples.ray >= 64]
    )


def optimise(module: torch.nn.Module, stops: tuple[int, ...], folder: Path, steps: int = 4) -> Tensor:
    """Parameters after a run that is stopped, written to a checkpoint and resumed."""
    prior = ms.Empirical(torch.rand(5, 3, 8, 8, generator=generator(5), dtype=F64), ms.VP())
    folder.mkdir()
    method = ms.VSD(scale=1.0, auxiliary=ms.methods.MLPAuxiliary(cameras=6), camera=ms.methods.pose)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    z = torch.zeros(4, 3, 8, 8, dtype=F64)
    state, start = None, 0
    for stop in stops:
        if start:
            template: dict[str, object] = {"generator": module, "optimizer": optimizer, "method": method.init(z, prior)}
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.zero_()
            state = read_checkpoint(folder / f"step-{start:08d}").restore(template)["method"]
        for step in ms.distill(
            module, prior, method, optimizer, steps=steps, start=start, batch=4, rng=ms.Streams(1), state=state
        ):
            state = step.state
            if step.index + 1 == stop:
                break
        write_checkpoint(folder, stop, {"generator": module, "optimizer": optimizer, "method": state}, 2)
        start = stop
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def test_a_resumed_ensemble_is_the_uninterrupted_one(tmp_path):
    whole = optimise(ms.Ensemble([nerf(), nerf()]), (4,), tmp_path / "one")
    assert torch.equal(whole, optimise(ms.Ensemble([nerf(), nerf()]), (2, 4), tmp_path / "two"))
    half = len(whole) // 2
    assert not torch.equal(whole[:half], whole[half:])  # cameras and noise of their own


def test_dead_paths_of_every_drawing_are_relocated():
    members = [drawing(seed) for seed in range(2)]
    with torch.no_grad():
        members[0].colors[1, 0, 3] = 0.0
        members[1].colors[0, 2, 3] = 0.0
    module = ms.Ensemble(members)
    optimizer = torch.optim.Adam(module.parameters())
    module.advance(0.3)
    due = next(step for step in range(1000) if members[0].relocation.due(step, 0.3))
    moved = module.relocate(optimizer, due, ms.Streams(0, due))
    assert moved is not None and set(zip(moved.items, moved.elements, strict=True)) >= {(1, 0), (2, 2)}
    assert members[1]._progress == 0.3


def test_stages_advance_together():
    stages = [ms.generators.ResolutionStage(0.0, 4, 0), ms.generators.ResolutionStage(0.5, 8, 1)]
    module = ms.Ensemble([ms.NeRF(ms.generators.Dense((4, 6)), size=8, samples=4, stages=stages) for _ in range(2)])
    assert module(module.view(2, ms.Streams(0))).image.shape[-1] == 4
    module.advance(0.5)
    assert module(module.view(2, ms.Streams(0))).image.shape[-1] == 8


@pytest.mark.slow
def test_files_of_each_particle():
    module = ms.Ensemble([nerf(), nerf(0.3)])
    artifacts = {artifact.path: artifact for artifact in module.exports()}
    assert "exports/images.npy" in artifacts
    for particle in range(2):
        assert artifacts[f"media/particle-{particle}/sides.png"].data
        assert f"exports/particle-{particle}/mesh.glb" in artifacts
        assert artifacts[f"media/particle-{particle}/sides.png"].note.startswith(f"particle {particle}: ")
    assert len(module.item_labels) == 12 and module.item_labels[6] == "p1-az000"
    assert module.preview_view().particle_of_item == (0,) * 6 + (1,) * 6


def test_mistakes_are_one_clear_line():
    module = ms.Ensemble([nerf(), nerf()])
    with pytest.raises(ValueError, match="an ensemble of 2 needs a multiple of 2 items, got 3; try 2"):
        module.view(3, ms.Streams(0))
    with pytest.raises(ValueError, match="2 images are 2 items, got batch=1"):
        ms.Ensemble([latent(0), latent(1)]).view(2, ms.Streams(0))
    with pytest.raises(ValueError, match="an ensemble needs at least one generator, got none; try"):
        ms.Ensemble([])
    with pytest.raises(TypeError, match="generators of one kind such as NeRFs, got NeRF, Latent"):
        ms.Ensemble([nerf(), latent(0)])
    with pytest.raises(TypeError, match="got Ensemble"):
        ms.Ensemble([module])
    with pytest.raises(ValueError, match="different generators with equal numbers of items, got numbers 1, 1"):
        one = nerf()
        ms.Ensemble([one, one])
    with pytest.raises(ValueError, match="a mesh needs one 3D shape, got 2 particles; the files of each are in"):
        single_shape(module, "a mesh")
    with pytest.raises(ValueError, match="a mesh needs a 3D shape, got a Latent"):
        single_shape(latent(0), "a mesh")
