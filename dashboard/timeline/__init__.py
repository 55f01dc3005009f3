"""Events of all kinds on one time axis."""
