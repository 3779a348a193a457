"""Computing what the explorer lacks in a process of its own: the page answers meanwhile and can stop it.

Nothing that a notebook does meanwhile, with random numbers for instance, changes the result.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import traceback
from dataclasses import asdict
from threading import Thread
from typing import Any

from dainet.cache.folders import runs_folder
from dainet.errors import DainetError
from dainet.explorer.predictor import Choice, train
from dainet.interrupts import INTERRUPTED
from dainet.parallel.launch import end_with_parent
from dainet.progress import reported_to
from dainet.settings import Settings

__all__ = ["Training"]

log = logging.getLogger(__name__)
_COMMAND = (sys.executable, "-m", __spec__.name)
_STEP, _ERROR = "dainet-step", "dainet-error"  # first words of the lines that the process says; others are its log


class Training:
    """A computation that has started and ends with this process; a stage with epochs can be resumed after each.

    `step` is its latest report (description, finished, total), None before the first; `error` says why it failed.

    Args:
        settings: settings of the data set.
        choice: what is to be shown.
    """

    def __init__(self, settings: Settings, choice: Choice) -> None:
        self.step: tuple[str, int, int] | None = None
        self.error = ""
        self._stopped = False
        self._process = subprocess.Popen(
            [*_COMMAND, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"DAINET_RUNS": str(runs_folder().resolve())},
        )
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()
        with self._process.stdin as handle:  # type: ignore[union-attr]  # there is a pipe
            json.dump([settings.model_dump(mode="json"), asdict(choice)], handle)

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._listener.is_alive()

    def stop(self) -> None:
        """Ask the process to end; finished stages and epochs are kept."""
        self._stopped = True
        self._process.terminate()

    def _listen(self) -> None:
        last = ""
        for line in self._process.stdout or ():
            kind, _, said = line.rstrip().partition(" ")
            if kind == _STEP:
                self.step = tuple(json.loads(said))  # type: ignore[assignment]
            elif kind == _ERROR:
                self.error = json.loads(said)
            elif not self._stopped:  # what it says about being stopped is advice for a command line
                last = line.rstrip() or last
                log.info("%s", last)
        status = self._process.wait()
        if status not in (0, INTERRUPTED) and not self._stopped:
            self.error = self.error or f"The process that computes this has ended ({_cause(status)}) {last}".rstrip()


def _cause(status: int) -> str:
    if status == -signal.SIGKILL:
        return "it was killed; often the memory was full: close other programs and kernels"
    return f"status {status}"


def _say(kind: str, content: Any) -> None:
    print(kind, json.dumps(content), flush=True)


def main() -> None:
    """Compute what stdin asks for, as long as the process lives whose number is the argument; see `Training`."""
    end_with_parent(int(sys.argv[1]))
    for number in (signal.SIGINT, signal.SIGTERM):  # a kernel hands on that interrupts are ignored
        signal.signal(number, signal.default_int_handler)
    settings, choice = json.load(sys.stdin)
    sys.exit(_compute(Settings.model_validate(settings), Choice(**choice)))


def _compute(settings: Settings, choice: Choice) -> int:
    """Compute what a choice lacks, report on stdout, and return the exit status."""
    try:
        with reported_to(lambda *step: _say(_STEP, step)):
            train(settings, choice)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (DainetError, OSError) as error:
        _say(_ERROR, str(error))
    except Exception as error:  # no memory left, for instance: libraries raise nearly anything
        traceback.print_exc()
        _say(_ERROR, f"This cannot be computed: {type(error).__name__}: {error}")
    else:
        return 0
    return 1


if __name__ == "__main__":
    main()
