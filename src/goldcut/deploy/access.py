"""Who may ask: bearer tokens and certificates, read once at the start."""

import hmac
import ssl
from dataclasses import dataclass
from pathlib import Path

from goldcut.deploy.attempts import Tls
from goldcut.deploy.manifest import read_file
from goldcut.deploy.refusals import Refusal
from goldcut.errors import DeployError

SHORTEST = 16
READABLE = "Give a file that can be read."


@dataclass(frozen=True)
class Access:
    """What a client must show.

    Args:
        tokens: Any one of them; empty for none.
        certificate: PEM of the server, with its chain; None for plain connections.
        key: PEM of its key.
        client_ca: PEM of the authorities whose certificates a client must have; None where it needs none.
    """

    tokens: tuple[bytes, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise DeployError("TLS needs a certificate and its key", "Give --tls-cert and --tls-key together.")
        if self.client_ca is not None and self.certificate is None:
            raise DeployError("client certificates need TLS", "Give --tls-cert and --tls-key too.")

    def check(self, header: str | None) -> None:
        """Refuse a request without a known token.

        Args:
            header: Value of `authorization`.

        Raises:
            Refusal: There is none, or nobody knows it.
        """
        if not self.tokens:
            return
        scheme, _, shown = (header or "").partition(" ")
        given = shown.strip().encode(errors="surrogateescape")  # as aiohttp reads what is no UTF-8
        known = [hmac.compare_digest(given, token) for token in self.tokens]
        if scheme.lower() != "bearer" or not any(known):
            raise Refusal("unauthenticated", "the request carries no bearer token that is known here")

    def pem(self) -> tuple[bytes, bytes, bytes | None] | None:
        """Key, certificate and authorities for gRPC; None for plain connections.

        Raises:
            DeployError: A file cannot be read.
        """
        if self.certificate is None or self.key is None:
            return None
        authorities = None if self.client_ca is None else read_file(self.client_ca, READABLE)
        return read_file(self.key, READABLE), read_file(self.certificate, READABLE), authorities

    def context(self) -> ssl.SSLContext | None:
        """The same for HTTP.

        Raises:
            DeployError: The files do not make a TLS server.
        """
        if self.certificate is None or self.key is None:
            return None
        self.pem()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except (ssl.SSLError, OSError) as error:
            raise DeployError(
                f"{self.certificate} and {self.key} make no TLS server: {error}", "Give PEM files that belong together."
            ) from error
        return context


def read_tokens(path: Path) -> tuple[bytes, ...]:
    """One token a line; empty lines and lines with # are left out.

    Raises:
        DeployError: The file cannot be read, holds none, or a short one.
    """
    lines = [line.strip() for line in read_file(path, READABLE).splitlines()]
    tokens = tuple(line for line in lines if line and not line.startswith(b"#"))
    if not tokens or min(map(len, tokens)) < SHORTEST:
        raise DeployError(
            f"{path} holds no token, or one of less than {SHORTEST} characters",
            "Write one long random token a line, such as from `openssl rand -hex 32`.",
        )
    return tokens


def show(
    token_file: Path | None, ca: Path | None, tls_cert: Path | None, tls_key: Path | None
) -> tuple[str | None, Tls]:
    """What a client shows, from the files of its command line: a token, and how both sides know each other.

    Raises:
        DeployError: The token's file cannot be used.
    """
    token = read_tokens(token_file)[0].decode(errors="surrogateescape") if token_file else None
    return token, Tls(ca, tls_cert, tls_key)
