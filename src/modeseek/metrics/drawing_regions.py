"""Comparison of an image with one drawing: its placement, colour regions, and palette."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from modeseek.datasets.emoji.placement import IconPlacement, place
from modeseek.metrics.color_difference import lab

_COLORS = 12  # of a palette at most
_APART = 12.0  # least difference of two of them in CIELAB
_SHARE = 0.004  # of the pixels that a colour has at least
_LEVELS = 15  # to which channels are rounded where colours are counted
_SIDE = 64  # pixels of the images that placements are compared at
_COARSE = ((0.80, 0.86, 0.92, 0.98, 1.04), (-6.0, 0.0, 6.0), (-0.06, 0.0, 0.06))  # scales, degrees, shifts
_FINE = ((-0.03, 0.0, 0.03), (-3.0, 0.0, 3.0), (-0.03, 0.0, 0.03))  # around the best of them


@dataclass(frozen=True)
class Palette:
    """Colours of an image and the region of each.

    Attributes:
        colors: mean colours of the regions, in [0, 1].
        labels: index of the colour of each pixel.
    """

    colors: Float[Tensor, "k 3"]
    labels: Int[Tensor, "h w"]

    @property
    def shares(self) -> Float[Tensor, "k"]:
        """Share of the pixels of each region."""
        return torch.bincount(self.labels.flatten(), minlength=len(self.colors)).double() / self.labels.numel()


@dataclass(frozen=True)
class PlacedDrawing:
    """Placement of a drawing that is nearest to an image.

    Attributes:
        placement: the placement, of one drawing.
        distance: RMS difference to the image over pixels and channels, in [0, 1].
    """

    placement: IconPlacement
    distance: float


def find_palette(image: Float[Tensor, "3 h w"]) -> Palette:
    """Palette of a drawing: its most frequent colours that are apart, and for each pixel the nearest of them.

    Colours are counted with channels rounded to 16 levels, over pixels that differ from each of their four neighbours
    by less than a level: soft edges are none, wherever they run. The most frequent colour is taken, then the next that
    has at least 0.4 % of all pixels and differs by at least 12 in CIELAB (1976) from those before, at most 12. All
    pixels go to the nearest; a colour is the mean of its pixels.

    Args:
        image: pixels in [0, 1].
    """
    pixels = image.detach().cpu().double().clamp(0, 1).flatten(1).T
    codes = (pixels * _LEVELS).round().long() @ torch.tensor([(_LEVELS + 1) ** 2, _LEVELS + 1, 1])
    flat = _is_flat(image.detach().cpu().double()).flatten()
    flat = flat if flat.any() else ~flat
    _, inverse, counts = codes[flat].unique(return_inverse=True, return_counts=True)
    means = _mean_colors(pixels[flat], inverse, len(counts))
    candidates, chosen = _lab(means), list[int]()
    for index in counts.argsort(descending=True, stable=True).tolist():
        enough = counts[index] >= _SHARE * len(pixels) and len(chosen) < _COLORS
        if not chosen or (enough and (candidates[chosen] - candidates[index]).norm(dim=1).min() >= _APART):
            chosen.append(index)
    nearest = torch.cdist(_lab(pixels), candidates[chosen]).argmin(1)
    _, labels = nearest.unique(return_inverse=True)
    return Palette(_mean_colors(pixels, labels, int(labels.max()) + 1), labels.view(image.shape[1:]))


def region_iou(palette: Palette, truth: Palette) -> float:
    """Mean intersection over union of the colour regions of the truth with those of an image, in [0, 1].

    Regions are matched one to one so that the sum of their intersections over unions is largest, whatever their
    colours; a region of the truth without a partner counts 0. Every region of the truth counts alike, the background
    and a small eye.

    Args:
        palette: regions of the image.
        truth: regions of the truth, of the same size.

    Raises:
        ValueError: different sizes.
    """
    from scipy.optimize import linear_sum_assignment

    if palette.labels.shape != truth.labels.shape:
        raise ValueError(
            f"regions must have one size, got {tuple(palette.labels.shape)} and {tuple(truth.labels.shape)}; "
            "render both at the same size"
        )
    n, m = len(truth.colors), len(palette.colors)
    pairs = torch.bincount((truth.labels * m + palette.labels).flatten(), minlength=n * m).view(n, m).double()
    unions = pairs.sum(1, keepdim=True) + pairs.sum(0) - pairs
    iou = (pairs / unions).numpy()
    rows, columns = linear_sum_assignment(iou, maximize=True)
    return float(iou[rows, columns].sum() / n)


def palette_distance(palette: Palette, other: Palette) -> float:
    """Earth mover's distance between two palettes: the least mean colour difference, CIELAB (1976), of moved area.

    `min_f sum_ij f_ij |lab_i - lab_j|` over flows f >= 0 whose sums are the shares of the colours, by linear
    programming; 0 for equal palettes, about 100 from black to white.
    """
    from scipy.optimize import linprog

    cost = torch.cdist(_lab(palette.colors.double()), _lab(other.colors.double()))
    n, m = cost.shape
    sums = torch.zeros(n + m, n, m, dtype=torch.float64)
    sums[torch.arange(n), torch.arange(n)] = 1
    sums[n + torch.arange(m), :, torch.arange(m)] = 1
    shares = torch.cat([palette.shares, other.shares])
    found = linprog(cost.flatten().numpy(), A_eq=sums.flatten(1).numpy()[:-1], b_eq=shares.numpy()[:-1])
    return float(found.fun)


def find_placement(image: Float[Tensor, "3 h w"], pixels: UInt8[Tensor, "4 s s"]) -> PlacedDrawing:
    """Finds the placement on white at which a drawing is nearest to an image, at 64 x 64 pixels.

    Of scales 0.80 to 1.04, angles within 6 degrees and shifts within 3 % of the side; then of finer ones around the
    best. 216 renders of 64 x 64 pixels.

    Args:
        image: pixels in [0, 1], square.
        pixels: drawing, straight alpha.
    """
    small = torch.nn.functional.interpolate(image.detach().cpu().float()[None], (_SIDE, _SIDE), mode="area")
    scales, angles, shifts = _COARSE
    best = _best(small, pixels, torch.tensor(list(itertools.product(scales, angles, shifts, shifts))))
    scales, angles, shifts = _FINE
    around = torch.tensor(list(itertools.product(scales, angles, shifts, shifts)))
    settings = best + around
    difference = (_draw(pixels, settings) - small).square().mean((1, 2, 3)).sqrt()
    least = int(difference.argmin())
    return PlacedDrawing(_placement(settings[least : least + 1]), difference[least].item())


def draw_placed(pixels: UInt8[Tensor, "4 s s"], placed: PlacedDrawing, size: int) -> Float[Tensor, "3 size size"]:
    """Image of a drawing on white at a placement."""
    return place(pixels[None], placed.placement, torch.ones(1, 3), size)[0]


def _best(image: Tensor, pixels: Tensor, settings: Tensor) -> Tensor:
    """Row of the settings (scale, degrees, shift x, shift y) whose drawing is nearest to an image."""
    return settings[(_draw(pixels, settings) - image).square().sum((1, 2, 3)).argmin()]


def _draw(pixels: Tensor, settings: Tensor) -> Tensor:
    drawings = pixels[None].expand(len(settings), -1, -1, -1)
    return place(drawings, _placement(settings), torch.ones(1, 3), _SIDE, samples=1)


def _placement(settings: Tensor) -> IconPlacement:
    return IconPlacement(settings[:, 0], settings[:, 1] * math.pi / 180, settings[:, 2:])


def _is_flat(image: Tensor) -> Tensor:
    """Whether each pixel is like its neighbours above, below, left and right, (h, w)."""
    padded = torch.nn.functional.pad(image[None], [1] * 4, mode="replicate")[0]
    height, width = image.shape[1:]
    around = (padded[:, y : y + height, x : x + width] for y, x in ((0, 1), (2, 1), (1, 0), (1, 2)))
    return torch.stack([(other - image).abs().amax(0) < 1 / _LEVELS for other in around]).all(0)


def _mean_colors(pixels: Tensor, labels: Tensor, n: int) -> Tensor:
    sums = pixels.new_zeros(n, 3).index_add(0, labels, pixels)
    return sums / torch.bincount(labels, minlength=n).double()[:, None]


def _lab(colors: Tensor) -> Tensor:
    return lab(colors.T[:, :, None])[:, :, 0].T
