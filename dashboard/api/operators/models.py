from django.db import models


class IdempotentRequest(models.Model):
    """A write that a client named by an Idempotency-Key, and its response. `status` is null while
    the request is in progress."""

    caller = models.CharField(max_length=60)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    created = models.DateTimeField(auto_now_add=True, db_index=True)
    status = models.PositiveSmallIntegerField(null=True)
    content_type = models.CharField(max_length=120, blank=True)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=b"")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["caller", "key"], name="one_idempotent_request"),
        ]

    def __str__(self) -> str:
        return f"{self.key} of {self.caller}"
