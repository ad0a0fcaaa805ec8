"""scim2-tester against a host: whatever it checks of RFC 7643 and RFC 7644 must succeed.

It reads NEXUS_URL and NEXUS_TOKEN, and a CA from REQUESTS_CA_BUNDLE where there is one.
"""

import os
import ssl
import sys

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server


def main() -> int:
    ca = os.environ.get("REQUESTS_CA_BUNDLE")
    http = Client(
        base_url=os.environ["NEXUS_URL"] + "/scim/v2",
        headers={"Authorization": "Bearer " + os.environ["NEXUS_TOKEN"]},
        verify=ssl.create_default_context(cafile=ca) if ca else True,
        timeout=30,
    )
    results = check_server(SyncSCIMClient(http))
    counts: dict[str, int] = {}
    for result in results:
        counts[result.status.name] = counts.get(result.status.name, 0) + 1
        if result.status.name in ("DEVIATION", "ERROR", "CRITICAL"):
            print(f"{result.status.name}: {result.title}: {result.reason}")
    print(", ".join(f"{count} {name}" for name, count in sorted(counts.items())))
    wrong = sum(counts.get(name, 0) for name in ("DEVIATION", "ERROR", "CRITICAL"))
    # A server that describes nothing is checked for nothing.
    return 0 if wrong == 0 and counts.get(Status.SUCCESS.name, 0) > 100 else 1


if __name__ == "__main__":
    sys.exit(main())
