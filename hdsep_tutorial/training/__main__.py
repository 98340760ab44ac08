"""Start a command: `python -m hdsep_tutorial.training songs | train | export | evaluate`."""

from .commands import main

if __name__ == "__main__":
    main()
