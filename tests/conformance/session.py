"""One session: tenant, proxy, every client in a process of its own, and then the judgement on what passed the proxy.

usage: session.py PROGRAM WORK_DIRECTORY NODE_DIRECTORY|-

Runs in the virtual environment that `run.py` makes.
"""

import os
import pathlib
import subprocess
import sys
import time

import impatience
import simulation
import sweep
from shapes import Shapes

HERE = pathlib.Path(__file__).resolve().parent
USERS = 60

# Longest that one client may take; the SDK decodes slowly and the machine may be busy.
CLIENT_SECONDS = 600


def run(name, command, environment):
    started = time.monotonic()
    done = subprocess.run(command, env=environment, timeout=CLIENT_SECONDS)
    took = time.monotonic() - started
    print(f"{'ok    ' if done.returncode == 0 else 'FAILED'} {name}, {took:.0f} s", flush=True)
    return done.returncode == 0


def trust(authority):
    """An environment in which every client trusts our certificate authority and no proxy stands in the way."""
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
    return {**environment, **{name: str(authority) for name in names}}


def judge(exchanges, origin):
    """Whether the answers are as Microsoft's schema says; true, and said aloud, without the schema."""
    path = os.environ.get("MAILKEEPER_GRAPH_SHAPES")
    if not path:
        print("left out: the check against the schema (MAILKEEPER_GRAPH_SHAPES names no file)", flush=True)
        return True
    shapes = Shapes(path, origin)
    shapes.check_all(exchanges)
    for fault, count in sorted(shapes.faults.items()):
        print(f"  {count:4} x {fault}")
    print(f"{'FAILED' if shapes.faults else 'ok    '} schema: {len(exchanges)} exchanges", flush=True)
    for endpoint, count in sorted(shapes.seen.items()):
        print(f"         {count:4} {endpoint}")
    return not shapes.faults


def main(program, work, node):
    authority, leaf = simulation.certificate(work)
    environment = trust(authority)
    good = True
    with simulation.tenant(program, users=USERS, seed=3) as (port, tenant), simulation.Proxy(port, leaf) as proxy:
        arguments = [proxy.origin, tenant]
        good &= run("official Python SDK", [sys.executable, HERE / "official_sdk.py", *arguments], environment)
        good &= run("sweep over every endpoint", [sys.executable, HERE / "sweep.py", *arguments], environment)
        if node != "-":
            script = pathlib.Path(node) / "client.mjs"
            good &= run("official JavaScript client", ["node", script, *arguments], environment)
        good &= judge(proxy.exchanges, proxy.origin)
        good &= run("throttling by quota", [sys.executable, HERE / "impatience.py", *arguments], environment)
        good &= impatience.judge(proxy.exchanges, needs_one=True)
    own = pathlib.Path(work) / "simulated.pem"
    with simulation.tenant(program, users=USERS, seed=3, tls=own) as (port, tenant):
        arguments, trusting = [f"https://localhost:{port}", tenant], trust(own)
        command = [sys.executable, HERE / "official_sdk.py", *arguments]
        good &= run("official Python SDK, over the tenant's own https", command, trusting)
        command = [sys.executable, HERE / "plain_msal.py", *arguments]
        good &= run("msal and requests, over the tenant's own https", command, trusting)
    with simulation.tenant(program, users=USERS, seed=5, is_polite=False) as (port, tenant):
        with simulation.Proxy(port, leaf) as proxy:
            command = [sys.executable, HERE / "impatience.py", proxy.origin, tenant, "misbehaving"]
            good &= run("misbehaving tenant", command, environment)
            good &= impatience.judge(proxy.exchanges, needs_one=False)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
