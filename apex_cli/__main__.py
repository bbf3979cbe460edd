"""Run apex: as the installed script, and as ``python -m apex_cli``.

Importing the command line takes a moment; Ctrl-C in that moment ends in a sentence, too.
"""

import gc
import os

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it: 128 + SIGINT."""

RARELY = (50_000, 20, 20)
"""When to look for cycles: importing makes many objects, none of them garbage, and looking at them costs 5 %."""


def main() -> None:
    """Run apex on the process's arguments."""
    gc.set_threshold(*RARELY)
    try:
        from apex_cli.cli import main as run  # noqa: PLC0415 - what is imported here can be interrupted

        run()
    except KeyboardInterrupt:
        os.write(2, b"\nInterrupted.\n")
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
