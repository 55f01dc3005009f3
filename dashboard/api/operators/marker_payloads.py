"""What webhooks of GitHub and GitLab say of a deploy or a release, as fields of a marker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def from_github(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """A deployment or a release; None for other events."""
    repository = _text(body.get("repository"), "name")
    if isinstance(deployment := body.get("deployment"), dict):
        ref = str(deployment.get("ref", ""))[:120]
        key = f"github:deployment:{repository}:{deployment.get('id')}"
        return _marker(repository, ref, f"deploy of {repository} {ref}", key)
    if isinstance(release := body.get("release"), dict):
        if body.get("action") not in {"published", "released"}:
            return None
        tag = str(release.get("tag_name", ""))[:120]
        key = f"github:release:{repository}:{release.get('id')}"
        return _marker(repository, tag, f"release {repository} {tag}", key)
    return None


def from_gitlab(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """A successful deployment; None for other events."""
    if body.get("object_kind") != "deployment" or body.get("status") != "success":
        return None
    project = _text(body.get("project"), "name")
    ref = str(body.get("ref") or body.get("short_sha") or "")[:120]
    key = f"gitlab:deployment:{project}:{body.get('deployment_id')}"
    return _marker(project, ref, f"deploy of {project} {ref}", key)


def _marker(service: str, version: str, text: str, key: str) -> dict[str, Any]:
    return {"text": text[:300], "service": service[:120], "version": version, "key": key}


def _text(source: object, field: str) -> str:
    return str(source.get(field, "")) if isinstance(source, dict) else ""
