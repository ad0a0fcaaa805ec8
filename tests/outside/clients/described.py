"""What schemathesis shows as its credential, and what it may take for a valid body.

Many administrators ask in turn, so that nobody's rate limit ends the run: NEXUS_TOKENS. A body is
made from its schema alone, which seldom says all that a service wants; `bodies.json` gives one for
each operation that changes something, so that there are things to read, change and remove.
"""

import itertools
import json
import os
import re
from pathlib import Path

import schemathesis

TOKENS = os.environ["NEXUS_TOKENS"].split()
BODIES = json.loads((Path(__file__).parent / "bodies.json").read_text())
KEY = re.compile(r"[!-~]{1,200}")
turn = 0
numbers = itertools.count()


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for name, body in BODIES.items():
        method, path = name.split()
        operation = raw_schema["paths"].get(path, {}).get(method.lower(), {})
        for content in operation.get("requestBody", {}).get("content", {}).values():
            content["example"] = body


@schemathesis.auth(refresh_interval=None)
class Administrator:
    def get(self, case, context):
        return TOKENS[turn % len(TOKENS)]

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_call(context, case, kwargs):
    # The same key for another request is refused, and would be all that is ever seen.
    key = (case.headers or {}).get("idempotency-key")
    if isinstance(key, str) and KEY.fullmatch(key):
        case.headers["idempotency-key"] = f"{key}-{next(numbers)}"


@schemathesis.hook
def after_call(context, case, response):
    global turn
    left = re.search(r"r=(\d+)", "".join(response.headers.get("ratelimit", "")))
    # Who is refused may have removed their own account.
    if response.status_code in (401, 429) or left and int(left[1]) < 5:
        turn += 1
