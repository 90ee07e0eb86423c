"""`python -m medlake`: the command line."""

from medlake.cli import main

main()
