"""The demo: a small fleet that runs on the library, and what starts it beside a dashboard."""
