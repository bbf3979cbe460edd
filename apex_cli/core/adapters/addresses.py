"""Addresses of this computer that a server wants to listen on."""

from __future__ import annotations

import socket

from apex_cli.core.errors import InputError


def require_free(host: str, port: int) -> None:
    """Refuse before anything is started.

    Raises:
        InputError: the address cannot be served on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise InputError(
                "address_not_free", f"{host} port {port} cannot be served on: {why}.", hint="Choose another --port."
            ) from None
