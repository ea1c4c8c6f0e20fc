"""An event loop whose clock jumps to the next timer instead of sleeping.

Work in executor threads takes no virtual time: the clock stands still until it is done. So a test that waits
for hours takes milliseconds, and its times are exact.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """See the module.

    :ivar waits_for_threads: False: time advances although a thread is busy, as beside a server that hangs
    """

    def __init__(self) -> None:
        self.waits_for_threads = True
        self._now = 1000.0
        self._busy = 0
        super().__init__(_VirtualSelector(self))

    def time(self) -> float:
        return self._now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        future = super().run_in_executor(executor, func, *args)
        self._busy += 1
        future.add_done_callback(lambda _: self._finished())
        return future

    def _finished(self) -> None:
        self._busy -= 1

    def advance(self, seconds: float) -> bool:
        """Advance the clock, unless it has to wait for a thread."""
        if self._busy and self.waits_for_threads:
            return False
        self._now += seconds
        return True


class _VirtualSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        return super().select(0) or ([] if self._loop.advance(timeout) else super().select(0.02))


def run(main: Coroutine[Any, Any, T], *, limit: float = 30 * 86_400) -> T:
    """Run a coroutine on a virtual clock, for at most ``limit`` virtual seconds."""

    async def limited() -> T:
        async with asyncio.timeout(limit):
            return await main

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(limited())
