"""The device and its capabilities; no other module asks torch what the hardware has."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from dainet.errors import InputError, MemoryLackError, lacks_gpu_memory, unknown

__all__ = [
    "Device",
    "can_compile",
    "choose_device",
    "device_settings",
    "enough_memory",
    "gpu_bytes",
    "gpu_names",
    "hardware",
    "named_device",
    "number_process",
    "watch_memory",
]


_KINDS = ("cpu", "cuda", "mps")
_NAMES = ("auto", "cpu", "cuda", "cuda:1", "mps")
_number: int | None = None  # of this process, see `number_process`
_chosen: torch.device | None = None  # by this process, the last time


@dataclass(frozen=True)
class Device:
    """Where tensors live, and how to compute there."""

    torch_device: torch.device
    autocast_dtype: torch.dtype | None  # None = plain float32
    memory_format: torch.memory_format
    fused_adam: bool
    fused_attention: bool
    vit_batch: int  # images per pass without gradient
    records_steps: bool = False  # as CUDA graphs
    compiles: bool = False  # whether torch.compile can pay here: on a CPU it loses

    @property
    def precision(self) -> str:
        """Name of the type that networks compute in, "bfloat16" or "float32": it changes results, so keys hold it."""
        return "float32" if self.autocast_dtype is None else str(self.autocast_dtype).removeprefix("torch.")

    @property
    def collectives(self) -> str:
        """Name of the torch.distributed backend that moves tensors between processes on this device."""
        return "nccl" if self.torch_device.type == "cuda" else "gloo"

    def send(self, tensor: Tensor) -> Tensor:
        """Copy a tensor from the CPU to this device; a GPU is not waited for, so it must come from pinned memory."""
        source = tensor.pin_memory() if self.records_steps else tensor
        return source.to(self.torch_device, non_blocking=True)

    def autocast(self) -> AbstractContextManager:
        """Return a context with mixed precision in the dtype that is native here; it does nothing where none is."""
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.torch_device.type, self.autocast_dtype)


def choose_device(name: str = "auto") -> Device:
    """Pick the device by name; "auto" takes CUDA, then MPS, then the CPU.

    Raises:
        InputError: the name is not a device of this machine.
    """
    device = named_device(name)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InputError(f"device {name!r}: torch finds no Apple GPU; use --device cpu or auto")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {name!r}: torch finds no CUDA device; use --device cpu or auto")
    if device.type == "cuda":
        device = _own_gpu(device)
    global _chosen
    _chosen = device
    return device_settings(device, _has_native_bf16(device))


def named_device(name: str) -> torch.device:
    """Return the device that a name stands for, "auto" for the best one here; whether a named one is here is not asked.

    Raises:
        InputError: no machine has a device of this name.
    """
    asked = _best_available() if name == "auto" else name
    try:
        device = torch.device(asked)
    except RuntimeError:
        raise unknown("device", name, _NAMES) from None
    if str(device) != asked or device.type not in _KINDS or (device.index is not None and device.type != "cuda"):
        raise unknown("device", name, _NAMES)  # torch takes cuda:256 for cuda:0
    return device


def can_compile(device: torch.device) -> bool:
    """Tell whether torch.compile finds the compiler that it needs for a device."""
    if device.type == "cuda":
        return _has_compilers()
    return shutil.which(os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")) is not None


def number_process(number: int) -> None:
    """Number this process, one of several with work of their own, so that `choose_device` spreads them over the GPUs.

    Where "cuda" or "auto" is asked for, process i takes GPU i modulo their number; a GPU asked for by number stays.
    """
    global _number
    _number = number


def device_settings(device: torch.device, native_bf16: bool) -> Device:
    """Choose how to compute on a device, whether or not this machine has it.

    bfloat16 is combined with channels_last. Measured on a CPU with AVX-512 bf16, channels_last alone is slower, and
    both together train the dual encoder about twice as fast as plain float32 (benchmarks/results/rows.md). On the same
    CPU a ViT in bfloat16 trains faster with plain attention than with torch's fused kernel, in float32 slower.

    Args:
        device: a device of any kind that torch knows.
        native_bf16: whether it multiplies faster in bfloat16 than in float32.
    """
    return Device(
        torch_device=device,
        autocast_dtype=torch.bfloat16 if native_bf16 else None,
        memory_format=torch.channels_last if native_bf16 else torch.contiguous_format,
        fused_adam=device.type in ("cpu", "cuda"),
        fused_attention=not (native_bf16 and device.type == "cpu"),
        vit_batch=16 if device.type == "cpu" else 256,  # larger ones do not fit a CPU's cache (32: 1.3 times slower)
        records_steps=device.type == "cuda",
        compiles=device.type == "cuda" and _has_compilers(),
    )


@contextmanager
def enough_memory(work: str, advice: str) -> Iterator[None]:
    """Turn an exhausted GPU, within this context, into one line that names its memory, the work and what to do.

    Raises:
        MemoryLackError: the memory does not suffice.
    """
    try:
        yield
    except RuntimeError as error:
        if not lacks_gpu_memory(error):
            raise
        raise MemoryLackError(
            f"{work}: the memory of {torch.cuda.get_device_name()} does not suffice ({_holders()}); {advice}"
        ) from error


def watch_memory() -> Callable[[], int | None]:
    """Begin to watch the memory of this process's tensors on CUDA devices.

    The function returned gives its peak since then in MiB, that of the fullest device; None where none was used.
    """
    if torch.cuda.is_initialized():
        for index in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(index)

    def peak_mib() -> int | None:
        used = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
        return round(max(map(torch.cuda.max_memory_allocated, used), default=0) / 2**20) or None

    return peak_mib


def gpu_names() -> list[str]:
    """List the CUDA devices of this machine, as `choose_device` takes them."""
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())]


def gpu_bytes() -> list[int]:
    """List the memory of each CUDA device of this machine."""
    return [torch.cuda.get_device_properties(index).total_memory for index in range(torch.cuda.device_count())]


def hardware() -> dict[str, str | int]:
    """Return the names of accelerator and processor, and the number of threads, for records.

    The accelerator is that of the device that this process has chosen last, or would choose: "none" for the CPU.
    """
    kind = _chosen.type if _chosen else _best_available()
    name = torch.cuda.get_device_name() if kind == "cuda" else {"cpu": "none"}.get(kind, kind)
    return {"accelerator": name, "processor": _processor(), "threads": torch.get_num_threads()}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _holders() -> str:
    try:
        free, total = (size / 2**30 for size in torch.cuda.mem_get_info())
    except RuntimeError:  # others hold so much that this process cannot even begin
        return "nearly all of it is held by others"
    own = torch.cuda.memory_reserved() / 2**30
    return f"{own:.1f} of its {total:.1f} GiB are held by this process, {total - free - own:.1f} by others"


def _own_gpu(device: torch.device) -> torch.device:
    """Return the GPU of this process, one of several: torchrun's number goes before that of `number_process`."""
    local_rank, count = os.environ.get("LOCAL_RANK"), torch.cuda.device_count()
    if local_rank and device.index is not None:
        raise InputError(f"device {str(device)!r} cannot serve several processes; use --device cuda or n_processes=1")
    own = device
    if local_rank:
        own = torch.device("cuda", int(local_rank))
    elif _number is not None and device.index is None and count > 1:
        own = torch.device("cuda", _number % count)
    if (own.index or 0) >= count:
        raise InputError(f"device {str(own)!r}: torch finds {count} CUDA devices; lower n_processes or choose another")
    if own.index is not None:  # recording, memory, records and collectives of Python objects use the current device
        torch.cuda.set_device(own)
    return own


def _best_available() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _has_compilers() -> bool:
    """Tell whether torch.compile finds for a GPU what triton/runtime/build.py takes: CC, gcc or clang, and Python.h."""
    compilers = (os.environ["CC"],) if "CC" in os.environ else ("gcc", "clang")
    scheme = sysconfig.get_default_scheme().replace("posix_local", "posix_prefix")  # Debian's, without headers
    header = Path(sysconfig.get_path("include", scheme), "Python.h")
    return find_spec("triton") is not None and any(map(shutil.which, compilers)) and header.is_file()


def _has_native_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
