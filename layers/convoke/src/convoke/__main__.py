"""`python -m convoke`: the command line."""

from convoke.local.cli import main

main()
