"""`switchgear person`, `team`, `session`, `service-token`, `status-link`: who may come in."""

from __future__ import annotations

import click

from breakers.cli.application import Context, main, pass_context
from breakers.cli.client import segment
from breakers.cli.tables import line, table

SERVICE = click.option("--service", "services", multiple=True, help="May be said again.")


@main.group()
def person() -> None:
    """People and their roles on all services."""


@person.command("list")
@pass_context
def list_people(context: Context) -> None:
    """List everybody."""
    fields = ("username", "roles", "is_active")
    context.show(list(context.client.pages("/people")), table(fields, "Nobody."))


@person.command("set")
@click.argument("username")
@click.option("--role", "roles", multiple=True, help="May be said again; none: no role.")
@click.option("--inactive", is_flag=True, help="The account cannot log in.")
@pass_context
def set_person(context: Context, username: str, roles: tuple[str, ...], inactive: bool) -> None:
    """Create a person, or set the roles of one."""
    body = {"username": username, "roles": list(roles), "is_active": not inactive}
    context.show(context.client.write("POST", "/people", body), line("{username}: {roles}"))


@main.group()
def team() -> None:
    """Teams, the services that they own, and roles on these."""


@team.command("list")
@pass_context
def list_teams(context: Context) -> None:
    """List the teams."""
    fields = ("name", "services", "roles")
    context.show(list(context.client.pages("/teams")), table(fields, "There is no team."))


@team.command("set")
@click.argument("name")
@SERVICE
@pass_context
def set_team(context: Context, name: str, services: tuple[str, ...]) -> None:
    """Create a team, or set the services that it owns; `*` stands for any characters."""
    headers = {"If-Match": "*"}
    body = {"services": list(services)}
    made = context.client.write("PUT", f"/teams/{segment(name)}", body, headers)
    context.show(made, line("{name}: {services}"))


@team.command("delete")
@click.argument("name")
@pass_context
def delete_team(context: Context, name: str) -> None:
    """Delete a team and the roles on it."""
    context.client.write("DELETE", f"/teams/{segment(name)}", headers={"If-Match": "*"})
    context.show({"deleted": name}, line("Deleted {deleted}."))


@team.command("grant")
@click.argument("name")
@click.argument("username")
@click.argument("role")
@pass_context
def grant(context: Context, name: str, username: str, role: str) -> None:
    """Grant a person a role on the team's services."""
    path = f"/teams/{segment(name)}/members/{segment(username)}"
    context.show(context.client.write("PUT", path, {"role": role}), line("{name}: {roles}"))


@team.command("withdraw")
@click.argument("name")
@click.argument("username")
@pass_context
def withdraw(context: Context, name: str, username: str) -> None:
    """Withdraw a person's role on the team's services."""
    path = f"/teams/{segment(name)}/members/{segment(username)}"
    context.show(context.client.write("DELETE", path), line("{name}: {roles}"))


@main.group()
def session() -> None:
    """Your sessions of the pages."""


@session.command("list")
@pass_context
def list_sessions(context: Context) -> None:
    """List your sessions."""
    fields = ("id", "created", "last_seen", "address", "browser")
    context.show(context.client.get("/sessions"), table(fields, "No session lasts."))


@session.command("revoke")
@click.argument("id", type=int, required=False)
@click.option("--all", "everything", is_flag=True)
@pass_context
def revoke_session(context: Context, id: int | None, everything: bool) -> None:
    """End one of your sessions, or --all."""
    if everything == (id is not None):
        raise click.UsageError("Name a session by its id, or say --all.")
    found = context.client.write("DELETE", "/sessions" if everything else f"/sessions/{id}")
    context.show(found or {"revoked": 1}, line("Revoked {revoked}."))


@main.group("service-token")
def service_token() -> None:
    """Tokens that the agents of a service send."""


@service_token.command("list")
@pass_context
def list_service_tokens(context: Context) -> None:
    """List the tokens of the services that you administer."""
    fields = ("id", "service", "name", "prefix", "instances", "expires", "revoked", "last_used")
    context.show(list(context.client.pages("/service-tokens")), table(fields, "There is none."))


@service_token.command("create")
@click.argument("service")
@click.option("--name", default="", help="Where it is used, for people.")
@click.option("--instances", default="", help="Patterns of instances, separated by commas.")
@click.option("--days", type=int, help="Until it expires.")
@pass_context
def create_service_token(
    context: Context, service: str, name: str, instances: str, days: int | None
) -> None:
    """Create a token for SERVICE and print it; it is not shown again."""
    body = {"service": service, "name": name, "instances": instances, "expires_in_days": days}
    made = context.client.write("POST", "/service-tokens", body)
    context.show(made, line("{token}"))


@service_token.command("rotate")
@click.argument("id", type=int)
@pass_context
def rotate_service_token(context: Context, id: int) -> None:
    """Print the successor of a token; the old one goes on for a while."""
    context.show(context.client.write("POST", f"/service-tokens/{id}/rotate"), line("{token}"))


@service_token.command("revoke")
@click.argument("id", type=int)
@pass_context
def revoke_service_token(context: Context, id: int) -> None:
    """Revoke a token at once."""
    context.client.write("DELETE", f"/service-tokens/{id}")
    context.show({"revoked": id}, line("Revoked token {revoked}."))


@main.group("status-link")
def status_link() -> None:
    """Links to the status page for readers without an account."""


@status_link.command("list")
@pass_context
def list_status_links(context: Context) -> None:
    """List the links."""
    fields = ("id", "name", "prefix", "services", "expires", "revoked")
    context.show(context.client.get("/status-links"), table(fields, "There is no link."))


@status_link.command("create")
@click.argument("name")
@SERVICE
@click.option("--days", default=90, show_default=True)
@pass_context
def create_status_link(context: Context, name: str, services: tuple[str, ...], days: int) -> None:
    """Create a link, of all services or of some, and print it; it is not shown again."""
    body = {"name": name, "services": list(services) or None, "expires_in_days": days}
    context.show(context.client.write("POST", "/status-links", body), line("{url}"))


@status_link.command("revoke")
@click.argument("id", type=int)
@pass_context
def revoke_status_link(context: Context, id: int) -> None:
    """Revoke a link at once."""
    context.client.write("DELETE", f"/status-links/{id}")
    context.show({"revoked": id}, line("Revoked link {revoked}."))


@main.group()
def view() -> None:
    """Your saved views of the wall."""


@view.command("list")
@pass_context
def list_views(context: Context) -> None:
    """List your views."""
    context.show(context.client.get("/views"), table(("id", "name", "query"), "There is no view."))


@view.command("keep")
@click.argument("name")
@click.option("--query", default="", help="The query string of the wall's address.")
@pass_context
def keep_view(context: Context, name: str, query: str) -> None:
    """Save a view under a name."""
    made = context.client.write("POST", "/views", {"name": name, "query": query})
    context.show(made, line("View {id}: {name}"))


@view.command("forget")
@click.argument("id", type=int)
@pass_context
def forget_view(context: Context, id: int) -> None:
    """Delete a view."""
    context.client.write("DELETE", f"/views/{id}")
    context.show({"forgotten": id}, line("Forgot view {forgotten}."))
