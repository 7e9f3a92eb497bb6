"""A broker that clients sign in to over TLS: by a user's password, or by Google's tokens."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from broker import INFRA, Broker, free_ports
from confluent_kafka.admin import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from jars import copied_jars

PASSWORD = "let-me-in"
HANDLER = Path(__file__).parent / "GoogleTokens.java"
NAMES = ("-ext", "san=dns:localhost", "-validity", "2")


class SecuredBroker(Broker):
    """A broker with a second listener, for who signs in; `known` is the access token let in."""

    def __init__(self, folder: Path, known: str) -> None:
        super().__init__(folder)
        self.known = known
        self._secured_port = free_ports()[0]

    @property
    def secured(self) -> str:
        """The address of the listener with TLS."""
        return f"localhost:{self._secured_port}"

    @property
    def authority(self) -> Path:
        """The certificate that clients trust, as PEM."""
        return self.folder / "broker.pem"

    def start(self) -> SecuredBroker:
        """Make a certificate, and start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._keytool("-genkeypair", "-keyalg", "RSA", "-dname", "CN=localhost", *NAMES)
        self._keytool("-exportcert", "-rfc", "-file", str(self.authority))
        classes = f"{copied_jars(INFRA / 'pom.xml')}/*"
        subprocess.run(["javac", "-cp", classes, "-d", self.folder, HANDLER], check=True)
        super().start()
        return self

    def add_user(self, name: str) -> None:
        """Let a user in with the password, by SCRAM-SHA-512."""
        how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        user = UserScramCredentialUpsertion(name, how, PASSWORD.encode())
        self.admin.alter_user_scram_credentials([user])[name].result(30)

    def settings(self, path: Path, more: Mapping[str, str]) -> Path:
        """Write a client's settings."""
        own = {"security.protocol": "SASL_SSL", "ssl.ca.location": str(self.authority), **more}
        path.write_text("".join(f"{key}={value}\n" for key, value in own.items()))
        return path

    def _keytool(self, command: str, *arguments: str) -> None:
        store = ["-keystore", str(self._store), "-storepass", PASSWORD, "-alias", "broker"]
        subprocess.run(
            ["keytool", command, *store, *arguments], check=True, capture_output=True, timeout=60
        )

    @property
    def _store(self) -> Path:
        return self.folder / "broker.p12"

    def _classes(self) -> str:
        return f"{super()._classes()}:{self.folder}"

    def _listeners(self) -> dict[str, str]:
        return {**super()._listeners(), "SECURED": self.secured}

    def _own_settings(self) -> str:
        named = "listener.name.secured"
        login = "org.apache.kafka.common.security"
        oauth = f"{named}.oauthbearer.sasl"
        return (
            f"{super()._own_settings()}"
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
            "SECURED:SASL_SSL\n"
            f"{named}.sasl.enabled.mechanisms=SCRAM-SHA-512,OAUTHBEARER\n"
            f"{named}.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;\n"
            f"{oauth}.jaas.config={login}.oauthbearer.OAuthBearerLoginModule required "
            f'unsecuredLoginStringClaim_sub="broker" known="{self.known}";\n'
            f"{oauth}.server.callback.handler.class=GoogleTokens\n"
            f"{named}.ssl.keystore.type=PKCS12\n"
            f"{named}.ssl.keystore.location={self._store}\n"
            f"{named}.ssl.keystore.password={PASSWORD}\n"
        )
