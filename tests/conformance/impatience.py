"""The SDK's own retries against a tenant that says "later": by quota, and by misbehaving.

usage: impatience.py GRAPH_ORIGIN TENANT_ID [misbehaving]

`judge` reads the record of the proxy: what was throttled was asked again, and not before its time.
"""

import asyncio
import concurrent.futures
import os
import ssl
import sys
import threading
import uuid

import httpx
from azure.core.exceptions import ClientAuthenticationError
from kiota_abstractions.api_error import APIError

from official_sdk import client_of, credential, query
from sweep import grant

# One batch of twenty listings of transitive members costs 100 of the 5,000 units that a tenant of this size has in ten
# seconds; the bucket refills meanwhile.
SPENDERS = 24

# How long the bucket is kept empty after the SDK's calls have begun: longer than the first wait, shorter than its third.
SECONDS_EMPTY = 2


# Calls to the misbehaving tenant, and how long each may take: a tenth of the requests there meet some fault, and some of
# the faults are silence.
CALLS = 30
PATIENCE_SECONDS = 20


class Spender:
    """Uses up the tenant's resource units until told to stop."""

    def __init__(self, origin, tenant):
        self.origin, self.tenant = origin, tenant
        self.is_empty, self.stop = threading.Event(), threading.Event()

    def run(self):
        verify = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
        limits = httpx.Limits(max_connections=SPENDERS)
        with httpx.Client(verify=verify, timeout=120, limits=limits) as http:
            token = http.post(f"{self.origin}/{self.tenant}/oauth2/v2.0/token", data=grant()).json()["access_token"]
            url = f"/groups/{uuid.uuid4()}/transitiveMembers"
            body = {"requests": [{"id": str(n), "method": "GET", "url": url} for n in range(20)]}
            headers = {"authorization": f"Bearer {token}"}

            def spend(_):
                while not self.stop.is_set():
                    parts = http.post(f"{self.origin}/v1.0/$batch", json=body, headers=headers).json()
                    if any(part["status"] == 429 for part in parts.get("responses", [])):
                        self.is_empty.set()

            with concurrent.futures.ThreadPoolExecutor(SPENDERS) as pool:
                list(pool.map(spend, range(SPENDERS)))


async def throttled(origin, tenant):
    """Calls of the SDK that meet the empty bucket and still end well."""
    spender = Spender(origin, tenant)
    async with credential(origin, tenant) as credentials:
        client = client_of(origin, credentials)
        await client.organization.get()
        spending = asyncio.create_task(asyncio.to_thread(spender.run))
        try:
            assert await asyncio.to_thread(spender.is_empty.wait, 120), "the quota was never reached"
            # Pages of different sizes, so that the record can tell the calls apart.
            calls = [client.users.get(query(client.users, select=["id"], top=20 + number)) for number in range(12)]
            pages = asyncio.gather(*calls)
            await asyncio.sleep(SECONDS_EMPTY)
        finally:
            spender.stop.set()
            await spending
        assert all(page.value for page in await pages)


async def misbehaving(origin, tenant):
    """Whatever the tenant does, a call ends: with typed objects, or with an error that says what it was."""
    done, failed = 0, 0
    async with credential(origin, tenant) as credentials:
        client = client_of(origin, credentials)
        for _ in range(CALLS):
            try:
                page = await asyncio.wait_for(client.users.get(query(client.users, top=5)), PATIENCE_SECONDS)
                assert page.value is None or all(user.id for user in page.value)
                done += 1
            except (APIError, httpx.HTTPError, ClientAuthenticationError, TimeoutError) as error:
                print(f"         {type(error).__name__}: {str(error).splitlines()[0][:100] if str(error) else ''}")
                failed += 1
    print(f"         {done} calls answered, {failed} ended in an error")
    assert done >= CALLS / 2, "most calls get through"


def judge(exchanges, needs_one):
    """Every repetition came after the delay that was asked for; and, where it must be so, there was one."""
    last, repeated, early = {}, 0, 0
    for exchange in sorted(exchanges, key=lambda one: one.asked_at):
        key = (exchange.method, exchange.target)
        before = last.get(key)
        if "retry-attempt" in exchange.request_headers and before is not None and before.status == 429:
            asked = before.headers.get("retry-after", "")
            if asked.isdigit():
                repeated += 1
                early += exchange.asked_at - before.answered_at < float(asked) - 0.25
        last[key] = exchange
    print(f"         {repeated} repetitions after 429 with Retry-After, {early} of them early", flush=True)
    return early == 0 and (repeated > 0 or not needs_one)


if __name__ == "__main__":
    asyncio.run((misbehaving if sys.argv[3:] == ["misbehaving"] else throttled)(*sys.argv[1:3]))
