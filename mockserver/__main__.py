"""Let `python -m mockserver` be the command `keyfactor-mock`."""

from mockserver.cli import main

main()
