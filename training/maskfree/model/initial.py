"""What a network begins with: a whole network that somebody trained, a backbone, or chance.

A whole one comes from the hub or a folder as transformers keeps it, from a checkpoint of
Mask2Former or MaskFreeVIS (detectron2's ``.pkl`` and ``.pth`` as well), or from a run of ours. Its
class outputs go to the classes of the same names; its queries are repeated where more are needed.
"""

from __future__ import annotations

import dataclasses
import re
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from transformers import Mask2FormerForUniversalSegmentation

from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import list_names
from maskfree.model.backbone import pretrained_backbone
from maskfree.model.build import network_config, quiet_about_backbones
from maskfree.model.class_names import same_classes
from maskfree.model.convert import read_weights
from maskfree.model.detectron2_names import is_detectron2
from maskfree.model.from_detectron2 import UNUSED, from_detectron2, shapes_of
from maskfree.model.hub_folder import (
    Wanted,
    check_weights,
    find_folder,
    first_line,
    quiet,
    read_about,
    safe_weights,
)
from maskfree.model.run_weights import weights_of_run
from maskfree.model.signature import Signature, preset_for
from maskfree.model.weights_about import classes_of, library_classes
from maskfree.presets import names_weights
from maskfree.storage import home_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from maskfree.config import Config, ModelConfig
    from maskfree.model.mask2former_video import Mask2FormerVideo

__all__ = ["Initial", "Pretrained", "chosen_pretrained", "find_pretrained", "read_initial"]

_CLASS = "class_predictor."
_QUERIES = (
    "model.transformer_module.queries_embedder.weight",
    "model.transformer_module.queries_features.weight",
)
_OF_THE_LIBRARY = "model.pixel_level_module."
_IN_ORDER = "by their order, since nobody names the outputs:"
_TRAINING_ONLY = "criterion.empty_weight"
_KIND = "mask2former"
_BLOCK = re.compile(r"\.(?:layers|blocks|stages)\.\d+\.")
_SUFFIXES = (".safetensors", ".pth", ".pt", ".pkl", ".bin")
_WANTED = Wanted("model.weights", "The network", "a Mask2Former")


@dataclasses.dataclass(frozen=True)
class Initial:
    """A whole network's weights.

    ``source``: where they are from; ``weights``: by our names; ``classes``: of the class outputs,
    in their order, empty where nobody says; ``network``: which it was before they were renamed.
    """

    source: str
    weights: Mapping[str, torch.Tensor]
    classes: tuple[str, ...] = ()
    network: Signature | None = None

    def check(self, config: ModelConfig) -> None:
        """Check that they are of such a network, as far as their sizes tell; tensors come later.

        Raises
        ------
        InputError
            Where they are of another one.
        """
        wanted = shapes_of(network_config(config, num_classes=1, num_queries=1))
        own = Signature.of({n: torch.empty(s, device="meta") for n, s in wanted.items()})
        held = self.network or Signature.of(self.weights)
        if not held.same_but_queries(own):
            raise InputError(
                f"{self.source} holds {held.words()}, and the settings describe {own.words()}."
                f"{preset_for(held)}"
            )

    def into(self, model: Mask2FormerVideo, classes: Sequence[str]) -> str:
        """Let a network of ``classes`` begin with them; return in words what was made of them.

        A class output is taken over where the class's name is known here (all of them, in their
        order, where no names are known and there are as many), and begins anew elsewhere.

        Raises
        ------
        InputError
            Where they are of another network.
        """
        own = model.state_dict()
        taken = {
            key: _as(value, own.get(key))
            for key, value in self.weights.items()
            if key != _TRAINING_ONLY
        }
        head, words = self._head(taken, own, tuple(classes))
        taken.update(head)
        for key in _QUERIES:
            if key in taken and taken[key].ndim == 2:
                wanted, there = len(own[key]), len(taken[key])
                taken[key] = taken[key][torch.arange(wanted) % max(1, there)]
                if wanted < there and key == _QUERIES[0] and words:
                    words += f"; the first {wanted} of its {there} queries"
        self._check(taken, own)
        model.load_state_dict({**own, **{key: taken[key] for key in own if key in taken}})
        return words

    def _head(
        self,
        taken: Mapping[str, torch.Tensor],
        own: Mapping[str, torch.Tensor],
        classes: tuple[str, ...],
    ) -> tuple[dict[str, torch.Tensor], str]:
        """Return the class outputs, and in words which are taken over."""
        weight, bias = (taken.get(_CLASS + name) for name in ("weight", "bias"))
        if weight is None or weight.ndim != 2 or weight.shape[1] != own[f"{_CLASS}weight"].shape[1]:
            return {}, ""  # another network, which is said elsewhere
        if bias is None or bias.shape != weight.shape[:1]:
            return {}, ""
        count = len(weight) - 1
        if self.classes and len(self.classes) != count:
            warnings.warn(
                f"{self.source} names {len(self.classes)} classes for {count} class outputs; the "
                "names are not used.",
                InputWarning,
                stacklevel=5,
            )
        named = len(self.classes) == count
        if named:
            places = same_classes(self.classes, classes)
        else:
            places = {i: i for i in range(count)} if count == len(classes) else {}
        rows = [*places, len(classes)]
        sources = [*places.values(), count]
        head = {}
        for name in ("weight", "bias"):
            head[_CLASS + name] = own[_CLASS + name].clone()
            head[_CLASS + name][rows] = taken[_CLASS + name][sources].to(head[_CLASS + name])
        kept = [classes[place] for place in places]
        anew = [name for place, name in enumerate(classes) if place not in places]
        told = [
            f"{what} {list_names(names)}"
            for what, names in (("known" if named else _IN_ORDER, kept), ("new", anew))
            if names
        ]
        return head, f"weights of {self.source}; classes: {', '.join(told) or 'none'}"

    def _check(self, taken: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> None:
        wrong = [
            key
            for key, value in own.items()
            if not UNUSED.fullmatch(key) and (key not in taken or taken[key].shape != value.shape)
        ]
        left = [key for key in taken if key not in own]
        missing = [key for key in wrong if key not in taken]
        deeper = [key for key in left if _BLOCK.search(key)]  # a stage or a decoder cut off short
        held = self.network or Signature.of(taken)
        if missing == wrong and held.same_but_queries(Signature.of(own)) and wrong:
            raise InputError(
                f"{self.source} lacks {len(missing)} tensors of a whole network, first "
                f"{missing[0]}. Give a whole Mask2Former or MaskFreeVIS checkpoint."
            )
        if wrong or deeper:
            misfits = [*wrong, *deeper]
            raise InputError(
                f"{self.source} holds {held.words()}, and the settings describe "
                f"{Signature.of(own).words()}; {len(misfits)} tensors do not fit, first "
                f"{misfits[0]}."
                f"{preset_for(held)}"
            )
        ruined = [key for key in own if key in taken and not taken[key].isfinite().all()]
        if ruined:
            raise InputError(
                f'"{ruined[0]}" of {self.source} holds numbers that are none (NaN or infinite). It '
                "was saved after a training that failed; give an earlier one."
            )
        if left:
            warnings.warn(
                f"{self.source}: {len(left)} tensors have no place in the network and were left "
                f"out: {list_names(left)}.",
                InputWarning,
                stacklevel=4,
            )


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """What a network begins with beside chance: a ``whole`` one, or a ``backbone`` by its names."""

    whole: Initial | None = None
    backbone: Mapping[str, torch.Tensor] = dataclasses.field(default_factory=dict)

    @property
    def kind(self) -> str:
        """How much of the network begins with weights: "whole", "backbone" or "fresh"."""
        if self.whole is not None:
            return "whole"
        return "backbone" if self.backbone else "fresh"

    def into(self, model: Mask2FormerVideo, classes: Sequence[str]) -> str:
        """Let a network begin with them; return in words what was made of them.

        Raises
        ------
        InputError
            Where they are of another network.
        """
        if self.whole is not None:
            return self.whole.into(model, classes)
        if self.backbone:
            model.model.pixel_level_module.encoder.load_state_dict(self.backbone)
        return ""


def find_pretrained(config: ModelConfig) -> Pretrained:
    """Return what the settings name, as far as it can be had: a whole network before a backbone.

    Raises
    ------
    InputError
        As :func:`read_initial`, `Initial.check` and `pretrained_backbone`.
    """
    whole = read_initial(config.weights, config) if config.weights else None
    if whole is not None:
        whole.check(config)
    return Pretrained(whole) if whole else Pretrained(backbone=pretrained_backbone(config))


def chosen_pretrained(config: Config) -> Pretrained:
    """Return what a run's settings name: where a person named a whole network it must be had.

    Raises
    ------
    InputError
        As :func:`find_pretrained`; for such a network that cannot be had. The preset's own, of a
        hub that cannot be reached, is warned of alone.
    """
    found = find_pretrained(config.model)
    if names_weights(config) and found.whole is None:
        raise InputError(
            f"The weights {config.model.weights} cannot be had here, and the run is to begin with "
            "them. Download them elsewhere and name their folder or file, or name none (--weights; "
            "in the window Advanced, Weights)."
        )
    return found


def read_initial(source: str, config: ModelConfig) -> Initial | None:
    """Read a whole network's weights; None, with an InputWarning, where a hub cannot be reached.

    Parameters
    ----------
    source
        A file (detectron2's ``.pkl`` or ``.pth``, what torch saved of transformers' Mask2Former,
        safetensors of it, of ``convert-weights`` or of a run), a folder as transformers keeps one,
        a run's folder (a session's, or of `maskfree train`: its newest checkpoint), or a hub id.
    config
        The network that they are for.

    Raises
    ------
    InputError
        For a file or folder that is damaged, missing, no such network or more than weights.
    """
    path = weights_of_run(home_path(source))
    if path.is_file():
        return _from_file(path, config)
    if path.suffix in _SUFFIXES:
        raise InputError(f"There is no checkpoint {path}. Check model.weights.")
    with quiet():
        folder = find_folder(source, _WANTED)
        if folder is None:
            return None
        about = read_about(folder, _WANTED)
        if about.get("model_type") != _KIND:
            raise InputError(
                f'{folder} should hold a Mask2Former for transformers (model_type "{_KIND}"), got '
                f'"{about.get("model_type")}". Give the folder of one.'
            )
        check_weights(folder)
        try:
            with safe_weights(folder) as safe:
                tensors = read_weights(safe / "model.safetensors")
        except ValueError as error:
            raise InputError(
                f"The weights in {folder} cannot be read ({first_line(error)}): they are damaged, "
                "incomplete or more than weights. Download model.safetensors again."
            ) from error
    classes = library_classes(about, _outputs(tensors))
    return Initial(source, _by_library(tensors, config, source), classes, Signature.of(tensors))


def _as(value: torch.Tensor, own: torch.Tensor | None) -> torch.Tensor:
    """Return a tensor in the network's precision, where it is one of real numbers there and here.

    Raises
    ------
    InputError
        Where it is not.
    """
    if own is None or not own.is_floating_point() or value.dtype == own.dtype:
        return value
    if not value.is_floating_point():
        raise InputError(
            f"The weights must be real numbers, got a tensor of {value.dtype}. Save the network's "
            "own weights, in 16, 32 or 64 bits."
        )
    return value.to(own.dtype)


def _from_file(path: Path, config: ModelConfig) -> Initial:
    tensors = read_weights(path)
    if is_detectron2(set(tensors)):
        found = from_detectron2(tensors)
        if found.missing:
            raise InputError(
                f"{path} lacks {len(found.missing)} tensors of a whole network, first "
                f"{found.missing[0]}. Give a whole Mask2Former or MaskFreeVIS checkpoint."
            )
        if found.left_over:
            warnings.warn(f"{path}: {found.report()}.", InputWarning, stacklevel=4)
        return Initial(str(path), found.weights, found.classes)
    if not any(name.startswith(_OF_THE_LIBRARY) for name in tensors):
        raise InputError(
            f"{path} holds no Mask2Former: no tensor is named {_OF_THE_LIBRARY}…. Give a "
            "checkpoint of Mask2Former or MaskFreeVIS, or a run's weights."
        )
    weights = _by_library(tensors, config, str(path))
    classes = classes_of(path, _outputs(tensors))
    return Initial(str(path), weights, classes, Signature.of(tensors))


def _outputs(tensors: Mapping[str, torch.Tensor]) -> int:
    """Return the number of class outputs, "no object" aside; 0: there are none."""
    head = tensors.get(f"{_CLASS}weight")
    return max(0, len(head) - 1) if head is not None and head.ndim else 0


def _by_library(
    tensors: Mapping[str, torch.Tensor], config: ModelConfig, source: str
) -> dict[str, torch.Tensor]:
    """Return a checkpoint of transformers by the names of today, which the library knows."""
    head, queries = tensors.get(f"{_CLASS}weight"), tensors.get(_QUERIES[0])
    if head is None or queries is None or head.ndim != 2 or queries.ndim != 2:
        raise InputError(
            f"{source} holds no whole Mask2Former: there is no class_predictor, or no queries. "
            "Give a whole one; for a backbone alone there is model.backbone_weights."
        )
    made = network_config(config, num_classes=max(1, len(head) - 1), num_queries=1)
    made.num_queries = len(queries)
    if all(name in tensors for name in shapes_of(made) if not UNUSED.fullmatch(name)):
        return dict(tensors)
    with tempfile.TemporaryDirectory() as folder, quiet(), quiet_about_backbones():
        made.save_pretrained(folder)
        file = Path(folder) / "model.safetensors"
        whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
        safetensors.torch.save_file(whole, file, metadata={"format": "pt"})
        network, told = Mask2FormerForUniversalSegmentation.from_pretrained(
            folder,
            dtype=torch.float32,
            local_files_only=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    state: dict[str, torch.Tensor] = network.state_dict()
    for key in told["missing_keys"]:
        state.pop(key, None)
    for key, shape, *_ in told["mismatched_keys"]:
        state[key] = torch.empty(shape, device="meta")
    for key in told["unexpected_keys"]:  # by its name of today, which the file may not have
        state[key] = tensors.get(key, torch.empty(0, device="meta"))
    return state
