"""A fleet on a virtual clock: the library's own breakers and budgets, no sockets and no waiting."""
