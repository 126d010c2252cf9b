"""One JSON object a line on standard error: when, what, which request, how long; never a tensor."""

import json
import logging
import sys
from datetime import UTC, datetime

HTTP_LOG = logging.getLogger("goldcut.serve.http")
"""For the HTTP library, whose own words quote what a client sent."""


class JsonLines(logging.Formatter):
    """Formats a record with its `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def start_log(level: str) -> None:
    """Send the server's log, and what libraries warn of, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("goldcut.serve").setLevel(level.upper())
    HTTP_LOG.filters[:] = [_in_our_words]


def _in_our_words(record: logging.LogRecord) -> bool:
    """Keep that it happened, and the kind of error; drop the client's bytes."""
    kind = record.exc_info[0] if record.exc_info else None
    record.fields = {"kind": kind.__name__ if kind else ""}
    record.msg, record.args, record.exc_info = "not HTTP", (), None
    record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True
