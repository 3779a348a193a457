"""The choice of a device, also on machines other than this one; only one module knows the names of devices."""

import ast
import re
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import torch

import dainet
from dainet.device import (
    can_compile,
    choose_device,
    device_settings,
    enough_memory,
    hardware,
    number_process,
    watch_memory,
)
from dainet.errors import InputError, MemoryLackError

PACKAGE = Path(dainet.__file__).parent


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(dainet.device, "_chosen", None)  # and back again
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    return current


@pytest.mark.parametrize(
    ("name", "local_rank", "expected"),
    [
        ("auto", None, "cuda"),
        ("cuda:1", None, "cuda:1"),
        ("auto", "0", "cuda:0"),
        ("cuda", "1", "cuda:1"),
        ("cpu", "1", "cpu"),
    ],
)
def test_each_process_takes_its_own_gpu(
    two_gpus: list[torch.device], monkeypatch: pytest.MonkeyPatch, name: str, local_rank: str | None, expected: str
) -> None:
    if local_rank:
        monkeypatch.setenv("LOCAL_RANK", local_rank)
    device = choose_device(name)
    assert str(device.torch_device) == expected
    assert device.collectives == ("gloo" if expected == "cpu" else "nccl")
    assert two_gpus == ([device.torch_device] if ":" in expected else [])  # the current one, from then on


@pytest.mark.parametrize(
    ("name", "local_rank", "message"),
    [
        ("cuda:2", None, "cuda:2.*2"),
        ("cuda", "2", "cuda:2.*2.*n_processes"),
        ("cuda:1", "1", "cuda:1.*processes.*--device cuda"),
    ],
)
def test_gpus_that_are_not_there_are_refused(
    two_gpus: list[torch.device], monkeypatch: pytest.MonkeyPatch, name: str, local_rank: str | None, message: str
) -> None:
    if local_rank:
        monkeypatch.setenv("LOCAL_RANK", local_rank)
    with pytest.raises(ValueError, match=message):
        choose_device(name)


@pytest.mark.parametrize(
    ("name", "number", "local_rank", "expected"),
    [
        ("cuda", 0, None, "cuda:0"),
        ("cuda", 1, None, "cuda:1"),
        ("auto", 2, None, "cuda:0"),
        ("auto", 5, None, "cuda:1"),
        ("cuda:0", 1, None, "cuda:0"),
        ("cpu", 1, None, "cpu"),
        ("cuda", 0, "1", "cuda:1"),
    ],
)
def test_numbered_processes_are_spread_over_the_gpus(
    two_gpus: list[torch.device],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    number: int,
    local_rank: str | None,
    expected: str,
) -> None:
    monkeypatch.setattr(dainet.device, "_number", None)  # and back again
    number_process(number)
    if local_rank:
        monkeypatch.setenv("LOCAL_RANK", local_rank)
    assert str(choose_device(name).torch_device) == expected
    assert [str(current) for current in two_gpus] == ([expected] if ":" in expected else [])


def test_records_name_the_device_that_was_chosen_and_not_the_best_one(
    two_gpus: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Fast 1")
    assert hardware()["accelerator"] == "Fast 1"
    choose_device("cpu")
    assert hardware()["accelerator"] == "none"
    choose_device("cuda:1")
    assert hardware()["accelerator"] == "Fast 1"


def test_a_numbered_process_stays_on_the_only_gpu(
    two_gpus: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(dainet.device, "_number", 1)
    assert str(choose_device("cuda").torch_device) == "cuda"
    assert two_gpus == []


@pytest.mark.parametrize(("used", "peak"), [(True, 7), (False, None)])
def test_peak_memory_is_that_of_the_fullest_device(
    monkeypatch: pytest.MonkeyPatch, used: bool, peak: int | None
) -> None:
    restarted: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: used)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", restarted.append)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda index: (3 * 2**20, 7 * 2**20)[index])
    assert watch_memory()() == peak
    assert restarted == ([0, 1] if used else [])


NO_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported at some other call"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
]


@pytest.mark.parametrize("error", NO_MEMORY, ids=lambda error: str(error)[:40])
@pytest.mark.parametrize("room", [True, False])
def test_want_of_memory_is_one_line_whichever_library_tells_it(
    monkeypatch: pytest.MonkeyPatch, error: Exception, room: bool
) -> None:
    def ask() -> tuple[int, int]:
        if not room:
            raise RuntimeError("CUDA error: out of memory")
        return 2**30, 2**33

    monkeypatch.setattr(torch.cuda, "mem_get_info", ask)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 2**31)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Small 1")
    words = r"batches: .*Small 1.*2\.0 of its 8\.0 GiB" if room else "batches: .*Small 1"
    with pytest.raises(MemoryLackError, match=words) as told, enough_memory("batches", "lower them"):
        raise error
    assert "\n" not in str(told.value)
    assert str(told.value).endswith("lower them")


@pytest.mark.parametrize(
    "error",
    [RuntimeError("CUDA error: an illegal memory access was encountered"), ValueError("CUDA error: out of memory")],
)
def test_other_errors_stay_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as found, enough_memory("batches", "lower them"):
        raise error
    assert found.value is error


@pytest.mark.parametrize(
    ("programs", "cc", "triton", "header", "expected"),
    [
        (["gcc"], None, True, True, True),
        (["clang"], None, True, True, True),
        (["cc"], None, True, True, False),
        (["mine"], "mine", True, True, True),
        (["gcc"], "mine", True, True, False),
        (["gcc"], None, False, True, False),
        (["gcc"], None, True, False, False),
    ],
)
def test_a_gpu_needs_what_triton_takes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    programs: list[str],
    cc: str | None,
    triton: bool,
    header: bool,
    expected: bool,
) -> None:
    for name in programs:
        (tmp_path / name).touch(0o755)
    if header:
        (tmp_path / "Python.h").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CC", cc) if cc else monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(dainet.device, "find_spec", lambda name: name if triton else None)
    monkeypatch.setattr(sysconfig, "get_path", lambda kind, scheme: str(tmp_path))
    assert can_compile(torch.device("cuda")) == expected
    assert device_settings(torch.device("cuda"), native_bf16=True).compiles == expected


def test_on_debian_headers_are_those_of_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There the default scheme, posix_local, names a folder in /usr/local."""
    (tmp_path / "posix_prefix").mkdir()
    (tmp_path / "posix_prefix" / "Python.h").touch()
    monkeypatch.setenv("CC", "true")
    monkeypatch.setattr(dainet.device, "find_spec", lambda name: name)
    monkeypatch.setattr(sysconfig, "get_default_scheme", lambda: "posix_local")
    monkeypatch.setattr(sysconfig, "get_path", lambda kind, scheme: str(tmp_path / scheme))
    assert can_compile(torch.device("cuda"))


def test_without_cuda_an_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"CUDA.*--device cpu"):
        choose_device("cuda")


def test_an_apple_gpu_is_taken_where_there_is_one_and_refused_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps").torch_device.type == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"mps.*Apple GPU.*--device cpu"):
        choose_device("mps")


@pytest.mark.parametrize(
    "name",
    ["xpu", "meta", "hpu", "cpu:1", "cpu:0", "mps:3", "cuda:-1", "cuda:256", "cuda:01", "gpu", "CPU", "", "0", "cuda:"],
)
def test_other_names_are_refused_with_the_known_ones(two_gpus: list[torch.device], name: str) -> None:
    with pytest.raises(InputError) as caught:
        choose_device(name)
    assert re.search(re.escape(repr(name)) + ".*auto, cpu, cuda, cuda:1, mps", str(caught.value))


def test_settings_of_a_device_follow_from_its_kind() -> None:
    new, old = (device_settings(torch.device("cuda"), native_bf16=native) for native in (True, False))
    assert (new.autocast_dtype, new.memory_format) == (torch.bfloat16, torch.channels_last)
    assert (old.autocast_dtype, old.memory_format) == (None, torch.contiguous_format)
    assert (new.precision, old.precision) == ("bfloat16", "float32")
    assert new.fused_attention
    assert new.fused_adam
    assert old.fused_attention
    assert not device_settings(torch.device("mps"), native_bf16=False).fused_adam


def device_names(source: str) -> list[int]:
    """Lines of a module that know a device by name: "cuda" or "mps" in a text, as an attribute, or `torch.device()`.

    Docstrings and the help of the command line, which is read before torch is loaded, may name what can be asked for.
    `torch.device("meta")` is not hardware; it builds networks without memory.
    """
    nodes: list[Any] = list(ast.walk(ast.parse(source)))
    bodies = [node.body for node in nodes if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    free = [body[0].value for body in bodies if body and isinstance(body[0], ast.Expr)]
    free += [node.value for node in nodes if isinstance(node, ast.keyword) and node.arg == "help"]
    exempt = {id(node) for node in free}
    return [node.lineno for node in nodes if id(node) not in exempt and _names_device(node)]


def _names_device(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=str(text)):
            return re.search(r"\b(cuda|mps)\b", text) is not None
        case ast.Attribute(attr="cuda" | "mps"):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name("torch"), attr="device"), args=[ast.Constant("meta")]):
            return False
        case ast.Call(func=ast.Attribute(value=ast.Name("torch"), attr="device")):
            return True
    return False


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_two_modules_know_devices_by_name(path: Path) -> None:
    lines = device_names(path.read_text(encoding="utf-8"))
    assert bool(lines) == (path.name in ("cuda_graphs.py", "device.py")), lines


@pytest.mark.parametrize(
    "line",
    ['x.to("cuda")', "x.cuda()", 'f"mps:{1}"', "torch.cuda.synchronize()", "torch.device(name)", "torch.device('cpu')"],
)
def test_the_search_finds_a_device(line: str) -> None:
    assert device_names(f'"""On cuda."""\n{line}\n') == [2]
    assert device_names('def f():\n    """On cuda."""\n    with torch.device("meta"):\n        pass\n') == []
