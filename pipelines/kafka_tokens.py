"""Tokens by which clients sign in to Google's managed Kafka: as the account that they run as."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC
from functools import cache
from threading import Lock
from time import time
from typing import Any

from isopach.pipelines.logs import LogError

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_REFRESHING = Lock()


def google_token(_config: str) -> tuple[str, float]:
    """Return a token for SASL/OAUTHBEARER, and when it expires, in seconds since 1970.

    It is of Google's application default credentials: on Google's machines the account that a
    worker runs as. Brokers want the access token in the place of a JWT's signature, as in Google's
    GcpLoginCallbackHandler. Raises LogError; the client tells of it and asks again.
    """
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import Request

    try:
        with _REFRESHING:
            credentials = _credentials()
            if not credentials.valid:
                credentials.refresh(Request())
    except GoogleAuthError as error:
        raise LogError(f"no token of Google to sign in to Kafka with: {error}") from error
    expires = credentials.expiry.replace(tzinfo=UTC).timestamp()
    claims = {
        "iss": "Google",
        "sub": _account(credentials),
        "scope": "kafka",
        "iat": int(time()),
        "exp": int(expires),
    }
    header = {"typ": "JWT", "alg": "GOOG_OAUTH2_TOKEN"}
    parts = json.dumps(header), json.dumps(claims), credentials.token
    return ".".join(map(_encoded, parts)), expires


@cache
def _credentials() -> Any:
    import google.auth

    return google.auth.default(scopes=[SCOPE])[0]


def _account(credentials: Any) -> str:
    account = getattr(credentials, "service_account_email", "")
    if not account:
        raise LogError(
            "Google's credentials here name no service account, and brokers know no other: "
            "gcloud auth application-default login --impersonate-service-account=ACCOUNT"
        )
    return str(account)


def _encoded(part: str) -> str:
    return urlsafe_b64encode(part.encode()).rstrip(b"=").decode()
