"""Generator of free points."""

from __future__ import annotations

import pytest
import torch
from cases_shift import generator, tensor

import modeseek as ms

Z = tensor([0.0, 1.0], [2.0, 3.0], [4.0, 5.0])


def test_points_are_parameters_copied_from_the_input():
    start = Z.clone()
    points = ms.Points(start)
    (parameter,) = points.parameters()
    image = points(points.view(1, generator()))
    assert torch.equal(image, Z) and image.requires_grad
    image.backward(gradient=torch.ones_like(Z))
    assert torch.equal(parameter.grad, torch.ones_like(Z))
    with torch.no_grad():
        parameter += 1
    assert torch.equal(start, Z) and torch.equal(points(points.view(1, generator())), Z + 1)


def test_the_cloud_is_one_item_however_many_rows_it_has():
    assert ms.Points(Z).view(1, ms.Streams(0)).items == (0,)
    with pytest.raises(ValueError, match="one item, got batch=2; use batch=1"):
        ms.Points(Z).view(2, generator())


def test_whole_images_and_their_state_dict():
    images = torch.rand(2, 3, 4, 4, generator=generator())
    points = ms.Points(images)
    other = ms.Points(torch.zeros(2, 3, 4, 4))
    other.load_state_dict(points.state_dict())
    assert torch.equal(other.z, images)


@pytest.mark.parametrize(
    "z",
    [torch.zeros(3), torch.zeros(3, 2, dtype=torch.long), torch.tensor([[0.0, float("nan")]])],
    ids=["flat", "integers", "nan"],
)
def test_bad_points_are_one_clear_line(z, unchecked):
    with pytest.raises(ValueError, match="Points must be finite floating point.*got") as error:
        ms.Points(z)
    assert "\n" not in str(error.value)
