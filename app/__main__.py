"""`python -m app` is the `quotepart` command."""

from app.cli import main

main()
