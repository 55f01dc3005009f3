"""Exit codes, which scripts may rely on."""

from typing import Final

OK: Final = 0
FAILED: Final = 1  # an unexpected error
USAGE: Final = 2  # a wrong argument (click's own code)
UNAUTHENTICATED: Final = 3  # no token, or one that is expired or revoked
FORBIDDEN: Final = 4  # the role or the token's scopes do not allow it
NOT_FOUND: Final = 5
INVALID: Final = 6  # the server refused a field
CONFLICT: Final = 7  # someone else changed it, or a second person must approve
UNREACHABLE: Final = 8  # no connection, or no answer in time
LIMITED: Final = 9  # rate limit
ABORTED: Final = 10  # the user did not confirm
UNCONFIRMED: Final = 11  # not every instance confirmed in time

BY_STATUS: Final = {
    401: UNAUTHENTICATED,
    403: FORBIDDEN,
    404: NOT_FOUND,
    409: CONFLICT,
    412: CONFLICT,
    422: INVALID,
    428: CONFLICT,
    429: LIMITED,
}
