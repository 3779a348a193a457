"""What a GPU would refuse, found without one: see gpu_steps.py. And one module knows the names of devices."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import DynamicOutputShapeException

import dainet
from dainet.device import choose_device
from dainet.segmentation.losses import segmentation_loss
from tests.helpers import gpu_steps
from tests.helpers.gpu_steps import CUDA, FORWARD, STEPS, pretended_gpu, slices

PACKAGE = Path(dainet.__file__).parent


@pytest.fixture(scope="module")
def on_stand_in() -> dict[str, str]:
    """Step -> its error, or nothing; one process for all, because the stand-in cannot be taken away again."""
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-m", "tests.helpers.gpu_steps"]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


@pytest.mark.parametrize("step", FORWARD, ids=lambda step: step.__name__)
def test_forward_passes_run_on_cuda_in_bfloat16(step):
    gpu_steps.run(step, CUDA)


@pytest.mark.slow
@pytest.mark.parametrize("step", [step.__name__ for step in STEPS])
def test_steps_run_on_an_accelerator_with_backward_and_optimizer(on_stand_in, step):
    assert on_stand_in[step] == ""


def test_a_tensor_left_on_the_cpu_is_caught():
    with pretended_gpu():
        data = slices(CUDA)
        model = gpu_steps.network("dual-1111", data)
        image, maps = data.inputs(torch.arange(4, device="cuda"))
        with pytest.raises(RuntimeError, match="same device"):
            model(image, maps.cpu())
        with pytest.raises(RuntimeError, match="same device"):
            segmentation_loss(torch.rand(4, 4, 32, 32, device="cuda"), data.labels[:4].long().cpu())
        with pytest.raises(RuntimeError, match="same device"):
            gpu_steps.build("unet")(image)  # a network that nobody moved


def test_a_generator_of_the_cpu_and_a_mask_are_caught():
    with pretended_gpu():
        with pytest.raises(RuntimeError, match="generator"):
            torch.rand(3, device="cuda", generator=torch.Generator())
        numbers = torch.rand(3, device="cuda")
        with pytest.raises(DynamicOutputShapeException):
            numbers[numbers > 0.5]


def test_waiting_for_the_gpu_is_counted():
    with pretended_gpu() as rules:
        there = torch.rand(3).to("cuda", non_blocking=True)
        assert rules.waits == []
        there.sum().item()
        there.cpu()
        torch.rand(3).to("cuda")
    assert rules.waits == ["number", "copy from the GPU", "copy to the GPU"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_stays_refused():
    with pytest.raises(ValueError, match="no CUDA device"):
        choose_device("cuda")


def test_settings_of_a_device_follow_from_its_kind():
    old = gpu_steps.device_settings(torch.device("cuda"), native_bf16=False)
    assert (CUDA.autocast_dtype, CUDA.memory_format) == (torch.bfloat16, torch.channels_last)
    assert (old.autocast_dtype, old.memory_format) == (None, torch.contiguous_format)
    assert CUDA.fused_attention
    assert CUDA.fused_adam
    assert old.fused_attention
    assert not gpu_steps.device_settings(torch.device("mps"), native_bf16=False).fused_adam


def device_names(source: str) -> list[int]:
    """Lines of a module that know a device by name: "cuda" or "mps" in a text, as an attribute, or `torch.device()`.

    Docstrings and the help of the command line, which is read before torch is loaded, may name what can be asked for.
    `torch.device("meta")` is no hardware: it builds networks without memory.
    """
    nodes = list(ast.walk(ast.parse(source)))
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
def test_one_module_knows_devices_by_name(path):
    lines = device_names(path.read_text(encoding="utf-8"))
    assert bool(lines) == (path.name == "device.py"), lines


@pytest.mark.parametrize(
    "line",
    ['x.to("cuda")', "x.cuda()", 'f"mps:{1}"', "torch.cuda.synchronize()", "torch.device(name)", "torch.device('cpu')"],
)
def test_the_search_finds_a_device(line):
    assert device_names(f'"""On cuda."""\n{line}\n') == [2]
    assert device_names('def f():\n    """On cuda."""\n    with torch.device("meta"):\n        pass\n') == []
