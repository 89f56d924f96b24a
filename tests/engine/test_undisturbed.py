from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from maskfree.undisturbed import undisturbed


def test_everything_is_put_back_whatever_happens() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout())
    model[2].eval()
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    with pytest.raises(MemoryError), undisturbed(model):
        model.train()
        model[1].momentum = None
        model(torch.rand(2, 3, 8, 8))
        assert not torch.equal(model[1].running_mean, before["1.running_mean"])
        raise MemoryError
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model] == [True, True, False]
    assert model[1].momentum == 0.1
    assert torch.equal(torch.get_rng_state(), random)
