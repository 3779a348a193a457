"""The networks and slices of the live page, from finished trainings in the cache: `python -m book.live.export`.

Equal trainings give equal bytes, as long as torch, ONNX and zlib are the same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from book.live.models import Model, network_model, vit_model
from book.live.slices import organ_facts
from book.live.trained import ORGANS, SEED, Organ, check_finished, open_finished
from dainet.cache.atomic import write_complete
from dainet.errors import InputError
from dainet.options import new_app, run_app

__all__ = ["LARGEST", "LIVE", "export"]

LIVE = Path(__file__).parent
LARGEST = 10_000_000  # bytes of all networks together: every clone of the repository has them
app = new_app(__doc__)


@app.command()
def main(
    output: Annotated[Path, typer.Option(file_okay=False, help="folder for models/ and slices.json")] = LIVE,
) -> None:
    """Write the networks and slices of the live page from finished trainings; nothing is trained."""
    for noisy in ("onnx_ir", "onnxscript"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    record = export(output, ORGANS)
    typer.echo(f"{len(record['models'])} networks, {record['bytes']:,} bytes: {output}")


def export(folder: Path, organs: Mapping[str, Organ]) -> dict[str, Any]:
    """Write `models/<organ>-<network>.onnx.gz`, `models/record.json` and `slices.json`, and return the record.

    Raises:
        InputError: a training is missing in the cache, or the networks are larger than `LARGEST` together.
    """
    check_finished(organs.values())
    opened = {name: open_finished(organ) for name, organ in organs.items()}
    models, pages = dict[str, Model](), dict[str, Any]()
    for name, finished in opened.items():
        of_organ = [vit_model(finished), *(network_model(finished, trained) for trained in finished.networks)]
        models |= {f"{name}-{model.name}": model for model in of_organ}
        pages[name] = organ_facts(organs[name].title, finished)
        pages[name]["networks"] = {model.name: model.page for model in of_organ}
    record = _record(models, organs)
    _write(folder, models, record, pages)
    return record


def _record(models: Mapping[str, Model], organs: Mapping[str, Organ]) -> dict[str, Any]:
    total = sum(len(model.content) for model in models.values())
    if total > LARGEST:
        raise InputError(f"the networks have {total:,} bytes; expected at most {LARGEST:,}: take one from ORGANS")
    return {
        "bytes": total,
        "profile": "tour",
        "seed": SEED,
        "overrides": {name: dict(organ.overrides) for name, organ in organs.items()},
        "versions": {name: version(name) for name in ("torch", "onnx", "onnxscript")},
        "models": {name: model.record for name, model in models.items()},
    }


def _write(folder: Path, models: Mapping[str, Model], record: Mapping[str, Any], pages: Mapping[str, Any]) -> None:
    (folder / "models").mkdir(parents=True, exist_ok=True)
    for name, model in models.items():
        write_complete(folder / "models" / f"{name}.onnx.gz", model.content)
    write_complete(folder / "models" / "record.json", json.dumps(record, indent=1) + "\n")
    write_complete(folder / "slices.json", json.dumps(pages, indent=1) + "\n")


if __name__ == "__main__":
    run_app(app)
