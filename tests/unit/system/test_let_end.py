"""Who reads a program's last words is waited for while they come, and not for ever."""

from __future__ import annotations

import threading
import time

from stockctl.system.process import let_end


def test_what_still_comes_is_waited_for() -> None:
    heard: list[int] = []

    def read() -> None:
        for number in range(20):
            time.sleep(0.05)
            heard.append(number)

    reader = threading.Thread(target=read)
    reader.start()
    let_end(reader, lambda: len(heard), 30, silent_s=0.4)  # longer than that in all
    assert len(heard) == 20
    reader.join()


def test_silence_is_not() -> None:
    over = threading.Event()
    reader = threading.Thread(target=over.wait)
    reader.start()
    let_end(reader, lambda: 0, 30, silent_s=0.1)
    assert reader.is_alive()
    over.set()
    reader.join()


def test_a_chatterer_is_left_at_the_deadline() -> None:
    over, beats = threading.Event(), iter(range(10**9))
    reader = threading.Thread(target=over.wait)
    reader.start()
    let_end(reader, lambda: next(beats), 0.3, silent_s=0.05)
    assert reader.is_alive()
    over.set()
    reader.join()
