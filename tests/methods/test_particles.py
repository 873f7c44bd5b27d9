"""Particles: all views of one object share theirs, each image and each point of a cloud has its own."""

from __future__ import annotations

import pytest
import torch
from cases_phi import FOUR, context, prior_on, step
from cases_shift import generator, three_gaussians
from torch import Tensor

import modeseek as ms
from modeseek.config.registry import REGISTRY
from modeseek.generators.camera import CameraView
from modeseek.generators.vector.rendering import DrawingView
from modeseek.methods import CFD, DSD, FSD, POSE_NUMBERS, RSD, PerParticle, pose
from modeseek.methods.noise_maps import NoiseMap
from modeseek.methods.vsd import Camera

F64 = torch.float64


def nerf(size: int = 8, sides: tuple[int, ...] = (6,), **options: object) -> ms.NeRF:
    torch.manual_seed(0)
    return ms.NeRF(ms.generators.Dense(sides), size=size, samples=8, **options).to(F64)


def images(size: int = 8) -> ms.Empirical:
    return ms.Empirical(torch.rand(5, 3, size, size, generator=generator(5), dtype=F64), ms.VP())


class Seen:
    """SDS that keeps the context of each step."""

    references, guides = ("sds",), False

    def __init__(self) -> None:
        self.contexts: list[ms.RenderContext] = []

    def init(self, z: Tensor, prior: ms.Prior) -> None:
        return None

    def step(self, z: Tensor, prior: ms.Prior, state: None, **options: object) -> tuple[ms.Direction, None]:
        self.contexts.append(options["context"])  # pyright: ignore[reportArgumentType]
        return ms.Direction(torch.zeros_like(z)), None


def particles_in(module: torch.nn.Module, prior: ms.Prior, batch: int, **options: object) -> list[int]:
    method = Seen()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.0)
    list(ms.distill(module, prior, method, optimizer, steps=1, batch=batch, rng=0, **options))
    return method.contexts[0].particle.tolist()


def test_the_loop_tells_the_particle_of_each_row():
    vectors = prior_on("VP", three_gaussians())
    assert particles_in(nerf(), images(), 4) == [0, 0, 0, 0]
    assert particles_in(ms.Points(FOUR), vectors, 1) == [0, 1, 2, 3]
    assert particles_in(ms.Latent(FOUR), vectors, 4) == [0, 1, 2, 3]
    assert particles_in(ms.Field(3, (8, 8), 0, width=4, depth=1, like=FOUR), images(), 3) == [0, 1, 2]
    assert particles_in(ms.Ensemble([nerf(), nerf()]), images(), 4) == [0, 0, 1, 1]
    assert particles_in(ms.Ensemble([ms.Points(FOUR), ms.Points(FOUR)]), vectors, 2) == list(range(8))
    assert particles_in(ms.Ensemble([ms.Latent(FOUR), ms.Latent(FOUR)]), vectors, 8) == list(range(8))


def test_a_part_of_a_view_keeps_its_particles():
    view = nerf().view(4, ms.Streams(0))
    assert view.particle_of_item == (0,) * 4 and view.select(slice(1, 3)).particle_of_item == (0, 0)
    pair = CameraView.concatenate([view.select(slice(2, 4)), view.select(slice(0, 2))])
    assert pair.items == (2, 3, 0, 1) and torch.equal(pair.cameras.azimuth, view.cameras.azimuth[[2, 3, 0, 1]])
    assert pair.jitter is not None and view.jitter is not None and torch.equal(pair.jitter[0], view.jitter[2])
    several = ms.View((3, 5), particles=(7, 7))
    assert several.select(slice(1, 2)).particle_of_row(1).tolist() == [7]
    assert ms.View((3, 5)).particle_of_row(4).tolist() == [6, 7, 10, 11]
    drawn = DrawingView((0, 1), torch.rand(2, 3), (4, 5)).select(slice(1, 2))
    assert drawn.particle_of_item == (1,) and drawn.keep == (5,)
    with pytest.raises(ValueError, match="the number of rows must be a multiple of the 2 items, got 3"):
        several.particle_of_row(3)


def test_views_of_one_nerf_do_not_repel_and_two_nerfs_do():
    prior, repelled, plain = images(), RSD(repulsion=200.0), ms.SDS()

    def directions(module: torch.nn.Module, method: ms.Method) -> Tensor:
        optimizer = torch.optim.SGD(module.parameters(), lr=0.0)
        return next(iter(ms.distill(module, prior, method, optimizer, steps=2, batch=4, rng=3))).direction.grad

    assert torch.equal(directions(nerf(), repelled), directions(nerf(), plain))
    other = nerf()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.1)
    pair = ms.Ensemble([nerf(), other])
    apart = directions(pair, repelled) - directions(pair, plain)
    assert (apart.flatten(1).norm(dim=1) > 0.1 * directions(pair, plain).flatten(1).norm(dim=1)).all()


@pytest.mark.parametrize("method", [DSD(ode_steps=2), CFD(refresh=0.0), FSD()])
def test_all_views_of_one_particle_share_one_noise(method):
    prior, rng = prior_on("VP", three_gaussians()), ms.Streams(4, 0, (0, 1, 2, 3))
    shared = context(FOUR, torch.tensor([0, 0, 5, 5]))
    _, state = method.step(FOUR, prior, method.init(FOUR, prior), progress=0.0, rng=rng, context=shared)
    assert set(state.noise) == {0, 5} and not torch.equal(state.noise[0], state.noise[5])
    used = PerParticle()(state.noise, FOUR, shared, rng)
    assert torch.equal(used[0], used[1]) and torch.equal(used[2], used[3]) and not torch.equal(used[0], used[2])
    # the draws depend on seed and particle alone: not on step, batch or order
    later = context(FOUR[:2], torch.tensor([5, 0]))
    drawn = PerParticle().draw({}, FOUR[:2], later, ms.Streams(4, 77, (8, 9)))
    assert torch.equal(drawn[5], state.noise[5]) and torch.equal(drawn[0], state.noise[0])


def test_dsd_draws_one_shape_to_one_seed_and_two_to_two():
    def seeds(module: torch.nn.Module) -> dict[int, Tensor]:
        optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
        method = DSD(ode_steps=1)
        return list(ms.distill(module, images(), method, optimizer, steps=2, batch=4, rng=1))[-1].state.noise

    one, two = seeds(nerf()), seeds(ms.Ensemble([nerf(), nerf()]))
    assert set(one) == {0} and set(two) == {0, 1} and torch.equal(one[0], two[0])


def test_names_of_noise_maps_and_cameras():
    assert REGISTRY.deserialize(NoiseMap, "per-particle") == PerParticle()
    assert REGISTRY.deserialize(NoiseMap, "per-item") == PerParticle()  # as earlier versions wrote it
    assert REGISTRY.serialize(PerParticle(), hint=NoiseMap) == "per-particle"
    with pytest.raises(ValueError, match=r"known are per-particle, voxels, triplanes$"):
        REGISTRY.deserialize(NoiseMap, "per-pixel")
    assert REGISTRY.deserialize(Camera, "pose") is pose


def test_the_pose_of_a_camera():
    module = nerf()
    cameras = ms.generators.Cameras(
        *(torch.tensor(x, dtype=F64) for x in ([90.0, -30.0], [0.0, 30.0], [1.0, 2.0], [60.0, 90.0]))
    )
    view = module.view_from(cameras)
    image = torch.zeros(2, 3, 8, 8, dtype=F64)
    where = ms.RenderContext(
        view, ms.Rendering(view, image), image, ms.codec.Identity(), torch.arange(2), torch.zeros(2, dtype=torch.long)
    )
    half, root, pi = 0.5, 0.75**0.5, torch.pi
    want = [
        [1.0, 0.0, 0.0, 1.0, 0.0, pi / 3],
        [-half, root, half, root, float(torch.tensor(2.0, dtype=F64).log()), pi / 2],
    ]
    assert torch.allclose(pose(where), torch.tensor(want, dtype=F64), rtol=1e-12, atol=1e-12)
    assert pose(where).shape[1] == POSE_NUMBERS
    with pytest.raises(ValueError, match="camera pose needs a view with cameras, got a View; try camera=None"):
        pose(context(FOUR))


def test_a_phi_without_camera_numbers_says_how_many_the_pose_has():
    module = nerf()
    method = ms.VSD(scale=1.0, camera=pose)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.0)
    with pytest.raises(ValueError, match="camera must have 0 numbers per row, .* got 6; try cameras=6"):
        next(iter(ms.distill(module, images(), method, optimizer, steps=1, batch=2, rng=0)))
    seen = ms.VSD(scale=1.0, camera=pose, auxiliary=ms.methods.MLPAuxiliary(cameras=POSE_NUMBERS))
    assert (
        next(iter(ms.distill(module, images(), seen, optimizer, steps=1, batch=2, rng=0)))
        .direction.grad.isfinite()
        .all()
    )


def test_one_row_of_a_method_without_context_is_its_own_particle():
    assert step(CFD(), FOUR, prior_on("VP", three_gaussians()), ms.Streams(0, 0, (0, 1, 2, 3))).eps is not None
