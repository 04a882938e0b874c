"""Logs as one JSON object a line, on standard error."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from typing import Any

LOGGER = logging.getLogger("isogloss.service")
FIELDS = "isogloss_fields"


def log_event(event: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Logs an event with its fields."""
    LOGGER.log(level, event, extra={FIELDS: fields})


class JsonLines(logging.Formatter):
    """Formats a record as one line, whatever its texts hold."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        when = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line = {"time": when, "level": record.levelname.lower(), "event": record.getMessage()}
        line |= getattr(record, FIELDS, {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_config() -> dict[str, Any]:
    """Configuration of `logging` for the service and uvicorn."""
    names = {"isogloss": "INFO", "uvicorn": "WARNING", "uvicorn.error": "WARNING"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": JsonLines}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "loggers": {
            name: {"handlers": ["stderr"] if "." not in name else [], "level": level, "propagate": "." in name}
            for name, level in names.items()
        },
    }
