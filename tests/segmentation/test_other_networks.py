"""The networks of other libraries in examples/ pass the check of networks from outside."""

import pytest

from dainet.places import repository_root
from dainet.segmentation.outside_check import check_outside
from dainet.settings import load_settings

EXAMPLES = repository_root() / "examples" / "other_networks.py"


@pytest.mark.slow  # the three libraries take seconds to import
@pytest.mark.parametrize("name", ["smp_unetplusplus", "monai_unetplusplus", "DeepLabV3"])
def test_a_network_of_another_library_passes_the_check(name: str) -> None:
    settings = load_settings("tour", {"segmentation.image_size": 64, "segmentation.width": 4})
    facts = check_outside(settings, f"{EXAMPLES}:{name}")
    assert facts.without_gradient == ()
    assert bool(facts.alone) == (name == "DeepLabV3")  # its pooling leaves one value per channel to batch norm
