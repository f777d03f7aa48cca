"""`python -m stockctl`."""

from stockctl.cli.app import main

main()
