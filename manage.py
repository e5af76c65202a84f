#!/usr/bin/env python
"""TradeBot's command line: ``manage.py help`` lists the commands."""

import os
import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError, ProgrammingError


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradebot.settings")
    # What is the operator's to mend: one sentence, no traceback.
    try:
        # Django's own commands would go on without settings, to fail somewhere else.
        settings.INSTALLED_APPS  # noqa: B018  # reads them
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"TradeBot is not configured: {error}")
    except (OperationalError, ProgrammingError) as error:
        if "--traceback" in sys.argv:
            raise
        reason = str(error).partition("\n")[0]
        sys.exit(
            f"The database cannot be used: {reason}. Check DATABASE_URL, the database "
            "server, and that migrate has run."
        )
    except BrokenPipeError:
        # Whoever read has seen enough, as in "| head".
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (EOFError, KeyboardInterrupt):
        sys.exit("\nCancelled.")


if __name__ == "__main__":
    main()
