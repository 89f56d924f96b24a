"""The processes that train together: one, or those that torchrun or accelerate launch started.

Accelerate finds out which there are, places the network, sums gradients and scales losses for mixed
precision. What processes tell each other beside that goes through :meth:`Team.gather`, on the CPU.
"""

from __future__ import annotations

import copy
import datetime
import os
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from maskfree.errors import InputError

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable

    from torch import nn

__all__ = ["Team", "launched", "need_accelerate"]

T = TypeVar("T")
_PATIENCE = datetime.timedelta(hours=2)
"""How long a process waits for another: one of them evaluates while the others wait."""


def launched() -> tuple[int, int]:
    """Return rank and number of processes, as the launcher says before anything is set up."""
    try:
        rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    except ValueError:
        rank, size = 0, 1
    return rank, size


def need_accelerate() -> Any:
    """Return the package accelerate.

    Raises
    ------
    InputError
        Where it is not installed.
    """
    try:
        import accelerate
    except ImportError:
        raise InputError(
            "Training on a data set needs the package accelerate. Install it: "
            "pip install 'napari-maskfree[train]'"
        ) from None
    return accelerate


class Team:
    """The processes, seen from one of them.

    ``rank`` of ``size`` is this one, ``main`` the one that writes; ``device`` is where it computes.

    Parameters
    ----------
    device
        "cpu", or any other: then each process takes the accelerator of its own place on its
        machine.
    precision
        "no", "fp16" or "bf16". Half precision is for CUDA: elsewhere it is single precision.

    Raises
    ------
    InputError
        Where accelerate is not installed, or bfloat16 is asked for where there is none.
    """

    def __init__(self, device: torch.device, precision: str = "no") -> None:
        accelerate = need_accelerate()
        if precision == "fp16" and device.type != "cuda":
            precision = "no"
        if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
            raise InputError(
                "schedule.precision is bf16, which this GPU does not know. Take fp16 or no."
            )
        handlers = [
            accelerate.InitProcessGroupKwargs(timeout=_PATIENCE),
            accelerate.DistributedDataParallelKwargs(broadcast_buffers=False),
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads that it sets, and of what it would rather
            self._accelerator = accelerate.Accelerator(
                cpu=device.type == "cpu", mixed_precision=precision, kwargs_handlers=handlers
            )
        self.precision = precision
        self.rank: int = self._accelerator.process_index
        self.size: int = self._accelerator.num_processes
        self.device: torch.device = self._accelerator.device
        self._words = None
        if self.size > 1 and self.device.type != "cpu":
            self._words = torch.distributed.new_group(backend="gloo", timeout=_PATIENCE)

    @property
    def main(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def prepare(self, model: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[Any, Any]:
        """Return the network and the optimiser as all processes share them."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer versions of torch call an option otherwise
            shared = self._accelerator.prepare_model(model, evaluation_mode=self.size == 1)
        return shared, self._accelerator.prepare_optimizer(optimiser)

    def alone(self, shared: nn.Module) -> contextlib.AbstractContextManager[None]:
        """Within it gradients are not summed over the processes: there are more parts to come."""
        alone: contextlib.AbstractContextManager[None] = self._accelerator.no_sync(shared)
        return alone

    def backward(self, loss: torch.Tensor) -> None:
        """Add to the gradients, scaled as the precision needs."""
        self._accelerator.backward(loss)

    def clip(self, parameters: list[nn.Parameter], norm: float) -> float:
        """Clip the gradients to a norm (infinite: not at all); return the norm that they had."""
        return float(self._accelerator.clip_grad_norm_(parameters, norm))

    @property
    def scaler(self) -> Any:
        """The scaler of half precision's losses; None where there is none."""
        return self._accelerator.scaler

    def gather(self, value: T) -> list[T]:
        """Return what every process gave, in the order of their ranks."""
        if self.size == 1:
            return [value]
        everyone: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(everyone, value, group=self._words)
        return everyone

    def together(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, where it succeeds in every process.

        Raises
        ------
        InputError
            In every process where it raises one in any: a process that fails by itself would leave
            the others waiting.
        """
        result, fault = None, ""
        try:
            result = work()
        except InputError as error:
            fault = str(error)
        faults = self.gather(fault)
        if any(faults):
            rank = next(r for r, each in enumerate(faults) if each)
            raise InputError(f"rank {rank}: {faults[rank]}" if rank else faults[rank])
        return result  # type: ignore[return-value]

    def by_itself(self) -> Team:
        """Return this process as if there were no other, with the same device and precision."""
        alone = copy.copy(self)
        alone.rank, alone.size = 0, 1
        return alone

    def leave(self) -> None:
        """Take leave of the others, at the end."""
        if self.size > 1:
            self._accelerator.end_training()
