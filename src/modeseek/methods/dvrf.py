"""Delta velocity rectified flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Annealed, Times
from modeseek.diffusion.prediction import expand_like
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.editing import EditState, Source, evaluate_pair, init_edit, resolve_source
from modeseek.methods.noising import add_noise
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.guidance import require_unguided
from modeseek.ramp import Hump, Varying, value_at
from modeseek.rng import Rng, randn


@dataclass(frozen=True)
class DVRF:
    """DVRF (Beaudouin et al. 2025, arXiv 2509.05342): `grad = r (v(z_s) - v(z_s source) + (1 - c) (z - source))`.

    Editing in the velocity `v = E[n - z | z_s]` of a rectified flow, at the noise share `s = sigma / (alpha + sigma)`,
    with the same noise n on both sides and `c = eta progress`:

        z_s source = (1 - s) source + s n,    z_s = (1 - s) z + s n + c s (z - source).

    The shift c s moves the evaluated point from DDS's to FlowEdit's: with eta 0 it is DDS in velocities plus the term
    `z - source` (delta rectified flow sampling, DRFS, in the first version of the paper), and with c = 1 a step of SGD
    of length `s - s'` is a step of FlowEdit (Kulikov et al. 2024, arXiv 2412.08629). Velocities come from any
    prediction, so the prior may have any schedule. The direction is exactly zero at z = source with equal conditions
    and scales.

    Costs 4 prior calls per row, as one batched call of an unguided prior; one less for each scale of 1. The source
    prompt is `Conditions.source`. The authors' rate is part of the direction: use SGD with learning rate 1 and about
    50 steps, or `rate` 1 and another optimizer.

    Attributes:
        source: z of the edited source; None is the initial z of the run (every step must then render the same items).
        times: t in [0, 1] per row on the prior's schedule as a function of progress (the authors: from 1 down to 0).
        scale: classifier-free guidance scale of the target; 1 is no guidance (the authors: 16.5 on Stable Diffusion 3).
        source_scale: classifier-free guidance scale of the source; 1 is no guidance (the authors: 6).
        eta: c at the end of the run, in [0, 1].
        rate: factor r of the direction, a number or a function of progress.
    """

    references: ClassVar[tuple[str, ...]] = ("dvrf", "flowedit", "dds")
    guides: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("source",)
    source: Source | None = None
    times: Times = Annealed(1.0, 0.02)
    scale: float = 16.5
    source_scale: float = 6.0
    eta: float = 1.0
    rate: Varying = Hump()

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise ValueError(f"DVRF eta must be in [0, 1], got {self.eta}; try 1, or 0 for no shift")

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> EditState:
        require_unguided(prior, "DVRF")
        return init_edit(self.source, z)

    def step(
        self,
        z: Float[Tensor, "b *d"],
        prior: Prior,
        state: EditState,
        *,
        conditions: Conditions | None = None,
        progress: float,
        rng: Rng,
        context: RenderContext | None = None,
    ) -> tuple[Direction, EditState]:
        """Returns the direction at z and the unchanged state.

        Raises:
            TypeError: the prior is already guided.
            ValueError: no source condition, no guidance baseline, or a source that does not broadcast to z.
        """
        require_unguided(prior, "DVRF")
        z = z.detach()
        source = resolve_source(self.source, state, z, context)
        t = self.times(progress, len(z), rng).to(z, non_blocking=True)
        alpha, sigma = prior.schedule(t)
        s = sigma / (alpha + sigma)
        eps, shift = randn(tuple(z.shape), rng, z), self.eta * progress
        points = (
            add_noise(z, eps, 1 - s, s) + shift * expand_like(s, z) * (z - source),
            add_noise(source, eps, 1 - s, s),
        )
        target, origin = evaluate_pair(prior, points, (1 - s, s), conditions, (self.scale, self.source_scale), "DVRF")
        grad = value_at(self.rate, progress) * (target.flow - origin.flow + (1 - shift) * (z - source))
        return Direction(grad, t=t, eps=eps, prediction=target, logs={"t": t}), state
