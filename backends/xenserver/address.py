"""Where a XenServer listens."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from backends.base import RefusedError


@dataclass(frozen=True, slots=True)
class Address:
    """Host name or IP address (IPv6 without brackets) and port of a server's HTTPS."""

    host: str
    port: int = 443

    @classmethod
    def parse(cls, text: str) -> "Address":
        """From ``host``, ``host:port``, ``[v6]:port`` or an ``https://`` URL.

        Raises: RefusedError: it is no such address, or it asks for a connection without TLS.
        """
        text = text.strip()
        bare_v6 = text.count(":") > 1 and "[" not in text and "/" not in text
        url = text if "://" in text else f"https://[{text}]" if bare_v6 else f"https://{text}"
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or parts.username is not None or parts.path not in {"", "/"} or parts.query:
            raise RefusedError(
                "this is no address of a XenServer",
                subject=text,
                remedy="Write host, host:port or https://host",
            )
        if parts.scheme != "https":
            raise RefusedError(
                "a password is not sent without TLS",
                subject=text,
                remedy="Use https://",
            )
        return cls(host, port or 443)

    @property
    def netloc(self) -> str:
        """``host[:port]`` as it stands in a URL and in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 443 else f"{host}:{self.port}"

    def __str__(self) -> str:
        return self.netloc
