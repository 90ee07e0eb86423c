"""The tasks under conf/tasks/, the user's own laid over the project's."""

from __future__ import annotations

from medlake.features.tasks import Task, parse_tasks
from medlake.grammar.errors import ConfigError
from medlake.models import MODELS
from medlake.steps.context import Context


def tasks(ctx: Context) -> list[Task]:
    """Every task, by name.

    Raises:
        ConfigError: a task is not well formed or names a model or a parameter that there is not.
    """
    found = parse_tasks(ctx.conf.texts("tasks", suffix=".toml"), ctx.conf.texts("tasks", suffix=".sql"))
    for task in found:
        unknown = sorted(({*task.models} | {*task.model_params}) - {*MODELS})
        if unknown:
            raise ConfigError(
                f"conf/tasks/{task.name}.toml: no models {', '.join(unknown)}: there are {', '.join(MODELS)}"
            )
        for name, params in task.model_params.items():
            MODELS[name].with_params(params)
    return found
