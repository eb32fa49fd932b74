"""TLS as the settings ask for it: what a client trusts, and what it proves itself with."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from tasker.errors import InvalidDefinition

if TYPE_CHECKING:
    from tasker.settings.sections import KafkaSecurity


def tls(security: KafkaSecurity) -> ssl.SSLContext | None:
    """Give the context for connections under TLS, or None where the protocol is without.

    Raises:
        InvalidDefinition: A file with certificates or a key cannot be read; names it.
    """
    if not security.protocol.endswith("SSL"):
        return None
    trusted, own, key = security.ca_file, security.certificate_file, security.key_file
    try:
        context = ssl.create_default_context(cafile=trusted)
    except OSError as error:
        where = f"certificates in {trusted}" if trusted else "certificates in the system"
        msg = f"kafka.security.ca_file: expected {where} that can be read, found: {error}; name a file in PEM"
        raise InvalidDefinition(msg) from error
    if own is not None:
        files = own if key is None else f"{own}, with its key in {key}"
        try:
            context.load_cert_chain(own, key, password=_no_password)
        except (OSError, ValueError) as error:
            msg = f"kafka.security: expected a certificate in {files}, that can be read, found: {error}"
            raise InvalidDefinition(f"{msg}; both are in PEM, and the key has no password") from error
    return context


def _no_password() -> str:
    """Keep OpenSSL from asking a terminal for the password of a key: nobody sits there."""
    return ""
