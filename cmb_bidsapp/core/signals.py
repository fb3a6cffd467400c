"""Signals that ask for an end: they arrive as ``KeyboardInterrupt``, so that callers clear up."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import NoReturn

#: A scheduler or a container's engine, a person, a terminal that closes.
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """Let signals that ask for an end raise ``KeyboardInterrupt`` in the main thread, once.

    Further ones must not break off the clearing up. In other threads nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> NoReturn:
        for one in ENDING:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {one: signal.getsignal(one) for one in ENDING}
    # nohup and the like ask to be spared.
    asked = [one for one in ENDING if before[one] is not signal.SIG_IGN]
    for one in asked:
        signal.signal(one, interrupt)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, signal.SIG_DFL if handler is None else handler)
