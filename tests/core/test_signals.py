import os
import signal
import threading

import pytest

from cmb_bidsapp.core.signals import ENDING, signals_interrupt


def handlers():
    return [signal.getsignal(one) for one in ENDING]


@pytest.mark.parametrize("number", ENDING)
def test_the_first_signal_interrupts_and_the_next_does_not(number):
    before = handlers()
    cleared = []

    def work():
        with signals_interrupt():
            try:
                os.kill(os.getpid(), number)
            finally:
                os.kill(os.getpid(), number)
                cleared.append(True)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert cleared == [True]
    assert handlers() == before


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_interrupt():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_threads_leave_the_handlers_alone():
    before, inside = handlers(), []

    def work():
        with signals_interrupt():
            inside.append(handlers())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before]
