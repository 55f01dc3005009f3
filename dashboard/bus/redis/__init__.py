"""The bus of many processes: Redis Streams for the log, pub/sub for topics."""
