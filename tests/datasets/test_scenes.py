"""The scenes against ray-sphere intersection and a dense march in float64; captions against their inverse."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from modeseek.datasets.scenes import (
    CaptionObject,
    Layouts,
    ParsedCaption,
    RenderedScenes,
    Scenes,
    ViewPhrase,
    is_held_out,
    parse,
)
from modeseek.datasets.scenes.held_out import combinations
from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.placement import world_support
from modeseek.datasets.scenes.sampling import SceneContents
from modeseek.datasets.scenes.sdf_points import SDFPoints
from modeseek.datasets.scenes.view_phrases import (
    AZIMUTHS,
    COARSE_PHRASES,
    HEIGHTS,
    VIEW_PHRASES,
    coarse_phrase,
    fine_phrase,
)
from modeseek.datasets.scenes.vocabulary import COLOURS, RELATIONS, SIZES
from modeseek.generators.camera import camera_frame, wrap_degrees

NAMES = list(OBJECT_TYPES)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def alone(object_type: str, azimuth: float, elevation: float, colour: str = "red", **changes: torch.Tensor) -> Layouts:
    """One thing at the origin, unit scale, distance 5, 40 degrees of view, a lamp straight above the camera."""
    drawn = Scenes().layouts_for([f"a {colour} {object_type}"], seeded(0))
    fixed: dict[str, torch.Tensor] = {
        "scale": torch.ones(1, 2),
        "position": torch.zeros(1, 2, 3),
        "azimuth": torch.tensor([azimuth]),
        "elevation": torch.tensor([elevation]),
        "distance": torch.tensor([5.0]),
        "fov": torch.tensor([40.0]),
        "light": torch.tensor([[0.0, 0.6, 0.8]]),
        "background": torch.full((1, 2, 3), 0.8),
    }
    return replace(drawn, **{**fixed, **changes})


def numpy_rays(
    azimuth: float, elevation: float, distance: float, fov: float, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eye, (s, s, 3) unit directions and the viewing axis, from two rotation matrices."""
    a, e = math.radians(azimuth), math.radians(elevation)
    about_y = np.array([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(e), math.sin(e)], [0, -math.sin(e), math.cos(e)]])
    # about_x lifts +z to +y: (0, 0, 1) -> (0, sin e, cos e).
    turn = about_y @ about_x
    ticks = ((np.arange(size) + 0.5) / size * 2 - 1) * math.tan(math.radians(fov) / 2)
    local = np.stack(np.broadcast_arrays(ticks[None, :], -ticks[:, None], -1.0), -1)
    world = local @ turn.T
    return turn @ [0, 0, distance], world / np.linalg.norm(world, axis=-1, keepdims=True), turn @ [0, 0, -1.0]


# Which points lie inside, written without the library, in the thing's axes.
INSIDE = {
    "sphere": lambda x, y, z: x**2 + y**2 + z**2 < 0.9**2,
    "cube": lambda x, y, z: np.maximum(np.maximum(abs(x), abs(y)), abs(z)) < 0.62,
    "cylinder": lambda x, y, z: (x**2 + z**2 < 0.56**2) & (abs(y) < 0.78),
    "cone": lambda x, y, z: (abs(y) < 0.85) & (np.sqrt(x**2 + z**2) < 0.78 * (0.85 - y) / 1.7),
    "torus": lambda x, y, z: (np.sqrt(x**2 + y**2) - 0.68) ** 2 + z**2 < 0.28**2,
    "capsule": lambda x, y, z: x**2 + z**2 + np.maximum(abs(y) - 0.5, 0) ** 2 < 0.45**2,
    "table": lambda x, y, z: (
        ((abs(x) < 0.92) & (abs(y - 0.4) < 0.09) & (abs(z) < 0.66))
        | ((abs(abs(x) - 0.76) < 0.09) & (abs(y + 0.07) < 0.42) & (abs(abs(z) - 0.5) < 0.09))
    ),
}


def first_inside(thing: str, eye: np.ndarray, rays: np.ndarray, step: float = 0.004) -> np.ndarray:
    """How far each ray goes to the first sample inside; inf if none."""
    out = np.full(rays.shape[:-1], np.inf)
    for t in np.arange(3.3, 6.7, step):
        p = eye + t * rays
        out = np.where(np.isinf(out) & INSIDE[thing](p[..., 0], p[..., 1], p[..., 2]), t - step / 2, out)
    return out


def test_a_sphere_is_where_the_quadratic_says() -> None:
    where = torch.tensor([[[0.4, -0.2, 0.3], [0.0, 0.0, 0.0]]])
    renders = Scenes(48, 4).render(alone("sphere", 35.0, 20.0, position=where))
    eye, rays, axis = numpy_rays(35.0, 20.0, 5.0, 40.0, 48)
    offset = eye - where[0, 0].double().numpy()
    half_b = rays @ offset
    disc = half_b**2 - (offset @ offset - 0.9**2)
    hit = disc > 0
    t = -half_b - np.sqrt(np.where(hit, disc, 0))
    sure = abs(disc) > 0.02
    assert ((renders.ids[0, 0].numpy() > 0) == hit)[sure].all()
    both = disc > 0.02
    error = np.abs(renders.depth[0, 0].numpy() - t * (rays @ axis))[both]
    assert error.max() < 9e-3 and np.median(error) < 1e-3
    normals = (eye + t[..., None] * rays - where[0, 0].double().numpy()) / 0.9
    assert (renders.normals[0].permute(1, 2, 0).numpy() * normals).sum(-1)[both].min() > 0.999
    # The coverage adds up to the silhouette's area: an ellipse, integrated here on a ten times finer grid.
    _, dense, _ = numpy_rays(35.0, 20.0, 5.0, 40.0, 480)
    area = ((dense @ offset) ** 2 > offset @ offset - 0.9**2).mean()
    assert renders.mask.mean().item() == pytest.approx(area, rel=0.01)


@pytest.mark.parametrize("thing", list(INSIDE))
@pytest.mark.parametrize(("azimuth", "elevation"), [(25.0, 20.0), (-140.0, 40.0)])
def test_depth_is_that_of_a_dense_march(thing: str, azimuth: float, elevation: float) -> None:
    size = 40
    renders = Scenes(size, 1).render(alone(thing, azimuth, elevation))
    eye, rays, axis = numpy_rays(azimuth, elevation, 5.0, 40.0, size)
    t = first_inside(thing, eye, rays)
    ours = renders.depth[0, 0].double().numpy()
    hit = np.isfinite(t)
    assert ((ours > 0) == hit).mean() > 0.99  # but for rays that graze
    error = np.abs(ours - np.where(hit, t, 0) * (rays @ axis))[hit & (ours > 0)]
    assert np.quantile(error, 0.97) < 8e-3  # edges are rounded by 0.03 at most
    assert np.median(error) < 3e-3


@pytest.mark.parametrize("name", NAMES)
def test_distances_are_safe_and_boxes_hold(name: str) -> None:
    thing, rng = OBJECT_TYPES[name], seeded(3)
    low, high = (torch.tensor(c, dtype=torch.float64) for c in thing.bounding_box)
    p = torch.rand(60_000, 3, generator=rng, dtype=torch.float64) * 2.6 - 1.3
    far = thing.distance(SDFPoints(*p.T))
    outside = ((p < low - 1e-6) | (p > high + 1e-6)).any(1)
    assert not (far[outside] < 0).any()
    # Never steeper than one: no step of a ray jumps over a surface.
    q = p + 0.01 * torch.randn(p.shape, generator=rng, dtype=torch.float64)
    slope = (thing.distance(SDFPoints(*q.T)) - far).abs() / (p - q).norm(dim=-1)
    assert slope.max() < 1 + 1e-5
    # Never more than the distance to points found inside by chance.
    inside = p[far < 0]
    probes = p[far > 0][:2000]
    assert len(inside) > 200
    assert (torch.cdist(probes, inside).amin(1) - far[far > 0][:2000]).min() > -1e-9
    # About as large as the unit ball, and the box is not loose: something solid lies near each of its sides.
    assert 0.8 < p[far < 0].norm(dim=-1).max() < 1.25
    assert (inside.amin(0) - low).max() < 0.17 and (high - inside.amax(0)).max() < 0.17


def test_mirrored_views_of_what_is_symmetric_are_mirror_images() -> None:
    for name in ("robot head", "chair", "torus", "duck", "house", "car"):
        left = Scenes().render(alone(name, -40.0, 15.0))
        right = Scenes().render(alone(name, 40.0, 15.0))
        assert (left.image - right.image.flip(-1)).abs().mean() < 6e-4
        assert (left.image - right.image).abs().mean() > 0.005


def test_fronts_are_seen_and_a_sphere_has_none() -> None:
    def image_of(name: str, azimuth: float) -> torch.Tensor:
        return Scenes().render(alone(name, azimuth, 10.0)).image

    for name in ("cube with a white face", "robot head", "snowman", "house", "chair", "car", "duck", "bear head"):
        assert (image_of(name, 0.0) - image_of(name, 180.0)).abs().mean() > 0.002, name
    assert (image_of("mug", 0.0) - image_of("mug", 180.0)).abs().mean() > 0.01  # the handle changes sides
    assert (image_of("sphere", 0.0) - image_of("sphere", 100.0)).abs().max() < 0.02
    white = [(image_of("cube with a white face", a)[0].amin(0) > 0.85).sum().item() for a in (0.0, 180.0)]
    assert white[0] > 200 and white[1] == 0


def test_azimuth_carries_the_camera_to_its_right() -> None:
    ninety = camera_frame(torch.tensor([90.0]), torch.zeros(1), torch.tensor([3.0]))
    assert torch.allclose(ninety.position, torch.tensor([[3.0, 0.0, 0.0]]), atol=1e-6)
    assert torch.allclose(ninety.right, torch.tensor([[0.0, 0.0, -1.0]]), atol=1e-6)
    # The mug's handle is on its +x side: right in the front view, left in the back view.
    for azimuth, side in ((0.0, 1), (180.0, -1)):
        mask = Scenes().render(alone("mug", azimuth, 0.0)).mask[0, 0]
        columns = mask.sum(0).nonzero()[:, 0]
        thin = [int((mask[:, c] > 0).sum()) for c in (columns[1], columns[-2])]
        assert (thin[0] - thin[1]) * side > 0
    # From the right, a front on +z is seen on the left of the image.
    shot = Scenes().render(alone("cube with a white face", 45.0, 0.0))
    bright = (shot.image[0].amin(0) > 0.7) & (shot.mask[0, 0] == 1)
    assert bright.nonzero()[:, 1].float().mean() < 32


def test_rotating_object_and_camera_together_changes_no_image() -> None:
    still = Scenes().render(alone("mug", 20.0, 25.0))
    turned = Scenes().render(alone("mug", 85.0, 25.0, yaw=torch.full((1, 2), 65.0)))
    assert (still.image - turned.image).abs().mean() < 6e-4
    other = Scenes().render(alone("mug", -45.0, 25.0, yaw=torch.full((1, 2), 65.0)))
    assert (still.image - other.image).abs().mean() > 0.01
    # Normals are in world axes: they turn with the thing, (x, z) -> (x cos + z sin, z cos - x sin).
    c, s = math.cos(math.radians(65.0)), math.sin(math.radians(65.0))
    x, y, z = still.normals[0]
    expected = torch.stack([c * x + s * z, y, c * z - s * x])
    assert (expected - turned.normals[0]).abs().mean() < 2e-3


@pytest.fixture(scope="module")
def many() -> RenderedScenes:
    return Scenes().batch(400, seeded(11))


@pytest.mark.slow
def test_the_same_seed_gives_the_same_renders() -> None:
    once, again, other = (Scenes().batch(40, seeded(seed)) for seed in (11, 11, 12))
    assert again.captions == once.captions != other.captions
    for name in ("image", "depth", "mask", "ids", "normals"):
        assert torch.equal(getattr(again, name), getattr(once, name))


def test_a_scene_does_not_depend_on_its_batch(many: RenderedScenes) -> None:
    for rows in ([0], [7, 3], list(range(50, 90))):
        part = Scenes().render(many.layouts[rows])
        assert part.captions == [many.captions[i] for i in rows]
        assert (part.image - many.image[rows]).abs().max() < 1e-5
        assert (part.depth - many.depth[rows]).abs().max() < 1e-5


def test_what_is_rendered_is_in_range_and_in_the_frame(many: RenderedScenes) -> None:
    assert 0 <= many.image.min() and many.image.max() <= 1 and many.image.dtype == torch.float32
    border = torch.cat([many.mask[..., 0], many.mask[..., -1], many.mask[..., 0, :], many.mask[..., -1, :]], -1)
    assert (border.amax((1, 2)) > 0).float().mean() < 0.01
    assert torch.equal(many.ids > 0, many.depth > 0)
    lengths = many.normals.norm(dim=1, keepdim=True)
    assert torch.allclose(lengths, (many.ids > 0).float(), atol=1e-4)
    # A normal never points away from the camera by more than a grazing ray's rounding.
    to_camera = camera_frame(many.layouts.azimuth, many.layouts.elevation, many.layouts.distance).position
    to_camera = to_camera / to_camera.norm(dim=-1, keepdim=True)
    facing = (many.normals * to_camera[:, :, None, None]).sum(1, keepdim=True)[many.ids > 0]
    assert (facing < -0.35).float().mean() < 0.002
    # Every object is seen, with few exceptions by more than a handful of pixels.
    seen = torch.stack([(many.ids == i + 1).sum((1, 2, 3)) for i in range(2)], 1)[many.layouts.object_type >= 0]
    assert seen.min() > 0 and (seen < 30).float().mean() < 0.04


def test_things_alone_fill_half_to_three_quarters_of_the_side(many: RenderedScenes) -> None:
    medium = (many.layouts.relation < 0) & (many.layouts.size[:, 0] == 0)
    sides = []
    for mask in many.mask[medium, 0]:
        rows, columns = (mask > 0.5).nonzero().unbind(-1)
        sides.append(max(int(rows.max() - rows.min()), int(columns.max() - columns.min())) + 1)
    assert 0.5 < np.mean(sides) / 64 < 0.72 and min(sides) > 26


def test_relations_hold_in_the_world_and_in_the_image(many: RenderedScenes) -> None:
    layouts = many.layouts
    up = torch.tensor([[0.0, 1.0, 0.0]])
    rows = torch.arange(64.0).view(1, 64, 1).expand(1, 64, 64)
    middle = [
        torch.stack([(axis * (many.ids == i + 1)).sum((1, 2, 3)) for axis in (rows, rows.transpose(1, 2))], 1)
        / (many.ids == i + 1).sum((1, 2, 3)).clamp(min=1)[:, None]
        for i in range(2)
    ]
    checked = set()
    for i in (layouts.relation >= 0).nonzero()[:, 0].tolist():
        one = layouts[i]
        relation = RELATIONS[int(one.relation)]
        checked.add(relation)
        a, b = (
            {
                sign: sign * world_support(one.object_type[:, s], one.scale[:, s], one.yaw[:, s], sign * up).item()
                + one.position[0, s, 1].item()
                for sign in (-1, 1)
            }
            for s in (0, 1)
        )
        if relation == "on":
            seat = OBJECT_TYPES[NAMES[int(one.object_type[0, 1])]].seat
            assert seat is not None
            assert a[-1] == pytest.approx(one.position[0, 1, 1].item() + seat[1] * one.scale[0, 1].item(), abs=1e-4)
            assert middle[0][i, 0] < middle[1][i, 0]  # higher in the image
            continue
        assert a[-1] == pytest.approx(b[-1], abs=1e-4)  # one ground
        camera = camera_frame(one.azimuth, one.elevation, one.distance)
        apart = one.position[0, 0] - one.position[0, 1]
        if relation == "beside":
            overlap = abs(middle[0][i, 1] - middle[1][i, 1])
            assert overlap > 8  # columns apart
            assert abs((apart * camera.forward[0]).sum()) < abs((apart * camera.right[0]).sum())
        else:
            eye = camera.position[0] * torch.tensor([1.0, 0.0, 1.0])
            far = [(one.position[0, s] * torch.tensor([1.0, 0.0, 1.0]) - eye).norm().item() for s in (0, 1)]
            assert far[0] > far[1]
    assert checked == set(RELATIONS)


def test_view_phrases_describe_their_cameras(many: RenderedScenes) -> None:
    kinds = {0: 0, 1: 0, 2: 0}
    for i, caption in enumerate(many.captions):
        view = parse(caption).view
        kind = 0 if view is None else 1 if view.name else 2
        assert kind == int(many.layouts.view_detail[i])
        kinds[kind] += 1
        if view is not None:
            assert view.describes(many.layouts.azimuth[i].item(), many.layouts.elevation[i].item())
    assert 20 < kinds[0] < kinds[1] < kinds[2]
    assert fine_phrase(-29.0, 12.0) == ViewPhrase(azimuth=-30, height="slightly above") == fine_phrase(331.0, 12.0)
    assert fine_phrase(-178.0, 0.0).phrase == "from the back, at eye level"
    assert [coarse_phrase(float(a), 10.0).name for a in (0, 44, -46, 100, 136, 359)] == [
        COARSE_PHRASES[i] for i in (0, 0, 1, 1, 2, 0)
    ]
    assert coarse_phrase(77.0, 60.0).name == "overhead view" and len(AZIMUTHS) == 24


def test_layouts_for_captions_match_their_content() -> None:
    said = [f"a red mug on a blue cube, {phrase}" for phrase in VIEW_PHRASES] + ["a small pink duck"]
    layouts = Scenes().layouts_for(said, seeded(4))
    assert layouts.captions == said
    for i, view in enumerate(VIEW_PHRASES.values()):
        assert view.describes(layouts.azimuth[i].item(), layouts.elevation[i].item()), view.phrase
    assert SceneContents(layouts.object_type, layouts.colour, layouts.size, layouts.relation).to_captions(
        [parse(caption).view for caption in said]
    ) == [parse(caption) for caption in said]
    turned = Scenes().layouts_for(said[:2], seeded(4), azimuth=torch.tensor([10.0, 20.0]))
    assert turned.azimuth.tolist() == [10.0, 20.0]


@pytest.mark.parametrize("colour", list(COLOURS))
def test_colours_survive_shading(colour: str) -> None:
    renders = Scenes().render(
        Scenes().layouts_for([f"{'an' if colour == 'orange' else 'a'} {colour} cube"] * 12, seeded(5))
    )
    table = torch.tensor(list(COLOURS.values()))
    for image, mask in zip(renders.image, renders.mask, strict=True):
        mean = image[:, mask[0] == 1].mean(1)
        if colour == "black":
            assert mean.max() < 0.2
            continue
        # Shading scales a colour: compare directions.
        likeness = (table[:-1] / table[:-1].norm(dim=-1, keepdim=True)) @ (mean / mean.norm())
        assert list(COLOURS)[int(likeness.argmax())] == colour


def test_parse_inverts_captions() -> None:
    """Every object alone, first and second of two, with every relation and every view in turn."""
    objects = [CaptionObject(*words) for words in itertools.product(NAMES, COLOURS, (None, *SIZES))]
    views = [None, *map(ViewPhrase, COARSE_PHRASES)]
    views += [ViewPhrase(None, *view) for view in itertools.product(AZIMUTHS, HEIGHTS)]
    relation, view, seen = itertools.cycle(RELATIONS), itertools.cycle(views), set()
    for item, other in zip(objects, random.Random(0).sample(objects, len(objects)), strict=True):
        for named in ((item,), (item, other), (other, item)):
            said = ParsedCaption(named, next(relation) if len(named) == 2 else None, next(view))
            assert parse(said.caption) == said
            seen |= {said.relation, said.view}
    assert seen == {None, *RELATIONS, *views}


@pytest.mark.parametrize(
    "caption",
    ["", "a cube", "a red cube ", "A red cube", "an red cube", "a orange cube", "a red cube on", "a red cube, top view",
     "a red cube under a blue cube", "a red cube, from 20 degrees left, above", "x" * 10_000, "🙂", "a red\ncube"],
)  # fmt: skip
def test_texts_outside_the_grammar_are_refused_in_one_line(caption: str) -> None:
    with pytest.raises(ValueError, match="in the grammar of the scenes") as refused:
        parse(caption)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 700


def test_held_out_combinations_never_meet_training() -> None:
    scenes = Scenes()
    train, held = scenes.draw(4000, seeded(6)).captions, scenes.draw(1500, seeded(7), held_out=True).captions
    assert not any(is_held_out(parse(caption)) for caption in train)
    assert all(is_held_out(parse(caption)) for caption in held)

    def bare(caption: str) -> tuple[tuple[tuple[str, str], ...], str | None]:
        said = parse(caption)
        return tuple((o.object_type, o.colour) for o in said.objects), said.relation

    assert not {bare(c) for c in train} & {bare(c) for c in held}
    assert {len(parse(c).objects) for c in held} == {1, 2}
    share = np.mean([is_held_out(parse(c)) for c in scenes.draw(6000, seeded(8), held_out=None).captions])
    assert 0.025 < share < 0.08
    # The view and the sizes do not matter.
    for caption in held[:50]:
        said = parse(caption)
        assert is_held_out(
            ParsedCaption(tuple(replace(o, size="small") for o in said.objects), said.relation, ViewPhrase("side view"))
        )
    # Every thing and every colour is still trained on alone, with others.
    alone = combinations(False).alone
    assert torch.bincount(alone // len(COLOURS), minlength=len(OBJECT_TYPES)).min() >= 5
    assert torch.bincount(alone % len(COLOURS), minlength=len(COLOURS)).min() >= 10
    assert len(combinations(True).alone) >= 2


def test_the_vocabulary_is_rich_enough() -> None:
    assert len(COLOURS) == 8 and len(OBJECT_TYPES) >= 14 and set(RELATIONS) == {"on", "beside", "behind"}
    palette = torch.tensor(list(COLOURS.values()), dtype=torch.float64)
    assert (torch.cdist(palette, palette) + 9 * torch.eye(8)).min() > 0.3
    words = {word for caption in Scenes().draw(3000, seeded(9)).captions for word in caption.replace(",", "").split()}
    assert {w for name in NAMES for w in name.split()} <= words and {*COLOURS, *SIZES, *RELATIONS} <= words


def test_refused_settings() -> None:
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        Scenes(0)
    with pytest.raises(ValueError, match="samples must be at least 1"):
        Scenes(64, 0)
    with pytest.raises(ValueError, match="view must be one of"):
        ViewPhrase(azimuth=20, height="above")
    assert Scenes(16).batch(3, seeded(0)).image.shape == (3, 3, 16, 16)
    assert torch.equal(wrap_degrees(torch.tensor([190.0, -190.0, 180.0])), torch.tensor([-170.0, 170.0, -180.0]))


def test_variety_narrows_what_captions_leave_open_and_nothing_else() -> None:
    full, calm, still = (Scenes(variety=v).draw(600, seeded(3)) for v in (1.0, 0.3, 0.0))
    assert full.captions == calm.captions == still.captions and torch.equal(full.azimuth, calm.azimuth)
    for name, middle in (("fov", 34.0), ("background", 0.84)):
        wide, narrow, none = (getattr(scenes, name) - middle for scenes in (full, calm, still))
        assert torch.allclose(none, torch.zeros_like(none), atol=1e-5)
        assert 0.29 * wide.abs().max() < narrow.abs().max() < 0.32 * wide.abs().max()
    spread = full.scale[:, 0].unique().numel()
    assert spread > 500 and still.scale[:, 0].unique().numel() == 1 + len(SIZES)
    apart = (full.relation > 0).nonzero()[:, 0]
    for scenes, sides in ((full, {-1.0, 1.0}), (calm, {1.0})):
        right = camera_frame(scenes.azimuth, scenes.elevation, torch.ones_like(scenes.azimuth)).right
        side = ((scenes.position[:, 0] - scenes.position[:, 1]) * right).sum(1)[apart].sign()
        assert set(side.tolist()) == sides
    with pytest.raises(ValueError, match="variety must be in"):
        Scenes(variety=1.5)
