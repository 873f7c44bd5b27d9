"""Closed outlines as cubic Bezier curves by weighted least squares, and their division at necks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Array = np.ndarray
_PER_CUBIC = 24  # points of an outline per cubic
_STIFF = 1e-5  # pull of handles towards thirds of their chord, where the outline leaves them free
_ROUNDS = 8  # of solving for control points and moving the parameters of the outline's points
_HIDDEN = 0.1  # least weight of a point, of the largest: hidden outlines may not fall short of what hides them
_CORNER = 0.4  # turn, in right angles, from which a point may be a corner


@dataclass(frozen=True)
class Contour:
    """Closed outline as points at equal distances along it.

    Attributes:
        points: points in order, the last one joined to the first, (m, 2), pixels.
        weights: weight of each point, (m,): squared contrast of colours there, near 0 where it is hidden.
    """

    points: Float[Array, "m 2"]
    weights: Float[Array, "m"]

    @property
    def spacing(self) -> float:
        """Mean distance of neighbouring points, pixels."""
        return float(np.linalg.norm(self.points - np.roll(self.points, 1, 0), axis=1).mean())

    def resampled(self, n: int) -> Contour:
        """The same outline as n points at equal distances."""
        points = np.concatenate([self.points, self.points[:1]])
        weights = np.concatenate([self.weights, self.weights[:1]])
        along = np.concatenate([[0.0], np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()])
        at = np.arange(n) * (along[-1] / n)
        x, y, weight = (np.interp(at, along, values) for values in (*points.T, weights))
        return Contour(np.stack([x, y], -1), weight)


def fit_outline(outline: Contour, cubics: int) -> tuple[Float[Array, "c3 2"], float]:
    """Fits a closed chain of cubics to a closed outline by least squares.

    Joints: the corners, or if there are too few or too many one and the point half way round; then again and again the
    worst point of the worst cubic, preferably a corner; each is then moved along the outline as long as that helps.
    Then all control points at once, in turns with the parameters of the points (Schneider 1990, Graphics Gems, moves
    them likewise).

    Args:
        outline: outline to fit.
        cubics: number of cubics, >= 2.

    Returns:
        Control points, and the area between outline and curve, each part times its weight.
    """
    outline = outline.resampled(_PER_CUBIC * cubics)
    points, weights = outline.points, np.maximum(outline.weights, max(1e-6, _HIDDEN * float(outline.weights.max())))
    u = _parameters(len(points), _improved(_joints(points, weights, cubics), points, weights))
    control = _solve(points, weights, u, cubics)
    for number in range(_ROUNDS):
        near = (u[:, None] + np.linspace(-0.1, 0.1, 11) * 0.7**number) % cubics
        distance = ((_evaluate(control, near) - points[:, None]) ** 2).sum(-1)
        u = near[np.arange(len(u)), distance.argmin(1)]
        control = _solve(points, weights, u, cubics)
    off = np.linalg.norm(_evaluate(control, u) - points, axis=1)
    return control, float((outline.weights * off).sum() * outline.spacing)


def divide(outline: Contour, overlap: float) -> tuple[Contour, Contour] | None:
    """Divides an outline at its neck: the chord that is shortest for the way around that it saves.

    Args:
        outline: outline to divide.
        overlap: distance by which the smaller part goes on into the larger one, pixels.

    Returns:
        The larger and the smaller part, None if no chord lies within the outline.
    """
    from skimage.measure import points_in_poly

    n = 64
    outline = outline.resampled(n)
    points = outline.points
    i, j = np.triu_indices(n, k=4)
    way = np.minimum(j - i, n - (j - i))
    chord = np.linalg.norm(points[i] - points[j], axis=1)
    ratio = np.where(way >= 4, chord / (way * outline.spacing), np.inf)
    for best in ratio.argsort()[:64]:
        start, end = int(i[best]), int(j[best])
        between = points[start] + np.linspace(0.1, 0.9, 9)[:, None] * (points[end] - points[start])
        if points_in_poly(between, points).all():
            break
    else:
        return None
    inner, outer = np.arange(start, end + 1), np.arange(end, start + n + 1) % n
    if len(inner) > len(outer):
        inner, outer = outer, inner
    first, last = points[inner[0]], points[inner[-1]]
    across = np.array([last[1] - first[1], first[0] - last[0]]) * (
        overlap / max(1e-9, float(np.linalg.norm(last - first)))
    )
    across *= np.sign(across @ (points[outer].mean(0) - points[inner].mean(0)))
    tail = np.stack([last + across, first + across])
    faint = np.full(2, 0.1 * outline.weights.mean())
    small = Contour(np.concatenate([points[inner], tail]), np.concatenate([outline.weights[inner], faint]))
    return Contour(points[outer], np.maximum(outline.weights[outer], faint[0])), small


def _joints(points: Array, weights: Array, cubics: int) -> list[int]:
    """Indices of the points at which cubics meet, rising."""
    n = len(points)
    corner = _corners(points)
    sharp = np.flatnonzero(corner * weights)
    if 2 <= len(sharp) <= cubics:
        joints = sharp.tolist()
    else:
        first = int((corner * weights + 1e-9 * np.linalg.norm(points - points.mean(0), axis=1)).argmax())
        joints = sorted({first, (first + n // 2) % n})
    while len(joints) < cubics:
        best = (-1.0, 0)
        for start, end in zip(joints, [*joints[1:], joints[0] + n], strict=True):
            if end - start < 4:
                continue
            inner = np.arange(start, end + 1) % n
            error = weights[inner] * _errors(points[inner], weights[inner])
            at = inner[2:-2][(error[2:-2] * (0.25 + corner[inner[2:-2]])).argmax()] if end - start > 4 else inner[2]
            best = max(best, (float(error.sum()), int(at)))
        joints = sorted({*joints, best[1]})
    return joints


def _improved(joints: list[int], points: Array, weights: Array) -> list[int]:
    """Joints moved along the outline, one at a time, as long as the error of the two cubics that meet there falls."""
    n, count = len(points), len(joints)

    def error(start: int, end: int) -> float:
        inner = np.arange(start, start + (end - start) % n + 1) % n
        return float((weights[inner] * _errors(points[inner], weights[inner])).sum())

    for stride in (6, 3, 1):
        for k in range(count):
            before, after = joints[k - 1], joints[(k + 1) % count]
            trials = [(joints[k] + move) % n for move in (0, -stride, stride)]
            trials = [
                t
                for t in trials
                if 2 <= (t - before) % n and 2 <= (after - t) % n and (t - before) % n < ((after - before) % n or n)
            ]
            if trials:
                joints[k] = min(trials, key=lambda t: error(before, t) + error(t, after))
    return joints


def _corners(points: Array) -> Array:
    """How sharply the outline turns at each point, in [0, 1]: 0 straight or round, 1 a right angle or sharper."""
    arm = max(1, len(points) // 32)
    before, after = points - np.roll(points, arm, 0), np.roll(points, -arm, 0) - points
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    turn = np.arccos(((before * after).sum(-1) / np.maximum(lengths, 1e-12)).clip(-1, 1)) / (np.pi / 2)
    peak = turn >= np.max([np.roll(turn, k) for k in range(-arm, arm + 1)], axis=0)
    return np.where(peak & (turn > _CORNER), turn.clip(0, 1), 0)


def _errors(points: Array, weights: Array) -> Array:
    """Squared distance of each point of a stretch from the best cubic between its ends."""
    t = np.linspace(0, 1, len(points))
    basis = _bernstein(t)
    ends = basis[:, :1] * points[:1] + basis[:, 3:] * points[-1:]
    inner = basis[:, 1:3]
    weighted = inner * weights[:, None]
    normal = weighted.T @ inner + 1e-6 * weights.max() * np.eye(2)
    thirds = np.stack([(2 * points[0] + points[-1]) / 3, (points[0] + 2 * points[-1]) / 3])
    handles = np.linalg.solve(normal, weighted.T @ (points - ends) + 1e-6 * weights.max() * thirds)
    return ((inner @ handles + ends - points) ** 2).sum(-1)


def _parameters(n: int, joints: list[int]) -> Array:
    """Parameter of each of n points: the number of its cubic plus the share of the way along it."""
    u = np.empty(n)
    for number, (start, end) in enumerate(zip(joints, [*joints[1:], joints[0]], strict=True)):
        length = (end - start) % n
        u[np.arange(start, start + length) % n] = number + np.arange(length) / length
    return u


def _bernstein(t: Array) -> Array:
    return np.stack([(1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3], -1)


def _evaluate(control: Array, u: Array) -> Array:
    """Points of the closed chain at these parameters, (*u, 2)."""
    cubic = np.minimum(u.astype(int), len(control) // 3 - 1)
    index = (3 * cubic[..., None] + np.arange(4)) % len(control)
    return (_bernstein(u - cubic)[..., None] * control[index]).sum(-2)


def _solve(points: Array, weights: Array, u: Array, cubics: int) -> Array:
    """Control points, (3 c, 2), of least weighted squared distance of the points from the chain at their parameters."""
    cubic = np.minimum(u.astype(int), cubics - 1)
    rows = np.arange(len(points))[:, None]
    design = np.zeros((len(points), 3 * cubics))
    np.add.at(design, (rows, (3 * cubic[:, None] + np.arange(4)) % (3 * cubics)), _bernstein(u - cubic))
    stiff = np.zeros((2 * cubics, 3 * cubics))
    for number in range(cubics):
        start, first, second, end = (3 * number + np.arange(4)) % (3 * cubics)
        stiff[2 * number, [start, first, end]] = -2 / 3, 1, -1 / 3
        stiff[2 * number + 1, [start, second, end]] = -1 / 3, 1, -2 / 3
    scale = float(weights.mean())
    normal = (design * weights[:, None]).T @ design + _STIFF * scale * _PER_CUBIC * (stiff.T @ stiff)
    tiny = 1e-9 * scale
    right = design.T @ (weights[:, None] * points) + tiny * points.mean(0)
    return np.linalg.solve(normal + tiny * np.eye(3 * cubics), right)
