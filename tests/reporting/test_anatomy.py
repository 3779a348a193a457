import numpy as np
import pytest
from matplotlib.text import Annotation, Text

from dainet.data.phantoms.cardiac import make_cardiac_patient
from dainet.errors import InputError
from dainet.reporting.anatomy import labeled_heart


@pytest.mark.parametrize("number", [1, 2, 5, 9])
def test_every_arrow_ends_in_the_part_that_it_names(number: int) -> None:
    image, label = (volume[4] for volume in make_cardiac_patient(number).phases["ED"])
    [panel] = labeled_heart(image, label).axes
    shown = panel.images[0].get_array()
    arrows = [child for child in panel.get_children() if isinstance(child, Annotation)]
    found = {}
    for arrow in arrows:
        x, y = (int(value) for value in arrow.xy)
        red, green, blue = np.asarray(shown)[y, x]
        found[arrow.get_text()[:2]] = "RML"[int(np.argmax([red, green, blue]))]
    assert found == {"RV": "R", "My": "M", "LV": "L"}


def test_names_do_not_lie_on_each_other() -> None:
    image, label = (volume[2] for volume in make_cardiac_patient(2).phases["ED"])
    figure = labeled_heart(image, label)
    figure.canvas.draw()
    texts = [child for child in figure.axes[0].get_children() if isinstance(child, Annotation)]
    boxes = [Text.get_window_extent(text) for text in texts]  # without the arrow
    assert not any(first.overlaps(second) for i, first in enumerate(boxes) for second in boxes[:i])


def test_a_slice_without_a_part_is_refused() -> None:
    label = np.zeros((8, 8), int)
    label[2:4, 2:4], label[5:7, 5:7] = 2, 3
    with pytest.raises(InputError, match=r"no RV; choose"):
        labeled_heart(np.zeros((8, 8)), label)
