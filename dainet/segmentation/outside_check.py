"""What a network from outside must do, tried at the run's size before anything is read or trained."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from dainet.attention.given import map_channels
from dainet.device import Device, choose_device, enough_memory
from dainet.errors import InputError, some
from dainet.protocol import CLASSES
from dainet.segmentation.catalog import build, takes
from dainet.segmentation.losses import segmentation_loss
from dainet.segmentation.networks import count_flops, parameter_count
from dainet.segmentation.outside import explained, outside_label, source_hash
from dainet.segmentation.outside_output import check_logits
from dainet.segmentation.pretrained import pretrainable
from dainet.segmentation.slices import final_logits
from dainet.settings import Settings

__all__ = ["Facts", "check_batches", "check_outside"]

log = logging.getLogger(__name__)
_CLASSES = 4  # of a data set whose classes are not known yet
_SAME = 1e-3  # of the largest logit: sums in another order differ by less


class Facts(NamedTuple):
    """What the check found: trainable parameters, operations per slice, and why one slice cannot be trained alone.

    `without_gradient` names the parameters that no gradient reaches, `declared` is the network's attribute
    `has_unused_parameters`, and `alone` is empty where one slice can be trained.
    """

    parameters: int
    operations: int
    without_gradient: tuple[str, ...]
    declared: bool
    alone: str


class _Sizes(NamedTuple):
    classes: int
    heads: int
    width: int
    image_size: int
    dice: str
    device: Device
    pretrained: bool


def check_outside(settings: Settings, name: str, classes: int | None = None) -> Facts:
    """Build a network from outside and try what a training and its scores need; once per process, content and size.

    Two slices of random numbers go through it in float32 on the CPU, at the run's size and width and with the classes
    of the data set, 4 where they are not known; at last as it will be trained, on a GPU or in bfloat16. The global
    random state of torch stays as it was.

    Args:
        settings: the run's settings.
        name: see `dainet.segmentation.outside`.
        classes: of the data with the background, where they have been read.

    Raises:
        InputError: one line with file, what was found and what was expected.
    """
    known, segmentation = CLASSES.get(settings.data.dataset), settings.segmentation
    sizes = _Sizes(
        classes or (len(known.names) + 1 if known else _CLASSES),
        map_channels(settings) if takes(name) == "maps" else 0,
        segmentation.width,
        segmentation.image_size,
        segmentation.dice,
        choose_device(settings.device),
        bool(segmentation.pretrained),
    )
    facts = _checked(name, source_hash(name), sizes)
    if settings.n_processes > 1 and facts.without_gradient and not facts.declared:
        raise InputError(
            f"{outside_label(name)}: no gradient reaches {some(facts.without_gradient)}, and several processes "
            "would wait for it; give the network the attribute has_unused_parameters = True, or set n_processes to 1"
        )
    return facts


def check_batches(settings: Settings, name: str, slices: int) -> None:
    """Refuse batches that leave one slice for a step, or for a process, where the network cannot train on one.

    Raises:
        InputError: it names segmentation.batch_size.
    """
    alone, size = check_outside(settings, name).alone, settings.segmentation.batch_size
    if alone and (slices % size or size) // settings.n_processes <= 1:
        raise InputError(
            f"{outside_label(name)}: {slices} training slices in batches of {size} leave a step with one slice, on "
            f"which it cannot train ({alone}); change segmentation.batch_size"
        )


@lru_cache(maxsize=64)
def _checked(name: str, digest: str, sizes: _Sizes) -> Facts:  # other code is another entry
    label = outside_label(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, inputs = _built(name, sizes), _inputs(sizes)
        if sizes.pretrained:
            pretrainable(model, label)
        _check_signature(label, model, len(inputs))
        operations = _check_evaluation(name, model, inputs, sizes)
        alone = _alone(model.train(), inputs)
        if not _repeats(name, model, inputs, sizes):
            log.warning(
                "%s: two passes of training from the same seed of torch differ; a training repeats only where random "
                "numbers come from torch, and where nothing but buffers is kept from step to step",
                label,
            )
        without = _check_gradients(name, model, inputs, sizes)
        _check_as_trained(name, model, inputs, sizes)
    if without:
        log.warning("%s: no gradient reaches %s: not used in training mode", label, some(without))
    declared = bool(getattr(model, "has_unused_parameters", False))
    facts = Facts(parameter_count(model), operations, without, declared, alone)
    log.info(
        "%s: %.2f M parameters, %.2f GFLOP per slice of %d px; checked",
        *(label, facts.parameters / 1e6, operations / 1e9, sizes.image_size),
    )
    return facts


def _built(name: str, sizes: _Sizes) -> nn.Module:
    size = sizes.image_size
    model = build(name, heads=sizes.heads, classes=sizes.classes, width=sizes.width, image_size=size)
    label, state = outside_label(name), model.state_dict()
    if lazy := [key for key, parameter in model.named_parameters() if is_lazy(parameter)]:
        raise InputError(f"{label}: {some(lazy)} have no size before the first batch; expected layers with sizes")
    if other := [key for key, value in state.items() if not isinstance(value, Tensor)]:
        raise InputError(f"{label}: its state holds {some(other)}; expected tensors alone, which can be stored")
    return model.to(memory_format=sizes.device.memory_format)  # type: ignore[call-overload, no-any-return]


def _inputs(sizes: _Sizes) -> tuple[Tensor, ...]:
    """Make two slices as a network gets them: images of about zero mean, maps in [0, 1]."""
    side = sizes.image_size
    image, maps = torch.randn(2, 1, side, side), torch.rand(2, sizes.heads, side, side)
    return tuple(
        x.contiguous(memory_format=sizes.device.memory_format) for x in ((image, maps) if sizes.heads else (image,))
    )


def _check_signature(label: str, model: nn.Module, count: int) -> None:
    expected = ("image", "image, maps")[count - 1]
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):  # compiled ones have none; calling them shows it
        return
    try:
        signature.bind(*range(count))
    except TypeError as error:
        why = "; it gets maps where the callable names heads" if count > 1 else ""
        raise InputError(f"{label}: found forward{signature}; expected forward({expected}){why}") from error


def _check_evaluation(name: str, model: nn.Module, inputs: tuple[Tensor, ...], sizes: _Sizes) -> int:
    """Predict one slice, the same again, and both; return the operations of one."""
    label, first = outside_label(name), tuple(x[:1] for x in inputs)
    run = _runner(name, model.eval(), sizes, "evaluation")
    with torch.inference_mode():
        operations = count_flops(lambda: run(first))
        one, again, both = run(first), run(first), run(inputs)
    if gap := _gap(one, again):
        raise InputError(
            f"{label}: evaluated twice, the same slice gives other logits (up to {gap} apart); expected "
            "the same: draw random numbers, and change what is kept, only where self.training is true"
        )
    if gap := _gap(one, both[:1]):
        raise InputError(
            f"{label}: in evaluation, the logits of a slice change with the slice next to it (by up to "
            f"{gap}); expected each slice on its own: no sum or norm over dimension 0 of [B, C, H, W]"
        )
    return operations


def _alone(model: nn.Module, inputs: tuple[Tensor, ...]) -> str:
    """Say why one slice cannot be trained alone, as with batch norm on a single value; empty where it can."""
    try:
        with torch.no_grad():
            model(*(x[:1] for x in inputs))
    except Exception as error:  # whatever it is, it would end a training
        return f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
    return ""


def _repeats(name: str, model: nn.Module, inputs: tuple[Tensor, ...], sizes: _Sizes) -> bool:
    """Say whether the same seed of torch gives the same logits in training, where dropout and the like draw."""
    run, logits = _runner(name, model, sizes, "training"), []
    for _ in range(2):
        torch.manual_seed(1)
        with torch.no_grad():
            logits.append(run(inputs))
    return not _gap(*logits)


def _check_gradients(name: str, model: nn.Module, inputs: tuple[Tensor, ...], sizes: _Sizes) -> tuple[str, ...]:
    """Train on two slices; return the names of the parameters that get no gradient."""
    label, wanted = outside_label(name), {key: x for key, x in model.named_parameters() if x.requires_grad}
    outputs = _runner(name, model, sizes, "training", whole=True)(inputs)
    label_map = torch.randint(sizes.classes, (2, sizes.image_size, sizes.image_size))
    loss = segmentation_loss(outputs, label_map, sizes.dice)
    if loss.requires_grad:
        with explained(name, "the backward pass"):
            loss.backward()
    without = tuple(key for key, x in wanted.items() if x.grad is None)
    if bad := [key for key, x in wanted.items() if x.grad is not None and not x.grad.isfinite().all()]:
        raise InputError(f"{label}: the gradient of {some(bad)} is not finite; expected finite ones")
    if len(without) == len(wanted):
        raise InputError(f"{label}: no gradient reaches any parameter; expected at least one that can be trained")
    return without


def _check_as_trained(name: str, model: nn.Module, inputs: tuple[Tensor, ...], sizes: _Sizes) -> None:
    """Run the network on its device and in its precision, in which what fits on the CPU in float32 may not fit."""
    there = sizes.device.torch_device
    with enough_memory(f"{outside_label(name)}: trying it with two slices", "lower segmentation.image_size or width"):
        for training, mode in ((True, "training"), (False, "evaluation")):
            how = f"{mode} on {there} in {sizes.device.precision}"
            run = _runner(name, model.to(there).train(training), sizes, how)
            with torch.no_grad(), sizes.device.autocast():
                run(tuple(x.to(there) for x in inputs))


def _runner(name: str, model: nn.Module, sizes: _Sizes, mode: str, whole: bool = False) -> Callable[..., Any]:
    """Return the function that runs the model and refuses what it returns, unless it is logits, or a list of logits."""

    def run(inputs: tuple[Tensor, ...]) -> Any:
        with explained(name, f"{mode} with {' and '.join(str(list(x.shape)) for x in inputs)}"):
            output = model(*inputs)
        expected = [len(inputs[0]), sizes.classes, sizes.image_size, sizes.image_size]
        check_logits(f"{outside_label(name)}: in {mode}", output, expected)
        return output if whole else final_logits(output)

    return run


def _gap(a: Tensor, b: Tensor) -> str:
    """Return how far logits are apart; empty where that is nothing but rounding."""
    gap = float((a - b).abs().max())
    return f"{gap:.2g}" if gap > _SAME * float(a.abs().max()) else ""
