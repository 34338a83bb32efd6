"""Lets ``python -m pacs.cli`` run the command line, as the supervisor starts its processes."""

from pacs.cli import main

if __name__ == "__main__":
    main()
