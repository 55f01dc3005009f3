from collections.abc import Mapping

from msgspec import Raw

SOURCE: int

def is_sound(packed: bytes | Raw) -> bool: ...
def merged(sketches: list[bytes | Raw | Mapping[int, int]]) -> dict[int, int]: ...
