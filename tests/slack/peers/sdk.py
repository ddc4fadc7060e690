"""Calls Slack with PyPI's slack_sdk.

Standard input is a JSON object {base_url, calls}; a call is {call, token, args}. `call` is a method of WebClient, or

    api       api_call with args {method, ..}
    pages     conversations_history, page by page
    upload    files_upload_v2, with the bytes as `content_hex`
    webhook   WebhookClient(url).send(..)
    patient   chat_postMessage with the handler that waits as Retry-After states

Standard output is an array with what each call returns: {data, headers}; for an error of Slack {error, status, headers,
data}; for any other {exception}.
"""

import json
import sys

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.webhook import WebhookClient

given = json.load(sys.stdin)


def call(name, token, args):
    client = WebClient(token=token, base_url=given["base_url"], timeout=10)
    if name == "webhook":
        answer = WebhookClient(args.pop("url"), timeout=10).send(**args)
        return {"status": answer.status_code, "data": answer.body}
    if name == "api":
        answer = client.api_call(args.pop("method"), json=args)
    elif name == "pages":
        pages = [page.data for page in client.conversations_history(**args)]
        return {"data": pages}
    elif name == "upload":
        answer = client.files_upload_v2(content=bytes.fromhex(args.pop("content_hex")), **args)
    elif name == "patient":
        client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=1))
        answer = client.chat_postMessage(**args)
    else:
        answer = getattr(client, name)(**args)
    return {"data": answer.data, "headers": dict(answer.headers)}


def outcome(asked):
    try:
        return call(asked["call"], asked.get("token"), dict(asked["args"]))
    except SlackApiError as error:
        answer = error.response
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return {"error": answer["error"], "status": answer.status_code, "headers": headers, "data": answer.data}
    except Exception as error:
        return {"exception": f"{type(error).__name__}: {error}"}


json.dump([outcome(asked) for asked in given["calls"]], sys.stdout)
