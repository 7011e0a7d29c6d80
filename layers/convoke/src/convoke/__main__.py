"""`python -m convoke`: the command line."""

from convoke.cli.main import main

main()
