"""A time-stamping authority: `openssl ts` behind an HTTP server, with a certificate authority."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509

_CONFIGURATION = """
[req]
distinguished_name = name
prompt = no
[name]
CN = Test CA
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[signer]
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[tsa]
serial = serial
signer_cert = signer.pem
signer_key = signer.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = {digests}
"""
_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config tsa.cnf"


class Authority:
    """`answer` makes the answer to a query; a test replaces it for an authority that fails."""

    def __init__(self, folder: Path, digests: str = "sha256") -> None:
        self._folder = folder
        (folder / "tsa.cnf").write_text(_CONFIGURATION.format(digests=digests))
        (folder / "serial").write_text("01")
        self.openssl(f"req -x509 {_KEY} -keyout ca.key -out ca.pem -days 30 -extensions ca")
        self.openssl(f"req {_KEY} -keyout signer.key -out signer.csr -subj /CN=TSA")
        self.openssl(
            "x509 -req -in signer.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 "
            "-extfile tsa.cnf -extensions signer -out signer.pem"
        )
        self.ca = x509.load_pem_x509_certificates((folder / "ca.pem").read_bytes())
        self.answer: Callable[[bytes], bytes] = self.stamp
        self.queries: list[bytes] = []
        self.released = threading.Event()
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/timestamp-query"
                authority.queries.append(query)
                body = authority.answer(query)
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/tsr"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def openssl(self, arguments: str) -> str:
        """Run openssl in the folder of this authority."""
        run = subprocess.run(
            ["openssl", *arguments.split()],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        return run.stdout + run.stderr

    def stamp(self, query: bytes) -> bytes:
        """The answer to a query."""
        (self._folder / "query").write_bytes(query)
        self.openssl("ts -reply -config tsa.cnf -section tsa -queryfile query -out answer")
        return (self._folder / "answer").read_bytes()

    def verifies(self, answer: bytes, stamped: str) -> str:
        """What openssl says of an answer for a text."""
        (self._folder / "answer").write_bytes(answer)
        (self._folder / "stamped").write_text(stamped)
        return self.openssl("ts -verify -in answer -data stamped -CAfile ca.pem")

    def hang(self, query: bytes) -> bytes:
        """Do not answer before the test ends."""
        self.released.wait(60)
        return b""

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
