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

from official_sdk import client_of, credential, error_of, licence_body, query
from sweep import grant

# How many batches of twenty writes are under way at a time. An application has 3,000 writes in 150 seconds, and a write
# counts whatever becomes of it; the bucket refills by 20 a second.
SPENDERS = 24

# How long the bucket is kept empty after the SDK's calls have begun: longer than its first wait, and over before its third.
SECONDS_EMPTY = 2

# Calls to the misbehaving tenant, and how long each may take: a tenth of the requests there meet some fault, and some of
# the faults are silence.
CALLS = 30
PATIENCE_SECONDS = 20


class Spender:
    """Uses up the writes of the tenant until told to stop: licences for users who are not there."""

    def __init__(self, origin, tenant):
        self.origin, self.tenant = origin, tenant
        self.is_empty, self.stop = threading.Event(), threading.Event()

    def run(self):
        verify = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
        limits = httpx.Limits(max_connections=SPENDERS)
        with httpx.Client(verify=verify, timeout=120, limits=limits) as http:
            token = http.post(f"{self.origin}/{self.tenant}/oauth2/v2.0/token", data=grant()).json()["access_token"]
            write = {"method": "POST", "url": f"/users/{uuid.uuid4()}/assignLicense", "body": {"addLicenses": []}}
            write["headers"] = {"Content-Type": "application/json"}
            body = {"requests": [{**write, "id": str(number)} for number in range(20)]}
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
            writes = [error_of(assign(client, str(uuid.uuid4()))) for _ in range(6)]
            answers = asyncio.gather(*writes)
            await asyncio.sleep(SECONDS_EMPTY)
        finally:
            spender.stop.set()
            await spending
        # The last word is not 429 but what Graph has to say: there are no such users.
        assert {status for status, _, _ in await answers} == {404}


def assign(client, user):
    return client.users.by_user_id(user).assign_license.post(licence_body(uuid.uuid4()))


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
