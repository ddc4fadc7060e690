"""Signs with PyPI's standardwebhooks, or verifies with it.

Standard input is a JSON array of messages {secret, id, at, body}; `at` is in epoch seconds. With `zone_s`, the time is
given to the library as a datetime of that offset; with `naive`, as the local one of the process. With `headers`, these are
verified instead. Standard output is an array of signatures, or of "valid" and the error.
"""

import json
import sys
from datetime import datetime, timedelta, timezone

from standardwebhooks import Webhook


def answer(message):
    webhook = Webhook(message["secret"])
    if "headers" in message:
        try:
            webhook.verify(message["body"], message["headers"])
            return "valid"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    if message.get("naive"):
        at = datetime.fromtimestamp(message["at"])
    else:
        zone = timezone(timedelta(seconds=message.get("zone_s") or 0))
        at = datetime.fromtimestamp(message["at"], tz=zone)
    return webhook.sign(message["id"], at, message["body"])


json.dump([answer(message) for message in json.load(sys.stdin)], sys.stdout)
