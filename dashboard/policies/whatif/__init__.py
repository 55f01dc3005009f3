"""What a candidate policy would have done to the traffic that happened.

`machine` runs the library's own state machine on replayed time; `history` feeds it from rollups,
`recordings` from calls one by one.
"""
