"""A screen that is drawn again and again in place, or block after block where it cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from stockctl.cli.findings import Line
from stockctl.cli.output import Output

Show = Callable[[Sequence[Line]], None]


@contextmanager
def redrawing(output: Output) -> Iterator[Show]:
    """Shows lines, each time in the place of those before. What was shown last stays."""
    if not (output.animated and output.out.is_terminal):
        yield lambda lines: output.lines((*lines, ()))
        return
    from rich.live import Live
    from rich.text import Text

    with Live(console=output.out, auto_refresh=False) as live:

        def show(lines: Sequence[Line]) -> None:
            text = Text("\n", no_wrap=True, overflow="ellipsis").join(
                Text.assemble(*line) for line in lines
            )
            text.no_wrap, text.overflow = True, "ellipsis"
            live.update(text, refresh=True)

        yield show
