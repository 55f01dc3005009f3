"""The failure modes of the shop's `get_user_profile`: three versions under the same faults."""
