"""Custom data in nnU-Net's raw layout, and in those that are close to it.

nnU-Net writes imagesTr/NAME_0000.nii.gz and labelsTr/NAME.nii.gz next to dataset.json, or .nrrd or .mha in both places;
the Decathlon and AMOS leave _0000 out, and MONAI's BTCV has imagesTr/img0001.nii.gz and labelsTr/label0001.nii.gz.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from dainet.data.formats.dataset_json import listed_files
from dainet.data.formats.pairs import volume_stem
from dainet.data.volume import Case, DataError, Volume

__all__ = ["check_annotated", "described_folders", "find_nnunet_cases"]

_IMAGE_FOLDERS = {"labelsTr": "imagesTr", "labels": "images"}  # of each folder of labels
_FIRST_CHANNEL = "_0000"
_OTHER_KINDS = {".nhdr", ".mhd", ".gipl", ".dcm", ".png", ".bmp", ".tif", ".tiff", ".npz", ".npy"}


def find_nnunet_cases(files: Sequence[Path]) -> Iterator[Case | DataError]:
    """Find the annotated volumes next to a dataset.json; each case counts as a separate patient.

    A label belongs to the image that dataset.json lists with it, else to the one of its name, with or without _0000;
    where no label has the name of an image, to the one of its number.

    Yields:
        Cases; errors for an image without a label, a label without an image, a second channel, and a second data set.
    """
    roots = described_folders(files)
    if len(roots) > 1:
        listing = ", ".join(root.name for root in roots)
        yield DataError(f"found {len(roots)} data sets ({listing}); expected one; set data.source to one of them")
    if len(roots) != 1:
        return
    listed = {_stem(label): _stem(image) for label, image in listed_files(roots[0] / "dataset.json").items()}
    found = defaultdict[Path, list[Path]](list)
    for path in filter(volume_stem, files):
        found[_stem(path)].append(path)
    volumes = {stem: paths[-1] for stem, paths in found.items()}
    labels = {stem for stem in volumes if stem in listed or _inside(stem, roots[0], _IMAGE_FOLDERS)}
    expected = {name for image in listed.values() for name in _spellings(image)}
    images = {stem for stem in volumes if stem in expected or _inside(stem, roots[0], _IMAGE_FOLDERS.values())} - labels
    pairs = _by_name(labels, images, listed) or _by_number(labels, images)
    names = {label: _case_name(label, image) for label, image in pairs.items()}
    shared = {name for name, count in Counter(names.values()).items() if count > 1}  # case1/image, case2/image
    for label, image in sorted(pairs.items()):
        prefix = f"{image.parent.name}_" if names[label] in shared else ""
        yield Case(prefix + names[label], "", (volumes[image], volumes[label]))
        yield from _twice(prefix + names[label], found[image] + found[label])
    yield from _alone(labels - set(pairs), images - set(pairs.values()), pairs, volumes)
    yield from _other_kinds(path for path in files if path.parent.parent == roots[0])


def _twice(name: str, files: Sequence[Path]) -> Iterator[DataError]:
    """Yield an error where image and label of a case are more than two files, such as a.nii.gz and a.nrrd."""
    if len(files) > 2:
        found = ", ".join(f"{path.parent.name}/{path.name}" for path in files)
        yield DataError(f"{name}: found {found}; expected one image and one label; move the others away", name)


def described_folders(files: Sequence[Path]) -> list[Path]:
    """Return the folders whose dataset.json describes volumes that are there, sorted."""
    known, folders = {_stem(path) for path in files if volume_stem(path)}, {path.parent for path in files}
    usual = {name for pair in _IMAGE_FOLDERS.items() for name in pair}
    return [
        path.parent
        for path in files
        if path.name == "dataset.json"
        and (folders & {path.parent / name for name in usual} or known & set(map(_stem, listed_files(path))))
    ]


def check_annotated(case: Case, volume: Volume, ignored: int | None) -> None:
    """Check that no voxel is marked as not annotated.

    Args:
        case: named in the error.
        volume: with labels as stored.
        ignored: value of the label "ignore"; None if there is none.

    Raises:
        DataError: some voxels have this label.
    """
    marked = 0 if ignored is None else int((volume.label == ignored).sum())
    if marked:
        raise DataError(
            f'{case}: {marked} of {volume.label.size} voxels have the label "ignore" ({ignored}); the kit trains and '
            "scores on whole volumes; annotate them, or leave the patient out of the split (data.split)"
        )


def _other_kinds(files: Iterable[Path]) -> Iterator[DataError]:
    """Yield an error for each kind of volume, in the folders of images and labels, that is not read."""
    places = {*_IMAGE_FOLDERS, *_IMAGE_FOLDERS.values()}
    kinds = Counter(path.suffix.lower() for path in files if path.parent.name in places and not volume_stem(path))
    for kind in sorted(_OTHER_KINDS & set(kinds)):
        yield DataError(
            f"found {kinds[kind]} files *{kind} among the images and labels; the kit trains on .nii.gz, .nii, "
            ".nrrd and .mha; convert them, for instance by SimpleITK.WriteImage(SimpleITK.ReadImage(old), new)"
        )


def _stem(path: Path) -> Path:
    """Path without the ending of a volume."""
    return path.with_name(volume_stem(path) or path.name)


def _ending(path: Path) -> str:
    return path.name.removeprefix(volume_stem(path))


def _inside(stem: Path, root: Path, folders: Collection[str]) -> bool:
    return stem.parent.parent == root and stem.parent.name in folders


def _spellings(stem: Path) -> tuple[Path, Path]:
    """Return the names that an image may have, the preferred one first; old lists leave _0000 out."""
    return stem.with_name(stem.name + _FIRST_CHANNEL), stem


def _by_name(labels: Collection[Path], images: Collection[Path], listed: Mapping[Path, Path]) -> dict[Path, Path]:
    pairs = dict[Path, Path]()
    for label in labels:
        beside = label.parent.with_name(_IMAGE_FOLDERS.get(label.parent.name, label.parent.name)) / label.name
        wanted = [stem for base in (listed.get(label, beside), beside) for stem in _spellings(base)]
        if found := [stem for stem in wanted if stem in images]:
            pairs[label] = found[0]
    return pairs


def _by_number(labels: Collection[Path], images: Collection[Path]) -> dict[Path, Path]:
    """Pair names that differ in one word alone: img0001 and label0001, volume-1 and segmentation-1."""
    label_of, image_of = _numbered(labels), _numbered(images)
    return {label_of[numbers]: image_of[numbers] for numbers in label_of.keys() & image_of.keys()}


def _numbered(stems: Collection[Path]) -> dict[tuple[str, ...], Path]:
    """Return volumes by the numbers in their names; nothing if their names differ in more than that."""
    channel = _FIRST_CHANNEL if all(stem.name.endswith(_FIRST_CHANNEL) for stem in stems) else ""
    names = {stem.name.removesuffix(channel): stem for stem in stems}
    alike = len({re.sub(r"\d+", "0", name) for name in names}) == 1
    return {numbers: stem for name, stem in names.items() if alike and (numbers := tuple(re.findall(r"\d+", name)))}


def _case_name(label: Path, image: Path) -> str:
    return label.name if image.name == label.name else image.name.removesuffix(_FIRST_CHANNEL)


def _alone(
    labels: Collection[Path], images: Collection[Path], pairs: Mapping[Path, Path], volumes: Mapping[Path, Path]
) -> Iterator[DataError]:
    """Yield the errors for labels and images that belong to none of the pairs."""
    suffix = "" if pairs and all(label.name == image.name for label, image in pairs.items()) else _FIRST_CHANNEL
    advice = "fetch it again" if pairs else 'rename them alike, or list the pairs in dataset.json as "training"'
    label_folders, names = {image: label for label, image in _IMAGE_FOLDERS.items()}, {stem.name for stem in labels}
    names |= {label.name for label in pairs}
    for stem in sorted(images):
        name = re.sub(r"_\d{4}$", "", stem.name) if suffix else stem.name
        missing = f"{label_folders.get(stem.parent.name, stem.parent.name)}/{name}{_ending(volumes[stem])}"
        reason = f"{missing} is missing next to {volumes[stem].name}; {advice}"
        second = f"{volumes[stem].name} is a second channel; the kit takes one channel, {_FIRST_CHANNEL}"
        yield DataError(f"{name}: {second if name in names else reason}", name)
    for stem in sorted(labels):
        missing = (
            f"{_IMAGE_FOLDERS.get(stem.parent.name, stem.parent.name)}/{stem.name}{suffix}{_ending(volumes[stem])}"
        )
        yield DataError(f"{stem.name}: {missing} is missing next to {volumes[stem].name}; {advice}", stem.name)
