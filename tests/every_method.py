"""Every method with hyperparameters that keep a step small."""

from __future__ import annotations

import torch
from oracles_shift import F64

import modeseek as ms

ZERO = torch.zeros(1, dtype=F64)  # a source or an image that broadcasts to every prior's shape


def bowl(z: torch.Tensor, context: ms.RenderContext | None) -> torch.Tensor:
    """An energy, a number a row."""
    return 0.5 * z.flatten(1).square().sum(1)


def grid_features(prior: ms.Prior, z_t: torch.Tensor, alpha: torch.Tensor, sigma: torch.Tensor, cond: object):
    """Two channels of what is predicted, on a grid of one number a patch."""
    z = prior.at(z_t, alpha, sigma, cond).z
    return [torch.stack([z.sin(), z.cos()], 1).reshape(len(z), 2, -1, z.shape[-1])]


METHODS = {
    "msd denoiser": ms.MSD(ms.Fixed(0.7)),
    "msd denoiser jittered": ms.MSD(ms.Fixed(0.7), jitter=0.5),
    "msd product": ms.MSD(ms.Fixed(0.7), "product", steps=2, samples=2),
    "msd product antithetic": ms.MSD(ms.Fixed(0.7), "product", steps=2, samples=2, noise="antithetic"),
    "msd kernel-score": ms.MSD(ms.Fixed(0.7), "kernel-score", steps=3, samples=2, interval=(0.0, 0.7)),
    "sds": ms.SDS(),
    "sds annealed": ms.SDS(ms.noise_levels.Annealed(), ms.weights.sigma_over_alpha),
    "sdi": ms.SDI(inversion_steps=2),
    "sdi ancestral": ms.SDI(inversion_steps=2, inversion_eta=0.3),
    "pfd": ms.methods.PFD(inversion_steps=2, steps=2),
    "pfd heun": ms.methods.PFD(inversion_steps=2, steps=3, sampler=ms.heun),
    "sds dreaming": ms.SDS(ms.noise_levels.DreamTime()),
    "sjc": ms.methods.SJC(),
    "sjc plain": ms.methods.SJC(variance_reduction=False, samples=2),
    "hifa": ms.methods.HiFA(image_weight=0.0),
    "hifa steps": ms.methods.HiFA(image_weight=0.0, denoise_steps=3),
    "async-sd": ms.methods.AsyncSD(),
    "csd": ms.methods.CSD(),
    "csd negative": ms.methods.CSD(null=ms.Ramp(-1.0, 0.0), negative=ms.Ramp(0.0, -1.0)),
    "nfsd": ms.methods.NFSD(ms.noise_levels.Annealed(0.5, 0.5)),
    "sds-bridge": ms.methods.SDSBridge(since=0.0),
    "sds-bridge first": ms.methods.SDSBridge(since=0.5),
    "ism": ms.methods.ISM(ms.noise_levels.Annealed(0.5, 0.5)),
    "segment-dreamer": ms.methods.SegmentDreamer(),
    "rfds": ms.methods.RFDS(),
    "irfds": ms.methods.IRFDS(torch.zeros(1, 2, dtype=F64)),
    "rfds-rev": ms.methods.RFDSRev(),
    "ucm": ms.methods.UCM(),
    "ucm midpoint": ms.methods.UCM(solver="midpoint"),
    "debiased": ms.methods.Debiased(ms.SDS(), 0.5),
    "stein": ms.methods.SteinDreamer(),
    "reward-sds": ms.methods.RewardWeighted(steps=2),
    "reward-sds softmax": ms.methods.RewardWeighted(n=2, strategy="softmax", steps=1),
    "stein quadratic": ms.methods.SteinDreamer(lambda z_t, context: z_t.flatten(1).square().sum(1)),
    "control variate": ms.methods.ControlVariate(
        ms.SDS(), ms.methods.Stein(lambda z_t, context: z_t.flatten(1).sum(1))
    ),
    "mvdream": ms.methods.MVDream(views=1, scale=5.0),
    "jsd": ms.methods.JSD(bowl, scale=5.0),
    "jsd jacobian": ms.methods.JSD(bowl, scale=5.0, jacobian=True),
    "vsd": ms.VSD(auxiliary=ms.methods.MLPAuxiliary(width=8)),
    "vpsd": ms.methods.VPSD(auxiliary=ms.methods.MLPAuxiliary(width=8)),
    "esd": ms.methods.ESD(auxiliary=ms.methods.MLPAuxiliary(width=8), entropy=0.0),
    "asd": ms.methods.ASD(auxiliary=ms.methods.MLPAuxiliary(width=8)),
    "dsd": ms.methods.DSD(ode_steps=2),
    "rsd": ms.methods.RSD(repulsion=0.0),  # else it couples rows, on purpose
    "cfd": ms.methods.CFD(),
    "fsd": ms.methods.FSD(),
    "dds": ms.methods.DDS(ZERO),
    "cds": ms.methods.CDS(ZERO, features=grid_features),
    "cds uncut": ms.methods.CDS(ZERO, cut=0.0),
    "dvrf": ms.methods.DVRF(ZERO),
    "dvrf unshifted": ms.methods.DVRF(ZERO, source_scale=1.0, eta=0.0, rate=1.0),
    "pds": ms.methods.PDS(ZERO),
    "pds official": ms.methods.PDS(ZERO, coefficients="official"),
}
CONDITIONED_ONLY = {
    *("csd", "csd negative", "nfsd", "sds-bridge", "sds-bridge first", "dds", "pds", "pds official"),
    *("cds", "cds uncut", "dvrf", "dvrf unshifted"),
}
"""Methods that compare conditions and need them."""
NEGATIVE = {"csd negative", "nfsd"}
