"""One running production shape for the whole folder: each test breaks it and leaves it whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.production_shape import ProductionStack, production


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductionStack]:
    with production(tmp_path_factory.mktemp("faults"), SWITCHGEAR_LOG_CAPACITY_MB="1") as shape:
        yield shape


@pytest.fixture
def shape(running: ProductionStack) -> Iterator[ProductionStack]:
    """The shape, all well before; afterwards the page is true within ten seconds and acts arrive,
    no call has failed, passed or waited that should not, and each was counted once."""
    assert running.is_whole, "a test before has left it broken"
    running.is_whole = False
    running.until_true()
    yield running
    running.until_well()
    running.check()
    running.is_whole = True
