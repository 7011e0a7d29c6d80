"""Run the command line: `python -m convoke`."""

from convoke.cli.main import main

main()
