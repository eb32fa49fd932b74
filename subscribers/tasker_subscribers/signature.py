"""Signatures of Standard Webhooks: HMAC-SHA256 over id, time and body tells a receiver who sent what, and when."""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from tasker_subscribers.secret import Secret

if TYPE_CHECKING:
    from tasker_subscribers.options import Options

PREFIX = "whsec_"
FEWEST_BYTES = 24
_MAKE = "Make one: python -c \"import base64, os; print('whsec_' + base64.b64encode(os.urandom(32)).decode())\""


class Signer:
    """Signs with a key, or, while keys are exchanged, with several: a receiver takes any that it knows."""

    def __init__(self, options: Options, key: str, secrets: tuple[Secret, ...]) -> None:
        """Read the keys.

        Args:
            options: For error texts.
            key: The option they come from.
            secrets: `whsec_` and base64, or any other text of at least 24 bytes.

        Raises:
            InvalidDefinition: A key is too short or no base64.
        """
        self._keys = tuple(_bytes_of(options, key, secret.reveal()) for secret in secrets)

    def headers(self, event_id: str, seconds: int, body: bytes) -> dict[str, str]:
        """Give the three headers.

        Args:
            event_id: The id of the message: the same for every try.
            seconds: The present time (Unix).
            body: The bytes that are sent.
        """
        signed = f"{event_id}.{seconds}.".encode() + body
        signatures = (b64encode(hmac.digest(key, signed, "sha256")).decode() for key in self._keys)
        return {
            "webhook-id": event_id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
        }


def _bytes_of(options: Options, key: str, text: str) -> bytes:
    try:
        found = b64decode(text.removeprefix(PREFIX), validate=True) if text.startswith(PREFIX) else text.encode()
    except (binascii.Error, ValueError):
        message = f"expected behind {PREFIX} base64, found something else (not shown). {_MAKE}"
        raise options.wrong(key, message) from None
    if len(found) < FEWEST_BYTES:
        message = f"expected a signing secret of at least {FEWEST_BYTES} bytes, found {len(found)} (not shown). {_MAKE}"
        raise options.wrong(key, message)
    return found
