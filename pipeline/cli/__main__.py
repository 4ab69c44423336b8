"""`python -m pipeline.cli`: the same as the command `accesstrail`."""

from pipeline.cli import main

main()
