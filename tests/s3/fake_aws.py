"""AWS on loopback: a proxy that takes CONNECT to any host and answers there itself, with a certificate of its own CA.

So the hosts are AWS's, in URLs and in Host, and nothing leaves the machine. S3's lead to a StrictS3; STS gives a role.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOSTS = ("*.amazonaws.com", "*.us-east-1.amazonaws.com", "*.s3.us-east-1.amazonaws.com")
ROLE = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>
<Expiration>{expires}</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn>
<AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"""


def authority(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Make a CA and a server certificate of it; return the CA's file and the server's context."""
    now = datetime.now(UTC)

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def certificate(name: str, key: ec.EllipticCurvePrivateKey, is_ca: bool, issuer: str) -> x509.CertificateBuilder:
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign"), False
        )
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            # Python 3.13 and later demand these three.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not is_ca, key_cert_sign=is_ca, encipher_only=False, decipher_only=False, **usage
                ),
                critical=True,
            )
        )

    ca = certificate("test CA", ca_key, True, "test CA").sign(ca_key, hashes.SHA256())
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS])
    leaf = certificate("aws", key, False, "test CA").add_extension(names, critical=False).sign(ca_key, hashes.SHA256())
    bundle, both = folder / "ca.pem", folder / "server.pem"
    bundle.write_bytes(ca.public_bytes(Encoding.PEM))
    both.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + leaf.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return bundle, context


class FakeAWS:
    """The proxy. ``hosts``: to which it was asked to connect; ``role``: what STS answers to AssumeRole."""

    def __init__(self, folder: Path, s3_port: int, role: tuple[str, str, str]) -> None:
        self.ca_file, self._context = authority(folder)
        self._s3_port = s3_port
        self._role = role
        self.role_life_s = 3600.0
        self.hosts: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection = self._listener.accept()[0]
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        self._open.append(connection)
        with contextlib.suppress(OSError):
            line = _request(connection).split(b"\r\n")[0].decode()
            assert line.startswith("CONNECT "), line
            host = line.split(" ")[1]
            self.hosts.append(host)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            tls = self._context.wrap_socket(connection, server_side=True)
            self._open.append(tls)
            if host.startswith("sts."):
                self._sts(tls)
                return
            inner = socket.create_connection(("127.0.0.1", self._s3_port))
            self._open.append(inner)
            threading.Thread(target=_pump, args=(inner, tls), daemon=True).start()
            _pump(tls, inner)

    def _sts(self, tls: ssl.SSLSocket) -> None:
        while head := _request(tls):
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            body = head.partition(b"\r\n\r\n")[2]
            while len(body) < int(length.partition(b":")[2]):
                body += tls.recv(65536)
            assert b"Action=AssumeRole" in body
            name, secret, token = self._role
            expires = (datetime.now(UTC) + timedelta(seconds=self.role_life_s)).isoformat()
            answer = ROLE.format(id=name, secret=secret, token=token.replace("&", "&amp;"), expires=expires).encode()
            tls.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer)
            )


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return b""
        data += more
    return data


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
