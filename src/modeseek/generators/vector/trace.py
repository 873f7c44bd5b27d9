"""Images traced: colour regions as layers of closed cubic paths."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from modeseek.generators.vector.outline import Contour, divide, fit_outline
from modeseek.generators.vector.paths import Paths, circle, pixels_to_canvas
from modeseek.generators.vector.regions import Regions, color_regions, layered_shapes

Array = np.ndarray
_SPARE_OPACITY = 0.1
_SPARE_RADIUS = 1 / 32  # of the longer side
_REGIONS = 0.7  # share of the paths that are for regions; others are for their parts
_GAIN = 2.0  # squared error that the division of an outline must save
_OVERLAP = 2.0  # pixels by which parts of a region overlap
_LARGEST = 128  # pixels; larger images are traced at this size
_MARGIN = 2  # pixels by which shapes at the border go on beyond it


def trace(image: Float[Tensor, "3 h w"], paths: int, cubics: int, *, least: float = 0.3) -> Paths:
    """Traces an image: connected colour regions as closed cubic paths, the largest at the bottom.

    A region's outline, half way between the colours of its two sides, becomes cubics by least squares; corners are
    kept. Larger regions go on below smaller ones and have their holes filled, opacities are 1. Outlines that are too
    complex for one path are divided at necks. Paths that are left over are small, nearly transparent circles on top,
    where the regions differ most from the image. No gradient. One thread takes about 0.8 s for 64 x 64 pixels; images
    with a side above 128 pixels are reduced to that.

    Args:
        image: pixels in [0, 1]; values outside are clipped.
        paths: number of fills, >= 1.
        cubics: number of cubics of each, >= 2.
        least: squared error, summed over pixels and channels, that a region must save; 0.3 drops shading and noise of
            emoji at 64 x 64 pixels, and keeps an eye of 2 x 2 pixels.

    Raises:
        ValueError: an image of another shape, not finite, or smaller than 4 pixels; too few paths or cubics; or
            scikit-image is missing.
    """
    if find_spec("skimage") is None:
        raise ValueError("tracing needs the package scikit-image, which is missing; pip install 'modeseek[vector]'")
    if image.ndim != 3 or image.shape[0] != 3 or min(image.shape[1:]) < 4 or not image.isfinite().all():
        raise ValueError(f"an image to trace must be finite (3, h, w) of at least 4 pixels, got {tuple(image.shape)}")
    if paths < 1 or cubics < 2 or not least >= 0:
        raise ValueError(
            f"trace needs paths >= 1, cubics >= 2 and least >= 0, got {paths}, {cubics} and {least}; try 24, 4 and 0.3"
        )
    shrunk = min(1.0, _LARGEST / max(image.shape[1:]))
    size = (max(2, round(image.shape[1] * shrunk)), max(2, round(image.shape[2] * shrunk)))
    small = image.detach().cpu().double().clamp(0, 1)
    if shrunk < 1:
        small = nn.functional.interpolate(small[None], size, mode="bilinear", align_corners=False, antialias=True)[0]
    pixels = small.permute(1, 2, 0).numpy()
    regions = color_regions(pixels, max(1, round(_REGIONS * paths)), least)
    parts = _divided(_parts(regions, cubics), paths, cubics)
    spare = _spare_circles(pixels, regions, paths - len(parts), cubics)
    controls = np.array([part.control for part in parts]).reshape(-1, 3 * cubics, 2)
    points = torch.cat([torch.from_numpy(controls), spare[0]])
    solid = torch.from_numpy(regions.colors[[part.label for part in parts]].reshape(-1, 3))
    opaque = torch.cat([solid, torch.ones(len(parts), 1)], 1)
    return Paths(
        pixels_to_canvas(points, size).to(image)[None],
        image.new_zeros(1, 0, 4, 2),
        image.new_zeros(1, 0),
        torch.cat([opaque, spare[1]]).to(image)[None],
        torch.arange(paths, device=image.device)[None],
        torch.zeros(1, paths, dtype=torch.bool, device=image.device),
        torch.from_numpy(regions.colors[:1]).to(image),
    )


@dataclass(frozen=True, eq=False)
class _Part:
    """Part of a region that one path paints: label, outline, control points, and squared error of its outline."""

    label: int
    outline: Contour
    control: Array
    error: float


def _part(label: int, outline: Contour, cubics: int) -> _Part:
    return _Part(label, outline, *fit_outline(outline, cubics))


def _parts(regions: Regions, cubics: int) -> list[_Part]:
    """One part for each region, from the bottom to the top."""
    outlines = ((label, _contour(shape, label, regions)) for label, shape in layered_shapes(regions))
    return [_part(label, outline, cubics) for label, outline in outlines]


def _divided(parts: list[_Part], most: int, cubics: int) -> list[_Part]:
    """Parts of outlines that are too complex for their cubics divided at necks, while there are paths left."""
    whole: set[_Part] = set()
    while len(parts) < most:
        open_parts = [part for part in parts if part.error > _GAIN and part not in whole]
        if not open_parts:
            break
        worst = max(open_parts, key=lambda part: part.error)
        divided = divide(worst.outline, _OVERLAP)
        two = [] if divided is None else [_part(worst.label, outline, cubics) for outline in divided]
        if not two or sum(part.error for part in two) > worst.error - _GAIN:
            whole.add(worst)
            continue
        at = parts.index(worst)
        parts = [*parts[:at], *two, *parts[at + 1 :]]
    return parts


def _contour(shape: Bool[Array, "h w"], label: int, regions: Regions) -> Contour:
    """Contour of a painted shape, pixels, with the contrast across it; at the border it goes on a little beyond.

    Where no cell of the region itself is near, the outline lies below later shapes: its contrast is 0.
    """
    from scipy import ndimage
    from skimage.measure import find_contours

    factor = regions.factor
    margin = _MARGIN * factor
    padded = np.pad(np.pad(shape, margin, mode="edge"), 4).astype(float)
    soft = ndimage.gaussian_filter(padded, 1.0)
    longest = max(find_contours(soft, soft.max() / 2), key=len)[:-1]
    cells = longest - margin - 4
    labels = np.pad(regions.labels, margin + 4, mode="edge")
    contrast = ((regions.colors - regions.colors[label]) ** 2).sum(-1)[labels]
    reach = 2 * max(1, factor // 2) + 1
    near = ndimage.maximum_filter(labels == label, reach)
    across = ndimage.maximum_filter(contrast, reach) * near
    row, column = longest.round().astype(int).T
    return Contour((cells[:, ::-1] + 0.5) / factor, across[row, column])


def _spare_circles(image: Array, regions: Regions, n: int, cubics: int) -> tuple[Tensor, Tensor]:
    """Points, pixels, and colours of n small circles where the image differs most from its regions."""
    from scipy.ndimage import gaussian_filter

    height, width, _ = image.shape
    flat = regions.colors[regions.labels].reshape(height, regions.factor, width, regions.factor, 3).mean((1, 3))
    error = gaussian_filter(((image - flat) ** 2).sum(-1), 1.0)
    radius = max(1.0, max(height, width) * _SPARE_RADIUS)
    y, x = np.mgrid[:height, :width]
    centers, colors = [], []
    for _ in range(n):
        row, column = np.unravel_index(error.argmax(), error.shape)
        centers.append((column + 0.5, row + 0.5))
        colors.append((*image[row, column], _SPARE_OPACITY))
        error = np.where((x - column) ** 2 + (y - row) ** 2 <= (2 * radius) ** 2, error * 0.1, error)
    center = torch.tensor(centers, dtype=torch.float64).reshape(-1, 2)
    radii = torch.full((n,), radius, dtype=torch.float64)
    return circle(center, radii, cubics), torch.tensor(colors, dtype=torch.float64).reshape(-1, 4)
