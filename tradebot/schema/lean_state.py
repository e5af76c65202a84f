"""The models as migrations leave them, made anew less often than Django does."""

from __future__ import annotations

from typing import Any, cast

from django.db.migrations.state import ProjectState


class LeanState(ProjectState):
    """Django's state of the models, which renders fewer of them again and again.

    Where a change is of no relation and no key, Django renders the related models with
    it, and all of them again before Python code runs. Here the first is left to the
    second: the SQL needs no more of them than their tables and keys.
    """

    @classmethod
    def of(cls, state: ProjectState) -> LeanState:
        """Turn a state of Django's into one of these; it is the same object."""
        lean: Any = state
        lean.__class__ = cls
        return cast("LeanState", lean)

    def clone(self) -> LeanState:
        return LeanState.of(super().clone())  # Django's makes its own kind

    def _find_reload_model(
        self, app_label: str, model_name: str, delay: bool = False
    ) -> set[tuple[str, str]]:
        django: Any = super()
        if not delay:
            found: set[tuple[str, str]] = django._find_reload_model(
                app_label, model_name
            )
            return found
        self.is_delayed = True
        return {(app_label, model_name)}
