"""`python -m waremill` is the `waremill` command."""

from waremill.cli import main

if __name__ == "__main__":
    main()
