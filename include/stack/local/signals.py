"""How a program that runs the stack is stopped."""

from __future__ import annotations

import signal
from types import FrameType

from include.stack.local.stack import say


def stop_on_signals() -> None:
    """Ctrl-C, SIGTERM and a closed terminal all stop the program by KeyboardInterrupt; later ones are ignored."""

    def leave(number: int, frame: FrameType | None) -> None:
        for signal_number in numbers:
            signal.signal(signal_number, signal.SIG_IGN)
        say("\nStopping …")
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        signal.signal(number, leave)
