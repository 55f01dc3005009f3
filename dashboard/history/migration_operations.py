"""What migrations of this package need beyond Django's own operations."""

from __future__ import annotations

from typing import Any

from django.db import migrations


class CreatePartitionedModel(migrations.CreateModel):
    """A table that PostgreSQL divides into ranges of the column `by`; elsewhere a plain one."""

    def __init__(self, *arguments: Any, by: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.by = by

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, arguments, options = super().deconstruct()
        return name, list(arguments), {**options, "by": self.by}

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            sql, params = schema_editor.table_sql(model)
            schema_editor.execute(f'{sql} PARTITION BY RANGE ("{self.by}")', params or None)
            schema_editor.deferred_sql.extend(schema_editor._model_indexes_sql(model))
