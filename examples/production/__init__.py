"""The production shape on one machine without containers: what the Procfile runs."""
