"""Which license a network gets, and what it obliges to."""

from __future__ import annotations

import pytest

from dainet.errors import InputError
from dainet.inference.licenses import choose_license, obligation


@pytest.mark.parametrize("phantoms", [True, False])
@pytest.mark.parametrize("given", ["CC-BY-4.0", "CC0-1.0", "LicenseRef-Hospital"])
def test_a_known_license_and_one_of_its_own_are_taken_as_given(given: str, phantoms: bool) -> None:
    assert choose_license(given, phantoms) == given


def test_phantoms_are_free_and_scans_of_persons_are_not() -> None:
    assert choose_license(None, phantoms=True) == "Apache-2.0"
    with pytest.raises(InputError, match="--license"):
        choose_license(None, phantoms=False)


@pytest.mark.parametrize("given", ["", "GPL", "cc-by-4.0", "Hospital-LicenseRef-"])
@pytest.mark.parametrize("phantoms", [True, False])
def test_any_other_one_is_refused(given: str, phantoms: bool) -> None:
    with pytest.raises(InputError, match=r"CC-BY-4\.0"):
        choose_license(given, phantoms)


@pytest.mark.parametrize("license_", ["CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0"])
def test_the_parts_of_a_creative_commons_license_are_in_its_obligation(license_: str) -> None:
    text = obligation(license_)
    assert ("non-commercial" in text) is ("-NC" in license_)
    assert ("share" in text) is ("-SA" in license_)
    assert "name the authors" in text.lower()


def test_a_license_of_its_own_points_to_its_terms() -> None:
    assert "terms of use of the data" in obligation("LicenseRef-Hospital")
