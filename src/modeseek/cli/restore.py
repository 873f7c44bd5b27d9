"""`modeseek restore`: restoration of an image under a prior that ships with modeseek or a diffusers pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import tyro

from modeseek.cli import options
from modeseek.cli.follow_run import start_run
from modeseek.cli.options import arguments_of, option
from modeseek.config.defaults import DEFAULT_PRIOR
from modeseek.config.restore_config import restore_config
from modeseek.device import AUTO
from modeseek.io.paths import PATH


@dataclass(frozen=True)
class RestoreCommand:
    """Restore an image: fill in what is missing, sharpen, or enlarge, by the mode of the posterior under a prior.

    Each step of mean shift is one of EM for the posterior: it fits the data as far as their noise says, without a step
    size. The run folder has the degraded image, the results, differences (results.png) and scores; resume as any run.

    Examples:
      modeseek restore cone.png "a red cone" --operator inpaint --mask mask.png

      modeseek restore small.png "a grinning face" --operator downsample --factor 4 --prior emoji --noise 0.02

      modeseek restore cone.png "a red cone" --operator blur --sigma 2 --degrade
    """

    image: tyro.conf.Positional[
        Annotated[
            str,
            option(
                "IMAGE",
                "Degraded image: PNG, JPEG or WebP of any size, cropped to its middle and resized to that of the data; "
                "with --degrade a clean one, which is degraded first.",
            ),
            PATH,
        ]
    ]
    prompts: options.Prompts = ()
    operator: Annotated[
        Literal["inpaint", "blur", "downsample"],
        option(
            "inpaint|blur|downsample",
            "What degraded the image: a part is missing (inpaint, default), it is blurred (blur), or "
            "its pixels are means of blocks (downsample).",
        ),
    ] = "inpaint"
    mask: Annotated[
        str | None, option("FILE", "Image that is white where the other is missing, of its size; for inpaint."), PATH
    ] = None
    factor: Annotated[int, option("N", "Factor of downsample. Default: 4.")] = 4
    sigma: Annotated[float, option("PIXELS", "Standard deviation of the Gaussian of blur. Default: 1.5.")] = 1.5
    kernel: Annotated[str | None, option("FILE", "Image of the kernel of blur, in place of a Gaussian."), PATH] = None
    noise: Annotated[
        float,
        option("NOISE", "Standard deviation of the noise of the data, pixels in [0, 1]; 0 keeps them. Default: 0.05."),
    ] = 0.05
    degrade: bool = False
    """Degrade the image first, with noise, and score the results against it (PSNR, SSIM)."""
    prior: options.TextPrior = DEFAULT_PRIOR
    generator: Annotated[
        str | None,
        option(
            "latent|pixels|field|drawing",
            "Image parametrisation: latents of the pipeline (latent, default), pixels, a coordinate network (field) "
            "or a vector drawing (drawing).",
        ),
    ] = None
    steps: Annotated[
        int | None, option("N", "Number of optimisation steps. Default: 50 for latents, else that of modeseek image.")
    ] = None
    scale: Annotated[
        float | None, option("SCALE", "Classifier-free guidance scale (--guidance-scale). Default: 1, which is none.")
    ] = None
    negative: options.Negative = ""
    copies: Annotated[int, option("N", "Number of restorations of each prompt, from different noise. Default: 1.")] = 1
    seed: options.Seed = 0
    size: options.ImageSize = None
    device: options.Device = AUTO
    on_failure: options.OnFailure = "stop"
    lora: options.Loras = ()
    embedding: options.Embeddings = ()
    long_prompts: options.LongPromptsOption = "cut"
    film: options.FilmOption = "auto"
    tracker: options.Trackers = ()
    set: options.Settings = ()
    out: options.Out = None
    dry_run: bool = False
    """Dry run: print the full configuration and exit."""
    preset: ClassVar[None] = None

    def run(self, argv: Sequence[str]) -> None:
        """Runs the restoration and prints the path of the report."""
        config = restore_config(**arguments_of(self, restore_config, "image"))
        start_run(config, argv, self.out, dry_run=self.dry_run)
