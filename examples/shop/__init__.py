"""The fleet of the demo: real processes, real sockets, and the incident of 2:47 AM.

    load ─► web (2, sync) ─► profile-api (4, async) ─► users-db   critical, no fallback
       └───────────────────►                        ├► posts      cached, falls back to []
                                                    └► social     falls back to nothing

`supervisor` starts every process and starts again what dies; `director` plays the incident. A
dashboard may be there or not: the fleet runs the same.
"""
