"""Files that generators export by themselves."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import modeseek as ms
from modeseek.generators.base import BaseGenerator, View
from modeseek.generators.image import Image, Latent


def exported(generator: BaseGenerator, **options: object) -> dict[str, bytes]:
    files = {}
    for artifact in generator.exports(**options):  # pyright: ignore[reportArgumentType]
        assert artifact.data is not None and artifact.note == ""
        files[artifact.path] = artifact.data
    return files


def array(data: bytes) -> Tensor:
    return torch.from_numpy(np.load(io.BytesIO(data), allow_pickle=False))


def test_points_are_exported_as_an_array(rng: torch.Generator) -> None:
    z = torch.randn(5, 2, generator=rng, dtype=torch.float64)
    files = exported(ms.Points(z))
    assert list(files) == ["exports/points.npy"] and torch.equal(array(files["exports/points.npy"]), z)


def test_images_are_exported_as_an_array_and_the_run_writes_their_pngs(rng: torch.Generator) -> None:
    pixels = torch.rand(2, 3, 4, 6, generator=rng)
    files = exported(Image(pixels))
    assert list(files) == ["exports/images.npy"]
    assert torch.equal(array(files["exports/images.npy"]), pixels)


def test_latents_are_decoded(rng: torch.Generator) -> None:
    latent = Latent(torch.rand(1, 4, 2, 2, generator=rng))
    files = exported(latent, decode=lambda z: 1 - z[:, :1])
    assert torch.equal(array(files["exports/images.npy"]), 1 - latent.z.detach()[:, :1])


def test_the_items_of_a_generator_are_its_preview() -> None:
    class Constant(BaseGenerator):
        """Two images of one gray."""

        @property
        def n_items(self) -> int:
            return 2

        def __init__(self) -> None:
            super().__init__()
            self.gray = nn.Parameter(torch.tensor(0.25))

        def forward(self, view: View) -> Tensor:
            return self.gray.expand(len(view.items), 1, 3, 3)

    constant = Constant()
    assert constant.preview_view().items == (0, 1) and constant.view(2, ms.Streams(0)).items == (0, 1)
    with pytest.raises(ValueError, match="2 images are 2 items, got batch=3; use batch=2"):
        constant.view(3, ms.Streams(0))
    assert array(exported(constant)["exports/images.npy"]).shape == (2, 1, 3, 3)
