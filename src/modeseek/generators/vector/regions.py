"""Connected colour regions of an image, on a grid finer than its pixels, and the shapes that paint them in layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

Array = np.ndarray
_FINE = 256  # longest side of the grid on which outlines are found, at least
_FLAT = 0.03  # change of colour per pixel above which a pixel lies on an edge rather than in a flat region
_SAME = 0.15  # distance of two colours that pass for one background
_OVERLAP = 1.5  # pixels by which a lower shape goes on under the ones above it, so that no seam shows


@dataclass(frozen=True)
class Regions:
    """Partition of an image into connected regions of about one colour.

    Attributes:
        labels: region of each cell of the fine grid, (h, w); 0 is the background.
        colors: colour of each region, (k, 3), that of the background first.
        factor: number of cells of the fine grid along the side of a pixel.
    """

    labels: Int[Array, "h w"]
    colors: Float[Array, "k 3"]
    factor: int


def color_regions(image: Float[Array, "h w 3"], most: int, least: float) -> Regions:
    """Finds at most `most` connected colour regions of an image, beside its background.

    Pixels on an edge mix two colours and are of no region's: the basins of the gradient (watershed) give each the
    colour of the flat side that it drains to. Neighbouring basins are merged, always those whose merging adds the least
    squared error (Ward 1963), so small regions of another colour outlive slow shading. The background is the most
    common region at the border, and those of its colour there. On the fine grid, edges run where the interpolated image
    is half way between the colours of the two sides.

    Args:
        image: pixels in [0, 1].
        most: largest number of regions beside the background.
        least: squared error, summed over pixels and channels, below which regions are merged in any case.
    """
    ndimage = _ndimage()
    height, width, _ = image.shape
    basins, colors, flatness = _basins(image)
    steps, costs = _merging_order(colors[basins])
    kept = 1 + int((costs >= least).sum())
    regions = None
    for count in range(min(kept, most + 1), kept + 1):
        labels = _after_merging(steps, height * width, count).reshape(height, width)
        means = _means(image, labels, flatness)
        labels, means = _background_first(labels, means)
        if regions is not None and len(means) > most + 1:
            break
        regions = labels, means
    assert regions is not None
    labels, means = regions
    factor = max(1, round(_FINE / max(height, width)))
    fine = _refined(image, labels, means, factor)
    for label in range(1, len(means)):
        parts, number = ndimage.label(fine == label)
        if number > 1:
            fine[(parts > 0) & (parts != 1 + np.bincount(parts.ravel())[1:].argmax())] = -1
    if (fine < 0).any():
        nearest = ndimage.distance_transform_edt(fine < 0, return_distances=False, return_indices=True)
        fine = fine[tuple(nearest)]
    return Regions(fine, means, factor)


def layered_shapes(regions: Regions) -> Iterator[tuple[int, Bool[Array, "h w"]]]:
    """Yields the label and the painted shape of each region, the largest first.

    Below what is painted later a shape is free: it takes in its holes and, of its convex hull, what later shapes cover,
    so that common edges are painted once, not blended with what lies below, and outlines are simple.
    """
    from skimage.morphology import convex_hull_image

    ndimage = _ndimage()
    labels, factor = regions.labels, regions.factor
    boxes = ndimage.find_objects(labels)
    filled = {k: int(ndimage.binary_fill_holes(labels[box] == k).sum()) for k, box in enumerate(boxes, 1) if box}
    above = labels != 0
    for label in sorted(filled, key=lambda k: (-filled[k], k)):
        rows, columns = boxes[label - 1]
        window = tuple(
            slice(max(0, side.start - 2 * factor), min(length, side.stop + 2 * factor))
            for side, length in zip((rows, columns), labels.shape, strict=True)
        )
        own = labels[window] == label
        above[window] &= ~own
        allowed = ndimage.binary_erosion(own | above[window], iterations=max(1, factor // 2), border_value=1)
        under = convex_hull_image(own) | (ndimage.distance_transform_edt(~own) <= _OVERLAP * factor)
        whole = ndimage.binary_opening(own | (allowed & under), iterations=max(1, factor // 2)) | own
        parts, _ = ndimage.label(ndimage.binary_fill_holes(whole))
        shape = np.zeros(labels.shape, dtype=bool)
        shape[window] = parts == parts[own][0]
        yield label, shape


def _ndimage() -> Any:
    """SciPy's operations on images, whose annotated results are unions of what their options give."""
    from scipy import ndimage

    return ndimage


def _basins(image: Float[Array, "h w 3"]) -> tuple[Array, Array, Array]:
    """Basin of each pixel in the magnitude of the gradient, colour of each basin, and flatness of each pixel."""
    from skimage.filters import sobel
    from skimage.segmentation import watershed

    slope = np.sqrt(sum(sobel(image[..., channel]) ** 2 for channel in range(3)))
    basins = watershed(slope)
    basins = basins - basins.min()  # 0 everywhere in an image without any slope
    flatness = np.exp(-slope / _FLAT) + 1e-9
    return basins, _means(image, basins, flatness), flatness


def _means(image: Array, labels: Array, weights: Array) -> Array:
    """Weighted mean colour of each label, (k, 3)."""
    total = np.bincount(labels.ravel(), weights.ravel())
    sums = [np.bincount(labels.ravel(), (weights * image[..., channel]).ravel()) for channel in range(3)]
    return np.stack(sums, -1) / total[:, None]


def _merging_order(image: Array) -> tuple[Array, Array]:
    """Pairs of nodes that Ward's method merges, in order, and the squared error that each adds."""
    from sklearn.cluster import ward_tree
    from sklearn.feature_extraction.image import grid_to_graph

    height, width, _ = image.shape
    graph = grid_to_graph(height, width)
    tree: Any = ward_tree(image.reshape(-1, 3), connectivity=graph, return_distance=True)
    return tree[0], tree[-1] ** 2 / 2


def _after_merging(steps: Array, n: int, count: int) -> Array:
    """Label of each of n leaves once `count` nodes are left."""
    owner = np.arange(n + len(steps))
    owner[steps[: n - count].ravel()] = np.repeat(np.arange(n, 2 * n - count), 2)
    while (owner[owner] != owner).any():
        owner = owner[owner]
    return np.unique(owner[:n], return_inverse=True)[1]


def _background_first(labels: Array, means: Array) -> tuple[Array, Array]:
    """Labels and colours with the background as 0."""
    rim = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    common = means[np.bincount(rim).argmax()]
    behind = np.isin(np.arange(len(means)), rim) & (np.linalg.norm(means - common, axis=1) < _SAME)
    number = np.where(behind, 0, (~behind).cumsum())
    return number[labels], np.concatenate([common[None], means[~behind]])


def _refined(image: Array, labels: Array, means: Array, factor: int) -> Array:
    """Labels on the fine grid: of the regions at a pixel and its neighbours, the one of the nearest colour."""
    ndimage = _ndimage()
    height, width = labels.shape
    fine = ndimage.zoom(image, (factor, factor, 1), order=3, mode="nearest", grid_mode=True)
    padded = np.pad(labels, 1, mode="edge")
    nearby = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
    candidates = [one.repeat(factor, 0).repeat(factor, 1) for one in nearby]
    errors = np.stack([((fine - means[one]) ** 2).sum(-1) for one in candidates])
    return np.take_along_axis(np.stack(candidates), errors.argmin(0)[None], 0)[0]
