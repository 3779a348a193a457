"""Every command in README and docs exists, and is run by a test or listed with the reason why not."""

from __future__ import annotations

import re

import pytest

from tests.helpers.documented import NOT_RUN_HERE, PAGES, RUN_HERE, check_command, documented

COMMANDS = sorted({command for page in PAGES for command in documented(page.read_text(encoding="utf-8"))})


@pytest.mark.parametrize("command", COMMANDS)
def test_a_documented_command_exists_and_is_accounted_for(command: str) -> None:
    check_command(command)
    known = [pattern for pattern in (*RUN_HERE, *NOT_RUN_HERE) if re.fullmatch(pattern, command)]
    assert len(known) == 1, f"{command!r}: put it into RUN_HERE or NOT_RUN_HERE of tests/helpers/documented.py"


def test_no_entry_of_the_lists_is_left_over() -> None:
    unused = [p for p in (*RUN_HERE, *NOT_RUN_HERE) if not any(re.fullmatch(p, command) for command in COMMANDS)]
    assert unused == []


def test_commands_are_found_in_blocks_and_in_sentences() -> None:
    sentence, block = "A `dainet runs` and `dainet/x.py`.", "    make test  # minutes"
    fenced = ["```sh\n$ python -m dainet \\\n  verify x\n```", "```python\nimport a\nmake b\n```"]
    found = documented("\n\n".join([sentence, block, *fenced]))
    assert sorted(found) == ["dainet runs", "make test", "python -m dainet verify x"]


@pytest.mark.parametrize(
    "command",
    [
        "make reproduze",
        "make explorer PROFILE=huge",
        "dainet reproduce --sourze x",
        "dainet reproduce --set dino.epoch=2",
        "python -m study rum",
        "python data_scripts/prepare.py check --split x",
        "pip install '.[lesons]'",
        "snakemake --dryrum",
    ],
)
def test_what_does_not_exist_is_noticed(command: str) -> None:
    with pytest.raises((Exception, SystemExit)):
        check_command(command)
