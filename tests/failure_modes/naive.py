"""The endpoint without protection: Redis, then three calls in turn, no timeout, no fallback."""

from __future__ import annotations

import json
from itertools import cycle
from typing import Any

import redis
import requests

from tests.failure_modes.config import Config


class NaiveProfiles:
    """The first listing of the article, and the cache it describes around it."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.cache = redis.Redis(port=config.redis)
        self.http = requests.Session()
        self.http.verify = config.ca or True
        self.http.trust_env = False  # else REQUESTS_CA_BUNDLE would win over `verify`
        self.turns = {kind: cycle(bases) for kind, bases in config.peers.items()}

    def get(self, kind: str, user_id: int) -> Any:
        answer = self.http.get(f"{next(self.turns[kind])}/{user_id}")
        answer.raise_for_status()
        return answer.json()

    def get_user_profile(self, user_id: int) -> dict[str, Any]:
        key = f"{self.config.prefix}:naive:{user_id}"
        cached = self.cache.get(key)
        if cached is not None:
            found: dict[str, Any] = json.loads(cached)
            return found
        user = self.get("users", user_id)
        posts = self.get("posts", user_id)
        try:
            social = self.get("social", user_id)
        except requests.HTTPError:
            social = self.get("store", user_id)
        profile = {"user": user, "posts": posts, "friend_count": social["friends"]}
        self.cache.set(key, json.dumps(profile), px=self.config.ttl_ms)
        return profile
