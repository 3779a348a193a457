"""From a scan to its label map: prepared as the training's slices were, predicted, and brought back to its own grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from dainet.attention.stage import grid_of, slices_extractor
from dainet.data.preprocessing import normalize, resize_slices
from dainet.data.scans import Scan
from dainet.device import Device, enough_memory
from dainet.errors import InputError
from dainet.inference.as_trained import misfits, training_turn, turned, turned_back
from dainet.inference.bundle import Bundle
from dainet.segmentation.evaluation import to_native
from dainet.segmentation.slices import Slices

__all__ = ["Prediction", "predict_scan", "predictor"]

Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Prediction:
    """A scan and its predicted labels.

    `volume` and `slices` are the gray values and the labels as slices [D, H, W], turned by `turn` as the training's
    slices lay; `warnings` says by what the scan differs far from the training.
    """

    scan: Scan
    turn: np.ndarray
    volume: np.ndarray
    slices: np.ndarray
    warnings: tuple[str, ...]

    @property
    def labels(self) -> np.ndarray:
        """Labels [X, Y, Z] uint8 on the scan's own grid."""
        return turned_back(self.slices, self.turn)


def predict_scan(
    scan: Scan, bundle: Bundle, predict: Predict, slice_axis: str = "auto", anyway: bool = False
) -> Prediction:
    """Predict a scan with the network of a bundle.

    Args:
        scan: see `dainet.data.scans.read_scan`.
        bundle: see `dainet.inference.bundle.read_bundle`.
        predict: the `predictor` of this bundle, made once for all scans.
        slice_axis: see `dainet.data.formats.orientation.slice_axis`.
        anyway: predict also a scan that differs far from the training, see `misfits`.

    Raises:
        InputError: the scan differs far from the training, or the axis of its slices is unclear.
    """
    turn = training_turn(scan, bundle.card, slice_axis)
    warnings = misfits(scan, turn, bundle.card)
    if warnings and not anyway:
        raise InputError(f"{'; '.join(warnings)}; give --anyway to predict it nevertheless")
    volume = turned(scan.voxels, turn)
    return Prediction(scan, turn, volume, predict(volume), tuple(warnings))


def predictor(bundle: Bundle, device: Device) -> Predict:
    """Return the function that predicts one volume after the other with the network of a bundle.

    It maps gray values [D, H, W] in the scanner's units, slices turned as in the training, to labels [D, H, W] uint8
    with the kit's class numbers, 0 = background. In float32, it gives what the stage `scores` has scored.

    Args:
        bundle: see `dainet.inference.bundle.read_bundle`.
        device: the one to which the bundle was read.
    """
    settings, maps_of = bundle.settings, _maps_of(bundle, device)
    reduced = bundle.vit.heads if bundle.vit is not None and bundle.card.takes == "features" else 0
    vit_size_px = grid_of(bundle.vit, settings.vit.image_size).vit_size_px if bundle.vit is not None else 0

    def predict(volume: np.ndarray) -> np.ndarray:
        volume = volume.astype(np.float32)
        images = _prepared(volume, bundle, bundle.card.normalization, bundle.card.image_size)
        with enough_memory(f"prediction of {len(images)} slices", "choose another device"):
            slices = Slices(images, settings.attention, device, maps_of(volume), vit_size_px, reduced_features=reduced)
            labels = slices.predict(bundle.model, np.arange(len(images)))
        return to_native(labels, volume.shape)

    return predict


def _maps_of(bundle: Bundle, device: Device) -> Callable[[np.ndarray], np.ndarray | None]:
    """Return the function from gray values [D, H, W] to what the network takes next to the image, float16."""
    if bundle.vit is None:
        return lambda volume: None
    settings = bundle.settings.model_copy(
        update={"attention": bundle.settings.attention.model_copy(update={"compile": False})}
    )
    plain = replace(device, records_steps=False)  # scans differ in depth, and each depth would keep a graph
    extract = slices_extractor(settings, bundle.vit, plain, "features" if bundle.card.takes == "features" else "maps")
    normalization = bundle.card.normalization
    if normalization == "zscore":  # see `dainet.pipeline.prepare_for_vit`
        normalization = "window" if bundle.card.is_ct else "minmax"

    def maps_of(volume: np.ndarray) -> np.ndarray:
        images = _prepared(volume, bundle, normalization, settings.vit.image_size)
        starts = range(0, len(images), device.vit_batch)
        batches = (extract(images[start : start + device.vit_batch], start) for start in starts)
        return np.concatenate([batch.astype(np.float16) for batch in batches])

    return maps_of


def _prepared(volume: np.ndarray, bundle: Bundle, normalization: str, size: int) -> np.ndarray:
    """Scale and resize a volume [D, H, W] as the prepared store does, to float16 [D, size, size]."""
    scaled = normalize(volume, normalization, bundle.card.window_hu)
    return resize_slices(scaled, (size, size), order=3).astype(np.float16)
