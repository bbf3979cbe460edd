"""Run apex as ``python -m apex_cli``."""

from apex_cli.cli import main

if __name__ == "__main__":
    main()
