"""Helpers shared by the whole library; none of them is public."""
