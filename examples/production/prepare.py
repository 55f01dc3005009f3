"""Prepares the dashboard of the production shape, in its environment: `… STEP…`."""

from __future__ import annotations

import os
import sys

import django

from examples.demo.prepare import STEPS
from examples.production.state import Production


def main() -> None:
    """Do the steps that the command line names."""
    state = Production.of(os.environ)
    django.setup()
    for step in sys.argv[1:]:
        STEPS[step](state)


if __name__ == "__main__":
    main()
