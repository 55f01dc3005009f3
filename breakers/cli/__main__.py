"""`python -m breakers.cli`: the command line, where the script `switchgear` is not installed."""

from breakers.cli import main

if __name__ == "__main__":
    main(prog_name="switchgear")
