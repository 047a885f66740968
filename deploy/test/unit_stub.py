#!/usr/bin/python3
"""Stands in for the daemon in boot_unit.sh: keeps the unit's contract, and says what the sandbox lets it do.

Installed as /usr/bin/mailkeeper. Prints one `probe NAME: allowed|refused` line for each thing it tries. SIGUSR1 makes it
hang, as a loop would that no longer turns. A file /etc/mailkeeper/invalid makes it end as bad settings do.
"""

import os
import signal
import socket
import struct
import sys
import threading
import time

BAD_CONFIGURATION = 64


def notify(message):
    address = os.environ["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
        notifier.connect("\0" + address[1:] if address[0] == "@" else address)
        notifier.send(message.encode())


def probe(name, attempt):
    try:
        attempt()
        print(f"probe {name}: allowed", flush=True)
    except OSError:
        print(f"probe {name}: refused", flush=True)


def run_written_program(directory):
    path = os.path.join(directory, "program")
    with open(path, "w", encoding="ascii") as program:
        program.write("#!/bin/sh\nexit 0\n")
    os.chmod(path, 0o700)
    if os.spawnv(os.P_WAIT, path, [path]) != 0:
        raise PermissionError(path)


def listen(port):
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        server.listen()


def answer_peers(control):
    """Tells each peer who the kernel says it is."""
    while True:
        peer, _ = control.accept()
        _, user, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        peer.send(f"you are {user}".encode())
        peer.close()


def open_control_socket(path):
    if os.path.exists(path):
        os.unlink(path)
    control = socket.socket(socket.AF_UNIX)
    control.bind(path)
    os.chmod(path, 0o660)
    control.listen()
    threading.Thread(target=answer_peers, args=(control,), daemon=True).start()


def reload(*_):
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
    print("reloaded", flush=True)
    notify("READY=1")


def drain(*_):
    print("drained", flush=True)
    sys.exit(0)


def main():
    if os.path.exists("/etc/mailkeeper/invalid"):
        sys.exit(BAD_CONFIGURATION)
    hanging = threading.Event()
    signal.signal(signal.SIGHUP, reload)
    signal.signal(signal.SIGTERM, drain)
    signal.signal(signal.SIGUSR1, lambda *_: hanging.set())

    credentials = os.environ["CREDENTIALS_DIRECTORY"]
    probe("read the secret", lambda: open(f"{credentials}/contoso-secret", encoding="ascii").close())
    probe("read the settings", lambda: open("/etc/mailkeeper/mailkeeper.yaml", encoding="utf-8").close())
    probe("write the state", lambda: open("/var/lib/mailkeeper/probe", "w", encoding="ascii").close())
    probe("look up a name", lambda: socket.getaddrinfo("graph.example", 443))
    probe("write the settings", lambda: open("/etc/mailkeeper/probe", "w", encoding="ascii").close())
    probe("read the original secret", lambda: open("/etc/mailkeeper/credentials/contoso-secret", encoding="ascii").close())
    for directory in ("/var/lib/mailkeeper", "/run/mailkeeper", "/tmp"):
        probe(f"run a program from {directory}", lambda path=directory: run_written_program(path))
    probe("open a raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
    probe("open a netlink socket", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))

    probe("listen on the metrics port", lambda: listen(9464))
    open_control_socket("/run/mailkeeper/control.sock")
    notify("READY=1")
    while True:
        time.sleep(0.2)
        if not hanging.is_set():
            notify("WATCHDOG=1")


if __name__ == "__main__":
    main()
