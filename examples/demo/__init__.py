"""`make demo`: the dashboard and the shop side by side, with nothing to set up."""
