"""Quotations of the paper in lessons and pages: word for word, but for line breaks, stars and the sign of 224x224."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from dainet.lessons.reproduce import find_notebooks
from tests.helpers import REPOSITORY

# Compared with the paper by hand and by program; the paper itself is not part of the repository.
PAPER = (
    "bear observable resemblance to the ground truth segmentation maps",  # Figure 1
    "with much fewer computation costs",  # abstract
    "increasing the number of input channels in θ",  # 3.3
    "from C to C + h",  # 3.3
    "concatenated at the bottleneck",  # 3.3
    "Convolution, ReLu + Batch Norm, Max. Pooling, Softmax, Transposed Convolution, Concatenation",  # Figure 2
    "utilize the data of 100 out of the 150 patients in this dataset",  # 4.1
    "the data for two modalities of end-diastole (ED) and end-systole (ES) are provided",  # 4.1
    "follow the same setting as previous work with 70, 10, and 20 samples",  # 4.1
    "have a resolution of 352x352 and each volume has between 7 and 17 slices",  # 4.1
    "We follow the same training and evaluation scheme as [77], if not otherwise stated",  # 4.2
    "with a step scheduler to gradually decrease the learning rate in each iteration of the training"
    " with a rate of 0.9",  # 4.2
    "we apply early stopping for our model based on the validation dice score",  # 4.2
    "we apply random flipping and rotations to the images during the training",  # 4.2
    "on images with a resolution of 256x256, with a batch size of 64 for 800 epochs"
    " and with a learning rate of 1e-4 on the training set of each dataset",  # 4.2
    "we downsample the attention map visualization to 224x224",  # 4.2
    "the attention map visualizations",  # 4.2
    "DAINet outperforms the complex transformer-based architectures such as MT-UNet [77] and Swin-UNet [8] by a large"
    " margin in terms of dice score",  # 4.3
    "The UNet† model has the same configuration as Swin-Unet",  # 4.3
    "* obtained from [16]",  # Table 2
    "by gradually adding them from the first / last block to the bottleneck",  # 4.3.2
    "removing the last skip connection has an advantage in LV",  # 4.3.2
    "lowering the effect of the skip-connection in the last layer of the attention encoder",  # 4.3.2
    "Computational Cost We have compared the number of parameters",  # 4.3.2
    "HD95 (mm)",  # Table 1
    "which do not change during the training",  # 5
)
OTHERS = (
    "attention map of a head",  # an idiom
    "ACDC, 70/10/20",  # what papers write
    "The first 20 patients",  # a way to choose
)


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip(" .,").casefold()


def quoted(text: str) -> list[str]:
    """Quotations of a text, those inside code left out."""
    prose = re.sub(r"<[^>]+>|`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    return re.findall(r'"([^"]+)"', prose)


def is_of_the_paper(quotation: str) -> bool:
    """Whether the paper has these words; "..." stands for words left out."""
    known = [plain(sentence) for sentence in PAPER]
    parts = [plain(part) for part in quotation.split("...")]
    return any(all(part in sentence for part in parts) for sentence in known)


@pytest.mark.parametrize("path", find_notebooks(), ids=lambda path: path.stem)
def test_what_a_lesson_quotes_is_word_for_word(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    sentences = [q for cell in cells if cell.cell_type == "markdown" for q in quoted(cell.source) if q.count(" ") > 1]
    assert [q for q in sentences if q not in OTHERS and not is_of_the_paper(q)] == []


def test_what_the_protocol_quotes_from_the_paper_is_word_for_word() -> None:
    page = (REPOSITORY / "docs" / "protocol.md").read_text(encoding="utf-8")
    cells = [row.split(" | ")[1] for row in re.findall(r'^\| <a id="5\.\d+"></a>.*\|$', page, re.MULTILINE)]
    quotations = [quotation for cell in cells for quotation in quoted(cell)]
    assert len(quotations) > 10
    assert [quotation for quotation in quotations if not is_of_the_paper(quotation)] == []


def test_a_shortened_quotation_is_noticed() -> None:
    assert is_of_the_paper("step scheduler ... in each iteration of the training ... a rate of 0.9")
    assert not is_of_the_paper("the same scheme as [77]")
    assert not is_of_the_paper("in each iteration with a rate of 0.9")
