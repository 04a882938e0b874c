"""`python -m isogloss` is the command `isogloss`."""

from isogloss.cli.main import main

if __name__ == "__main__":
    main()
