"""Run apex: as the installed script, and as ``python -m apex_cli``.

Importing the command line takes a moment; Ctrl-C in that moment ends in a sentence, too.
"""

import gc
import os

import apex_cli

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it: 128 + SIGINT."""

RARELY = (10_000, 20, 20)
"""When to look for cycles: importing makes many objects, hardly any of them garbage, and looking at them costs 5 %.

Looking five times less often still would keep 0.3 MiB of what importing leaves behind.
"""


def main() -> None:
    """Run apex on the process's arguments."""
    apex_cli.is_program = True
    gc.set_threshold(*RARELY)
    try:
        from apex_cli.cli import main as run  # noqa: PLC0415 - what is imported here can be interrupted

        run()
    except KeyboardInterrupt:
        os.write(2, b"\nInterrupted.\n")
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
