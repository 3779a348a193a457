"""The commands for your own scans; what takes seconds to import stands inside the command that needs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from dainet.errors import InputError, unknown
from dainet.options import Dataset, Device, Profile, Set, Source, Weights, overrides
from dainet.settings import SEEDS, DataSettings

if TYPE_CHECKING:
    from dainet.attention.any_vit import Token

__all__ = ["attention", "card", "export", "predict"]

_SLICE_AXES = get_args(DataSettings.model_fields["slice_axis"].annotation)


def attention(
    scans: Annotated[list[Path], typer.Argument(help="pictures, scans, or folders with a DICOM series")],
    weights: Weights = "tour",
    model: Annotated[str, typer.Option(help='timm name of the model of a file, or of weights "random"')] = "",
    block: Annotated[int, typer.Option(help="number of the block from 0; -1: the last one")] = -1,
    token: Annotated[
        str, typer.Option(help='who looks: "cls", or ROW,COLUMN of a pixel as the panel shows it')
    ] = "cls",
    rollout: Annotated[bool, typer.Option("--rollout", help="attention rollout from the first block to this")] = False,
    size: Annotated[int | None, typer.Option(min=1, help="shorter side in px of what the ViT sees")] = None,
    slice_: Annotated[int | None, typer.Option("--slice", help="only this slice of a scan, from 0")] = None,
    slice_axis: Annotated[str, typer.Option(help="of the cut: auto, superior, or x, y, z of the file")] = "auto",
    output: Annotated[Path, typer.Option(file_okay=False, help="folder for the files")] = Path("attention"),
    device: Device = None,
) -> None:
    """Write where a vision transformer looks in pictures and scans: panels, .npy, and NIfTI on the grid of a scan."""
    from dainet.attention.any_vit import check_request
    from dainet.device import choose_device
    from dainet.inference.attention import Request, attention_files
    from dainet.vit.any_timm import load_any_vit

    _check_slice_axis(slice_axis)
    choose_device(device or "auto")
    request = Request(block, _token(token), rollout, size, device or "auto")
    vit = load_any_vit(weights or "tour", model)
    check_request(vit, block, request.token)
    mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (vit.mean, vit.std))
    typer.echo(f"{vit.name}: images of {size or vit.size_px} px, mean {mean}, standard deviation {std}")
    failures = attention_files(scans, vit, request, output, slice_axis, slice_)
    typer.echo(f"{len(scans) - len(failures)} of {len(scans)} pictures and scans: {output}")
    raise typer.Exit(1 if failures else 0)


def _check_slice_axis(asked: str) -> None:
    if asked not in _SLICE_AXES:
        raise unknown("--slice-axis", asked, _SLICE_AXES)


def _token(word: str) -> Token:
    if word == "cls":
        return "cls"
    row, _, column = word.partition(",")
    if not (row.strip().isdecimal() and column.strip().isdecimal()):
        raise InputError(f'--token {word!r}: expected "cls", or row and column of a pixel, such as 40,60')
    return int(row), int(column)


def predict(
    scans: Annotated[list[Path], typer.Argument(help="NIfTI, NRRD, MetaImage, PNG, JPEG, or a folder with DICOM")],
    model: Annotated[str, typer.Option(help="a bundle of the kit by name, or a .safetensors file of dainet export")],
    output: Annotated[Path, typer.Option(file_okay=False, help="folder for label maps and sheets")] = Path(
        "predictions"
    ),
    weights: Annotated[str | None, typer.Option(help="ViT of a bundle that does not contain it")] = None,
    device: Device = None,
    slice_axis: Annotated[str, typer.Option(help="of the file: auto, x, y, z, or superior")] = "auto",
    anyway: Annotated[bool, typer.Option("--anyway", help="also scans that differ far from the training")] = False,
    network: Annotated[
        str | None,
        typer.Option(help="FILE.py:NAME of a network from outside, whose code no bundle carries; it is run"),
    ] = None,
) -> None:
    """Predict scans without labels; leaves label maps on their own grid; exits with 1 if one of them failed."""
    from dainet.device import choose_device
    from dainet.inference.bundle import read_bundle
    from dainet.inference.label_maps import predict_files

    _check_slice_axis(slice_axis)
    chosen = choose_device(device or "auto")
    bundle = read_bundle(model, chosen, weights, network)
    failures = predict_files(scans, bundle, Path(model).stem, chosen, output, slice_axis, anyway)
    typer.echo(f"{len(scans) - len(failures)} of {len(scans)} scans predicted: {output}")
    raise typer.Exit(1 if failures else 0)


def export(
    network: Annotated[str, typer.Option(help="unet, single, dual-1111 ...")],
    output: Annotated[Path, typer.Option("--output", "-o", help="the file, a .safetensors")],
    seed: Annotated[int, typer.Option(min=0, max=SEEDS - 1)] = 0,
    license_: Annotated[
        str | None, typer.Option("--license", help="of networks trained on scans of persons: SPDX, CC-BY-NC-SA-4.0 ...")
    ] = None,
    float16: Annotated[bool, typer.Option("--float16", help="half the size, three digits of every weight")] = False,
    without_vit: Annotated[bool, typer.Option("--without-vit", help="leave the vision transformer out")] = False,
    dataset: Dataset = None,
    source: Source = None,
    profile: Profile = "tour",
    weights: Weights = None,
    device: Device = None,
    set_: Set = None,
) -> None:
    """Write a finished and scored training to one file with its card; the options are those of the training."""
    from dainet.inference.export import export as write
    from dainet.settings import load_settings

    settings = load_settings(profile, overrides(dataset, source, weights, device, set_))
    card = write(settings, network, seed, output, license_, float16, without_vit)
    typer.echo(f"{output}  {output.stat().st_size / 2**20:.1f} MiB, {card.license}")


def card(model: Annotated[str, typer.Argument(help="a bundle that the kit contains (tour, acdc), or a file")]) -> None:
    """Print the card of a bundle: what it was trained on, how well it scores, what its license obliges to."""
    from dainet.inference.bundle import read_card
    from dainet.inference.model_card import model_card

    typer.echo(model_card(read_card(model)), nl=False)
