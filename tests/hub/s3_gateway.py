"""A stand-in for the Hub's S3 gateway: over TLS, it checks signatures and refuses what that does.

Refused, as the Hub's documentation of its S3 API says: ListObjectsV1, bodies in aws-chunked framing
(trailing checksums), buckets in the host's name, keys with empty parts. Objects are in memory.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

NAMESPACE, BUCKET = "maker", "data"
ACCESS_KEY, SECRET_KEY = "HFAKTESTTESTTEST", "secret-of-this-test"


@dataclass
class Gateway:
    """What the stand-in holds and was asked.

    Attributes:
        refused: "METHOD path: reason" of every request that was not served.
        lists: how many lists were asked for.
    """

    port: int
    certificate: Path
    objects: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    lists: int = 0

    @property
    def endpoint(self) -> str:
        return f"https://127.0.0.1:{self.port}/{NAMESPACE}"


class RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gateway: Gateway

    def log_message(self, *arguments: object) -> None:
        pass

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self._refuse_what_the_hub_refuses()
            self._check_signature(body)
            answer = self._answer(body)
        except RefusedError as refusal:
            self.gateway.refused.append(f"{self.command} {self.path}: {refusal.code}")
            text = f"<Error><Code>{refusal.code}</Code><Message>{refusal.message}</Message></Error>"
            self._send(refusal.status, text.encode())
        else:
            self._send(*answer)

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _refuse_what_the_hub_refuses(self) -> None:
        headers = self.headers
        framed = "aws-chunked" in headers.get("Content-Encoding", "")
        framed |= headers.get("x-amz-content-sha256", "").startswith("STREAMING-")
        if framed or "x-amz-trailer" in headers or "Transfer-Encoding" in headers:
            raise RefusedError(501, "NotImplemented", "aws-chunked trailing checksums")
        if headers["Host"] != f"127.0.0.1:{self.gateway.port}":
            raise RefusedError(400, "InvalidRequest", "virtual-host addressing")
        if not urlsplit(self.path).path.startswith(f"/{NAMESPACE}/{BUCKET}"):
            raise RefusedError(404, "NoSuchBucket", "no bucket of this name in this namespace")

    def _check_signature(self, body: bytes) -> None:
        """Compute the AWS signature (version 4) of the request, and compare."""
        given = self.headers.get("Authorization", "")
        words = dict(part.strip().split("=", 1) for part in given.partition(" ")[2].split(","))
        if "Signature" not in words:
            raise RefusedError(403, "AccessDenied", "no signature")
        key, *scope = words["Credential"].split("/")
        if key != ACCESS_KEY:
            raise RefusedError(403, "InvalidAccessKeyId", "the access key is not known")
        parts, signed = urlsplit(self.path), words["SignedHeaders"].split(";")
        stated = self.headers["x-amz-content-sha256"]
        if stated != "UNSIGNED-PAYLOAD" and stated != hashlib.sha256(body).hexdigest():
            raise RefusedError(400, "XAmzContentSHA256Mismatch", "the body is another")
        canonical = [
            *(self.command, parts.path, _canonical(parts.query)),
            *(f"{name}:{' '.join(self.headers[name].split())}" for name in signed),
            *("", ";".join(signed), stated),
        ]
        digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
        text = "\n".join(("AWS4-HMAC-SHA256", self.headers["x-amz-date"], "/".join(scope), digest))
        secret = f"AWS4{SECRET_KEY}".encode()
        for word in (*scope, text):
            secret = hmac.new(secret, word.encode(), hashlib.sha256).digest()
        if not hmac.compare_digest(secret.hex(), words["Signature"]):
            raise RefusedError(403, "SignatureDoesNotMatch", "the secret key is another")

    def _answer(self, body: bytes) -> tuple[int, bytes]:
        parts = urlsplit(self.path)
        key = unquote(parts.path.removeprefix(f"/{NAMESPACE}/{BUCKET}")).removeprefix("/")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if not key:
            return self._of_bucket(query)
        if "//" in key or key.endswith("/"):
            raise RefusedError(400, "InvalidArgument", "an empty part in a key")
        if "uploads" in query or "uploadId" in query:
            return self._part(key, query, body)
        if self.command == "PUT":
            self.gateway.objects[key] = body
            return 200, body
        if key not in self.gateway.objects:
            raise RefusedError(404, "NoSuchKey", "no such key")
        if self.command == "DELETE":
            del self.gateway.objects[key]
            return 204, b""
        data, part = self.gateway.objects[key], self.headers.get("Range")
        if part is None:
            return 200, data
        first, _, last = part.removeprefix("bytes=").partition("-")
        return 206, data[int(first) : int(last) + 1]

    def _of_bucket(self, query: dict[str, str]) -> tuple[int, bytes]:
        if self.command == "HEAD":
            return 200, b""
        if self.command != "GET" or query.get("list-type") != "2":
            raise RefusedError(501, "NotImplemented", "ListObjectsV1")
        self.gateway.lists += 1
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        keys, folders = [], set()
        for key in sorted(self.gateway.objects):
            if key.startswith(prefix):
                head, cut, _ = key[len(prefix) :].partition(delimiter or "\0")
                if cut:
                    folders.add(prefix + head + cut)
                else:
                    keys.append(key)
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.gateway.objects[key])}</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f'<ETag>"{_etag(self.gateway.objects[key])}"</ETag></Contents>'
            for key in keys[: int(query.get("max-keys", 10**6))]
        )
        contents += "".join(
            f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>"
            for folder in sorted(folders)
        )
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
        return 200, text.encode()

    def _part(self, key: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
        uploads = self.gateway.uploads
        if "uploads" in query:
            uploads[key] = {}
            name = "InitiateMultipartUploadResult"
            return 200, f"<{name}><UploadId>{escape(key)}</UploadId></{name}>".encode()
        if self.command == "PUT":
            uploads[key][int(query["partNumber"])] = body
            return 200, body
        self.gateway.objects[key] = b"".join(data for _, data in sorted(uploads.pop(key).items()))
        return 200, b"<CompleteMultipartUploadResult/>"

    def _send(self, status: int, data: bytes) -> None:
        stored = self.command == "PUT" and status == 200  # its hash alone goes back
        sent = b"" if stored or status == 204 else data
        self.send_response(status)
        self.send_header("ETag", f'"{_etag(data)}"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)


def _canonical(query: str) -> str:
    """Return a query as it is signed: sorted, and `uploads` as `uploads=`."""
    parts = sorted(filter(None, query.split("&")))
    return "&".join(part if "=" in part else f"{part}=" for part in parts)


def _etag(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


@contextmanager
def running_gateway(folder: Path) -> Iterator[Gateway]:
    """Serve an empty bucket on this machine, with a certificate of its own in `folder`."""
    certificate, key = _certificate(folder)
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    handler.gateway = Gateway(server.server_address[1], certificate)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield handler.gateway
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _certificate(folder: Path) -> tuple[Path, Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(days=1),
        not_valid_after=now + datetime.timedelta(days=1),
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        builder.add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "gateway.pem", folder / "gateway.key"
    certificate_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file
