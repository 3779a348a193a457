"""The groups of settings, frozen and typed; a name that does not exist is an error."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

__all__ = [
    "SEEDS",
    "AttentionSettings",
    "DataSettings",
    "DinoSettings",
    "Seed",
    "SegmentationSettings",
    "Settings",
    "VitSettings",
]

SEEDS = 2**32  # seeds are whole numbers from 0 to below this


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("expected the lower number first")
    return pair


def _distinct(items: Any) -> Any:
    if isinstance(items, tuple) and len(set(items)) < len(items):
        raise ValueError("expected nothing twice")
    return items


def _some(patients: Any) -> Any:
    if patients is not None and (patients < 1 if isinstance(patients, int) else not patients):
        raise ValueError("expected at least one patient, or null for all")
    return patients


Seed = Annotated[int, Field(ge=0, lt=SEEDS)]
_Share = Annotated[float, Field(gt=0, le=1)]
_Scale = Annotated[tuple[_Share, _Share], AfterValidator(_rising)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_as_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        items = value if isinstance(value, list | tuple) else [value]
        switch = cls.model_fields[str(info.field_name)].annotation in (bool, bool | None)
        if not switch and any(isinstance(item, bool) for item in items):
            raise ValueError("expected neither true nor false")  # which Python takes for 1 and 0
        return value


class DataSettings(_Frozen):
    """Which scans are read, and how they become arrays (paper section 4.1; docs/protocol.md#2)."""

    dataset: Literal["acdc", "synapse", "custom"] = "acdc"
    # "phantom", or a folder in one of the formats of data/formats/supported.py.
    source: str = Field("phantom", min_length=1)
    phantom_patients: int = Field(30, ge=1)  # used when source is "phantom"
    split: str = ""  # a column of protocol/<dataset>_splits.csv, or a CSV file (patient, split); empty = the default
    # A number, spread evenly, or ids; None = all.
    train_patients: Annotated[int | tuple[str, ...] | None, AfterValidator(_distinct), AfterValidator(_some)] = None
    # "window" is for Hounsfield units, the others are per volume; "auto": window for CT, minmax for the rest, as the
    # peers do (docs/protocol.md#1.2, #5.12); not given in the paper.
    normalization: Literal["auto", "window", "minmax", "percentile", "zscore"] = "auto"
    # TransUNet's, for soft tissue of the abdomen.
    window_hu: Annotated[tuple[float, float], AfterValidator(_rising), AfterValidator(_distinct)] = (-125, 275)
    # Of nnU-Net's and BTCV's files: the one with clearly thicker or fewer slices, the one nearest to the head, or one
    # of the file's own (docs/data.md).
    slice_axis: Literal["auto", "superior", "x", "y", "z"] = "auto"
    spacing: str = ""  # CSV file of voxel edges for copies that store none (docs/data.md#spacing); empty = none
    # Order of the labels in a copy of Synapse (docs/protocol.md#1.3).
    label_order: Literal["auto", "transunet", "cascade", "samed", "btcv"] = "auto"


class VitSettings(_Frozen):
    """The transformer that makes the maps (paper section 4.2: DINO's ViT-S/16, ImageNet weights)."""

    weights: str = "hub"  # "hub" (ViT-S/16 DINO), "tour" (shipped), "random", a timm name, or a file
    heads: int | None = Field(None, ge=1)  # of a file that does not store them; None = those of a known ViT's shape
    image_size: int = Field(256, ge=16, le=4096)  # px; rounded down to a multiple of the patch, as DINO's script does


class DinoSettings(_Frozen):
    """Fine-tuning without labels (paper sections 3.2 and 4.2; DINO's defaults where the paper gives no value)."""

    epochs: int = Field(800, ge=0)  # 0 keeps the pre-trained weights
    batch_size: int = Field(64, ge=2)
    lr: float = Field(1e-4, gt=0)  # peak, without DINO's scaling by batch/256 (docs/protocol.md#5.15)
    min_lr: float = Field(1e-6, ge=0)
    warmup_epochs: int = Field(10, ge=0)
    weight_decay: float = Field(0.04, ge=0)
    weight_decay_end: float = Field(0.4, ge=0)  # cosine, weights only
    clip_grad: float = Field(3.0, gt=0)  # norm of each parameter tensor by itself
    freeze_last_layer_epochs: int = Field(1, ge=0)
    drop_path: float = Field(0.1, ge=0, lt=1)  # student only
    teacher_momentum: float = Field(0.996, ge=0, le=1)  # cosine to 1 (paper eq. 3)
    student_temperature: float = Field(0.1, gt=0)
    teacher_temperature: float = Field(0.04, gt=0)
    warmup_teacher_temperature: float = Field(0.04, gt=0)
    warmup_teacher_temperature_epochs: int = Field(0, ge=0)
    centering: bool = True  # False with local_crops=0 is eq. 2 of the paper
    center_momentum: float = Field(0.9, ge=0, le=1)
    out_dim: int = Field(65536, ge=2)  # K of eq. 1
    norm_last_layer: bool = True
    global_size: int = Field(256, ge=16, le=4096)  # px of a global view; DINO's code has 224 (docs/protocol.md#5.15)
    global_scale: _Scale = (0.4, 1.0)  # share of the image's area
    local_crops: int = Field(8, ge=0)
    local_size: int = Field(96, ge=8, le=4096)  # px of a local view
    local_scale: _Scale = (0.05, 0.4)
    keep_every: int = Field(0, ge=0)  # also keep the teacher after every so many epochs; 0 = only the last one
    compile: bool | None = None  # torch.compile for the training; None = for a long one on a GPU (docs/gpu.md)
    seed: Seed = 0

    @field_validator("min_lr")
    @classmethod
    def _falls(cls, min_lr: float, info: ValidationInfo) -> float:
        if min_lr > info.data.get("lr", min_lr):
            raise ValueError(f"expected at most dino.lr, which is {info.data['lr']:g}")
        return min_lr

    @field_validator("warmup_epochs")
    @classmethod
    def _fits(cls, warmup_epochs: int, info: ValidationInfo) -> int:
        if 0 < info.data.get("epochs", 0) < warmup_epochs:
            raise ValueError(f"expected at most dino.epochs, which is {info.data['epochs']}")
        return warmup_epochs


class AttentionSettings(_Frozen):
    """From last-block attention to network input (section 4.2; docs/protocol.md#4.3, #5.17, #5.18, #5.19, #5.20)."""

    backbone: Literal["finetuned", "pretrained", "random"] = "finetuned"
    control: Literal["none", "constant", "other-patient", "image"] = "none"  # what the networks get instead of the maps
    maps: str = ""  # folder with maps of your own, one .npy per case (docs/compare.md); empty = those of the ViT
    random_seed: Seed = 0  # draw of the random weights (backbone=random)
    resize: Literal["nearest-bilinear", "bilinear"] = "nearest-bilinear"  # nearest to the ViT's input, then bilinear
    normalization: Literal["minmax", "tokens"] = "minmax"  # per map to [0, 1], or softmax x number of tokens
    compile: bool = False  # torch.compile for the extraction (benchmarks/README.md)


class SegmentationSettings(_Frozen):
    """The segmentation network and its training (paper sections 3.3 and 4.2)."""

    image_size: int = Field(224, ge=16, le=4096, multiple_of=16)  # px; the networks halve it four times
    width: int = Field(64, ge=1)  # channels of the first level
    switch_order: Literal["deep-first", "shallow-first"] = "deep-first"  # which skip is (1); docs/protocol.md#5.21
    epochs: int = Field(300, ge=1)
    patience: int = Field(50, ge=1)  # epochs without a better monitored DSC; not given in the paper
    batch_size: int = Field(16, ge=1)
    lr: float = Field(1e-4, gt=0)
    weight_decay: float = Field(1e-4, ge=0)  # L2 inside Adam, as MT-UNet
    dice: Literal["squared", "eq5"] = "squared"  # MT-UNet's denominators, or the paper's eq. 5
    loss: str = ""  # your own, "file.py:name" or "package.module:name" (docs/compare.md); empty = the paper's eq. 6
    augment: bool = True
    pretrained: str = ""  # of a competitor's encoder: "hub" (timm's weights that it names), or a file; empty = none
    compile: bool | None = None  # torch.compile for the training; None = for a long one on a GPU (docs/gpu.md)
    sync_batch_norm: bool = True  # with n_processes > 1: statistics of the whole batch, as with one process; GPUs only
    selection: Literal["validation", "last", "peer-on-test"] = "validation"
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_distinct)] = (0,)


class Settings(_Frozen):
    """Everything a run depends on."""

    profile: str = "paper"
    device: str = "auto"  # "auto", "cpu", "cuda", "cuda:1", "mps"
    n_processes: int = Field(1, ge=1)  # processes that share one training or extraction; on GPUs, one per GPU
    output: str = ""  # folder of figures and tables below the repository; empty = figures/<data, source>-<profile>
    data: DataSettings = DataSettings()
    vit: VitSettings = VitSettings()
    dino: DinoSettings = DinoSettings()
    attention: AttentionSettings = AttentionSettings()
    segmentation: SegmentationSettings = SegmentationSettings()
