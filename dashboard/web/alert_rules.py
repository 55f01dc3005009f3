"""The pages of alert rules: the list, and a form with a preview on history."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dashboard.access.authority import may_anywhere, services_with
from dashboard.access.models import Person
from dashboard.access.roles import ADMINISTER
from dashboard.alerts import previews, services
from dashboard.alerts.models import Channel, Rule
from dashboard.alerts.rule_checks import checked
from dashboard.alerts.rule_kinds import KINDS
from dashboard.common.form_versions import SeenVersion


class RuleForm(SeenVersion):
    """A rule; the parameters of its kind are fields of their own, named `kind.parameter`."""

    also_seen = ("params",)

    class Meta:
        model = Rule
        fields = (
            "name", "kind", "severity", "for_s", "service", "breaker", "tag", "team", "enabled",
        )  # fmt: skip
        labels = {"for_s": "For seconds", "tag": "Version or zone"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for kind, each in KINDS.items():
            for param in each.params:
                given = self.instance.params.get(param.name) if self.instance.kind == kind else None
                self.fields[f"{kind}.{param.name}"] = forms.FloatField(
                    label=f"{each.title}: {param.label}",
                    required=False,
                    initial=param.default if given is None else given,
                    help_text=f"{param.low:g} to {param.high:g}",
                )

    def rule(self) -> Rule:
        """The rule as given; valid only after `is_valid()`."""
        rule: Rule = self.save(commit=False)
        kind = KINDS[rule.kind]
        rule.params = {
            param.name: value
            for param in kind.params
            if (value := self.cleaned_data.get(f"{rule.kind}.{param.name}")) is not None
        }
        return rule

    def add_errors(self, error: ValidationError) -> None:
        """Show each message at its field."""
        for field, messages in error.message_dict.items():
            name = f"{self.instance.kind}.{field}"
            shown = name if name in self.fields else field if field in self.fields else None
            for message in messages:
                self.add_error(shown, message)


@require_GET
def rules(request: HttpRequest) -> HttpResponse:
    """All rules and channels."""
    administers = services_with(request.user, ADMINISTER).is_all
    context = {
        "rules": [(rule, KINDS[rule.kind]) for rule in Rule.objects.select_related("team")],
        "channels": Channel.objects.all() if administers else (),
        "administers": administers,
        "kinds": KINDS,
    }
    return render(request, "pages/alert_rules.html", context)


def _known(request: HttpRequest, pk: int | None) -> Rule:
    if pk is None:
        return Rule(kind="open_share")
    rows = Rule.objects.all()
    if request.method == "POST":
        rows = rows.select_for_update()
    return get_object_or_404(rows, pk=pk)


@require_http_methods(["GET", "POST"])
@transaction.atomic
def rule(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """Change or add a rule. `preview` shows what it would have done instead of saving it."""
    person = request.user
    if not (isinstance(person, Person) and may_anywhere(person, ADMINISTER)):
        return render(request, "403.html", status=403)
    known = _known(request, pk)
    form = RuleForm(request.POST or None, instance=known)
    preview: dict[str, Any] | None = None
    if request.method == "POST" and form.is_valid():
        given = form.rule()
        try:
            if "preview" in request.POST:
                preview = previews.preview(checked(given))
            else:
                services.save_rule(person, given)
                return redirect("rules")
        except ValidationError as error:
            form.add_errors(error)
    context = {"form": form, "preview": preview, "kinds": KINDS, "rule": known}
    return render(request, "pages/alert_rule.html", context, status=422 if form.errors else 200)


@require_POST
def test_channel(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a test message."""
    assert isinstance(request.user, Person)
    services.test_channel(request.user, get_object_or_404(Channel, pk=pk))
    return redirect("rules")
