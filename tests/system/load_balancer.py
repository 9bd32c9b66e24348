"""deploy/haproxy.cfg before gateways of this machine."""

import re
import ssl
import subprocess

from harness import TOP, Process, free_port, http_get, until_now


class HAProxy(Process):
    """The file as it is, but for ports, the certificate, and where the gateways are."""

    def __init__(self, directory, gateways, name="haproxy", tls=True):
        self.tls = tls
        self.port, self.operator_port = free_port(), free_port()
        self.gateways = gateways
        self.certificate = directory / f"{name}.pem"
        config = directory / f"{name}.cfg"
        make_certificate(self.certificate)
        config.write_text(self.adapted((TOP / "deploy/haproxy.cfg").read_text()))
        super().__init__(name, directory, ["haproxy", "-db", "-f", config])

    def adapted(self, text):
        servers = "\n".join(
            f"\tserver gateway{number} 127.0.0.1:{gateway.port} port {gateway.metrics_port}"
            for number, gateway in enumerate(self.gateways, 1)
        )
        if not self.tls:
            text = re.sub(r"(bind :8443) ssl .*", r"\1", text)
        for pattern, replacement, times in (
            (r"bind :8443", f"bind 127.0.0.1:{self.port}", 1),
            (r"bind :8405", f"bind 127.0.0.1:{self.operator_port}", 1),
            (r"/run/secrets/tls.pem", str(self.certificate), int(self.tls)),
            (r"check port 9107", "check", 2),
            (r"\tserver-template gateway 1-32 gateway:7070", servers, 2),
        ):
            text, found = re.subn(pattern, replacement, text)
            assert (
                found == times
            ), f"{pattern} stands {found} times in deploy/haproxy.cfg"
        return text

    def start(self):
        super().start()
        until_now(
            lambda: self.ready() == len(self.gateways), "HAProxy has all gateways"
        )
        return self

    def end(self):
        self.expected_end = True  # it leaves with 143 on SIGTERM
        return super().end()

    def ready(self):
        """How many gateways get new clients."""
        try:
            text = http_get(self.operator_port, "/metrics").text
        except OSError:
            assert self.alive, f"HAProxy ended:\n{self.log()}"
            return None
        name = r'haproxy_backend_active_servers\{proxy="gateways"\} (\d+)'
        return int(re.search(name, text)[1])

    def context(self):
        """For clients that trust its certificate."""
        return ssl.create_default_context(cafile=self.certificate)


def make_certificate(path):
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    )
    command += (
        " -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    )
    key, certificate = f"{path}.key", f"{path}.crt"
    subprocess.run(
        [*command.split(), "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    with open(path, "w") as both:
        for part in (certificate, key):
            with open(part) as file:
                both.write(file.read())
