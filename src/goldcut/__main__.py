"""`python -m goldcut` is the command `goldcut`."""

from goldcut.cli import main

main()
