"""The simulated tenant as a process, and a proxy before it that ends TLS and writes down what was said.

Knows nothing of the clients. Needs nothing beyond the standard library, except `certificate`, which needs `cryptography`.
"""

import contextlib
import dataclasses
import gzip
import http.client
import http.server
import json
import pathlib
import re
import signal
import ssl
import subprocess
import threading
import time


@dataclasses.dataclass
class Exchange:
    """One request and its answer, as they passed the proxy. Header names in lower case; times monotonic."""

    method: str
    target: str
    request_headers: dict
    request_body: bytes
    status: int
    headers: dict
    body: bytes
    asked_at: float
    answered_at: float

    @property
    def path(self):
        return self.target.split("?", 1)[0]

    def json(self):
        return json.loads(self.body)


@contextlib.contextmanager
def tenant(program, *, users, seed, is_polite=True, tls=None):
    """Runs `mailkeeper simulate` on a free port; yields (port, tenant id). `tls`: the file for its own authority."""
    command = [program, "simulate", "--listen", "127.0.0.1:0", "--users", str(users), "--seed", str(seed)]
    command += ["--polite"] if is_polite else []
    command += ["--tls", str(tls)] if tls else []
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        text = ""
        while "Ctrl-C" not in text:
            line = process.stderr.readline()
            if not line:
                raise RuntimeError(f"the simulated tenant did not start: {text}")
            text += line
        # Nobody else reads the pipe; a full one would stop the tenant.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        port = int(re.search(r"https?://127\.0\.0\.1:(\d+)/v1\.0", text).group(1))
        yield port, re.search(r"simulated tenant ([0-9a-f-]{36})", text).group(1)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()


def certificate(directory):
    """A certificate authority and a certificate of it for localhost. Returns (authority, certificate with key)."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def start(subject, issuer, key):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(
            now + datetime.timedelta(days=2)
        )

    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = "mailkeeper conformance"
    authority = start(authority_name, authority_name, authority_key)
    authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    authority = authority.add_extension(
        x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True
    )
    authority = authority.sign(authority_key, hashes.SHA256())
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    leaf = start("localhost", authority_name, key).add_extension(names, critical=False)
    leaf = leaf.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    leaf = leaf.sign(authority_key, hashes.SHA256())

    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    directory = pathlib.Path(directory)
    authority_file, leaf_file = directory / "authority.pem", directory / "localhost.pem"
    authority_file.write_bytes(authority.public_bytes(pem))
    leaf_file.touch(mode=0o600)
    leaf_file.write_bytes(leaf.public_bytes(pem) + private)
    return authority_file, leaf_file


class Proxy:
    """https://localhost:{port} before the tenant. `exchanges` holds everything that passed."""

    def __init__(self, tenant_port, leaf_file):
        self.exchanges = []
        self._lock = threading.Lock()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked_at = time.monotonic()
                onward = {**headers, "x-forwarded-proto": "https", "connection": "close"}
                upstream = http.client.HTTPConnection("127.0.0.1", tenant_port, timeout=200)
                try:
                    upstream.request(self.command, self.path, body=body, headers=onward)
                    answer = upstream.getresponse()
                    payload = answer.read()
                except (http.client.HTTPException, OSError):
                    # The tenant broke the connection: so do we.
                    self.close_connection = True
                    return
                finally:
                    upstream.close()
                answered = {name.lower(): value for name, value in answer.getheaders()}
                is_packed = answered.get("content-encoding") == "gzip"
                proxy.note(
                    Exchange(
                        self.command, self.path, headers, body, answer.status, answered,
                        gzip.decompress(payload) if is_packed else payload,
                        asked_at, time.monotonic(),
                    )
                )
                self.send_response_only(answer.status)
                for header, value in answer.getheaders():
                    if header.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(header, value)
                if answer.status != 204:
                    self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_any

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(leaf_file)
        # The handshake belongs to the thread of the connection, not to the one that accepts.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self._server.server_address[1]
        self.origin = f"https://localhost:{self.port}"

    def note(self, exchange):
        with self._lock:
            self.exchanges.append(exchange)

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
