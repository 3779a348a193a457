"""The stages of a network: facts of networks whose layers are known, and of small ones made here."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dainet.errors import InputError
from dainet.reporting.network_stages import find_stages, network_stages
from dainet.reporting.network_trace import Trace
from dainet.segmentation.catalog import build
from dainet.segmentation.networks import parameter_count

IMAGE, MAPS = torch.zeros(2, 1, 64, 64), torch.zeros(2, 6, 64, 64)


class Tokens(nn.Module):
    """A ViT in small: patches, positions, blocks whose list is not called itself, and a head on enlarged tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 24, kernel_size=16, stride=16)
        self.positions = nn.Parameter(torch.zeros(1, 16, 24))
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(24, 2, 48, batch_first=True) for _ in range(3))
        self.norm = nn.LayerNorm(24)
        self.mlp = nn.Linear(24, 24)
        self.head = nn.Conv2d(24, 5, kernel_size=1)
        self.unused = nn.Linear(7, 1, bias=False)

    def forward(self, x: Tensor, _: Tensor | None = None) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.mlp(self.norm(tokens))
        grid = tokens.transpose(1, 2).unflatten(2, (4, 4))
        return nn.functional.interpolate(self.head(grid), x.shape[-2:])


def test_the_stages_of_a_unet_are_its_blocks_in_the_order_of_execution() -> None:
    stages = find_stages(build("unet", width=4), IMAGE)
    encoder = [f"encoder.blocks.{level}" for level in range(5)]
    decoder = [f"decoder.{part}.{level}" for level in range(4) for part in ("ups", "blocks")]
    assert [stage.name for stage in stages] == ["image", *encoder, *decoder, "head"]
    assert [stage.level for stage in stages] == [0, 0, 1, 2, 3, 4, 3, 3, 2, 2, 1, 1, 0, 0, 0]
    assert [stage.channels for stage in stages] == [1, 4, 8, 16, 32, 64, 32, 32, 16, 16, 8, 8, 4, 4, 4]
    assert [stage.size for stage in stages[4:6]] == [(8, 8), (4, 4)]
    kinds = ["input", *["convolution"] * 5, *["resizing", "convolution"] * 4, "head"]
    assert [stage.kind for stage in stages] == kinds


@pytest.mark.parametrize("digits", ["0000", "0110", "1111"])
def test_only_skips_that_are_on_feed_the_decoder(digits: str) -> None:
    table = network_stages(build(f"dual-{digits}", width=4), IMAGE, MAPS).set_index("Stage")["From"]
    for i, on in enumerate(digits):  # (1) is the deepest
        expected = [f"image_encoder.blocks.{3 - i}", f"decoder.ups.{i}"]
        expected += [f"attention_encoder.blocks.{3 - i}"] if on == "1" else []
        assert set(table[f"decoder.blocks.{i}"].split(", ")) == set(expected)
    assert set(table["decoder.ups.0"].split(", ")) == {"image_encoder.blocks.4", "attention_encoder.blocks.4"}


def test_an_input_stands_before_the_stage_that_takes_it_and_an_unused_one_nowhere() -> None:
    names = [stage.name for stage in find_stages(build("dual-1111", width=4), IMAGE, MAPS)]
    assert names[names.index("attention") + 1] == "attention_encoder.blocks.0"
    assert "attention" not in [stage.name for stage in find_stages(build("unet", width=4), IMAGE, MAPS)]


def test_equal_blocks_are_one_stage_and_a_norm_belongs_to_the_stage_before() -> None:
    stages = {stage.name: stage for stage in find_stages(Tokens(), IMAGE)}
    assert list(stages) == ["x", "patches", "blocks", "mlp", "head"]
    assert [stage.kind for stage in stages.values()] == ["input", "resizing", "attention", "other", "head"]
    assert {stages[name].size for name in ("patches", "blocks", "mlp")} == {(4, 4)}
    assert stages["blocks"].parameters == parameter_count(Tokens().blocks) + 2 * 24


class PooledAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pooled = nn.Conv2d(8, 8, kernel_size=4, stride=4)

    def forward(self, x: Tensor) -> Tensor:
        return x + nn.functional.interpolate(self.pooled(x), x.shape[-2:])


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 2, stride=2), nn.Conv2d(8, 8, 2, stride=2)
        self.attention = PooledAttention()
        self.head = nn.Conv2d(8, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.attention(self.second(self.attention(self.first(x)))))


def test_a_layer_of_attention_is_one_stage_and_one_that_runs_twice_is_named_so() -> None:
    table = network_stages(Shared(), IMAGE)
    assert list(table["Stage"]) == ["x", "first", "attention (2 times)", "second", "head"]
    assert list(table["Kind"]) == ["input", "resizing", "attention", "resizing", "head"]
    assert list(table["From"]) == ["", "x", "first", "attention (2 times)", "second"]


@pytest.mark.parametrize("name", ["unet", "single", "dual-1111"])
def test_every_parameter_is_counted_once(name: str) -> None:
    model = build(name, width=4)
    assert network_stages(model, IMAGE, MAPS)["Parameters"].sum() == parameter_count(model)


def test_parameters_of_no_stage_have_a_row() -> None:
    table = network_stages(Tokens(), IMAGE).set_index("Stage")["Parameters"]
    assert table["in no stage"] == 16 * 24 + 7  # positions, and a layer that never ran
    assert table.sum() == parameter_count(Tokens())


def test_the_network_stays_as_it_is() -> None:
    model = Tokens()
    model.blocks[1].eval()
    before = {name: (value, value.clone()) for name, value in model.state_dict(keep_vars=True).items()}
    modes = [module.training for module in model.modules()]
    with torch.inference_mode():
        find_stages(model, IMAGE)
    assert [module.training for module in model.modules()] == modes
    for name, value in model.state_dict(keep_vars=True).items():
        assert value is before[name][0]
        assert torch.equal(value, before[name][1])
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_long_network_is_opened_only_as_far_as_it_fits_a_page() -> None:
    def levels(count: int) -> nn.Sequential:
        pairs = [(nn.Conv2d(1, 1, 2, stride=2), nn.ConvTranspose2d(1, 1, 2, stride=2)) for _ in range(count)]
        return nn.Sequential(*[layer for pair in pairs for layer in pair])

    long, short = (nn.Sequential(levels(count), nn.Conv2d(1, 3, 1)) for count in (20, 5))
    assert [stage.name for stage in find_stages(long, IMAGE)] == ["input", "0", "1"]
    assert len(find_stages(short, IMAGE)) == 1 + 2 * 5 + 1


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 3, 32, 16), (3, 32, 16)),
        ((2, 32, 16, 3), (3, 32, 16)),  # channels last, as in Swin
        ((2, 128, 7), (7, 16, 8)),  # tokens
        ((2, 129, 7), (7, 16, 8)),  # and a class token
        ((2, 127, 7), None),
        ((8, 49, 7), None),  # windows
        ((2, 7, 1, 1), None),  # pooled
        ((2, 7), None),
        ((), None),
    ],
)
def test_sizes_are_read_from_shapes(shape: tuple[int, ...], expected: tuple[int, int, int] | None) -> None:
    seen = Trace({}, [((2, 1, 64, 32), None)], ())
    assert seen.size(shape) == expected
    assert seen.level(shape) == (None if expected is None else {32: 1, 16: 2}[expected[1]])


@pytest.mark.parametrize("inputs", [(), (torch.zeros(1, 64, 64),)])
def test_other_inputs_than_images_are_refused(inputs: tuple[Tensor, ...]) -> None:
    with pytest.raises(InputError, match=r"\[B, C, H, W\]"):
        find_stages(build("unet", width=4), *inputs)
