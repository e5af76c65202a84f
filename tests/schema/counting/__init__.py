"""An app for tests, with migrations that would show if they ran twice."""
