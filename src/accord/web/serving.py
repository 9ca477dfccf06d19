"""A server on an address: where it may stand, what it is called there, and how it ends.

It binds 127.0.0.1. Anywhere else it refuses without an owner, for whoever came first would become it, and
without an https address, for a passphrase sent in the clear is everybody's.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from accord.errors import PlanError, Refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["Address", "answer", "bound", "is_loopback", "public_host"]

_LAST_SECONDS = 5  # that requests under way have when the server is told to stop
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Address(NamedTuple):
    """Where a server stands. ``hosts``: the names it answers to; ``url``: the one to tell people."""

    url: str
    port: int
    hosts: frozenset[str]
    secure: bool


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def public_host(url: str) -> str:
    """``name`` or ``name:port`` of an address that people use. PlanError unless it is https and no more."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    bare = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password)
    if parts.scheme != "https" or not parts.hostname or not bare or port == -1:
        raise PlanError("--public-url", url, "https://NAME or https://NAME:PORT, nothing behind it")
    return _host(parts.hostname, port, "https")


def bound(host: str, port: int, *, public_url: str | None, owned: bool) -> tuple[socket.socket, Address]:
    """A socket that listens, and what it is called. ``port`` 0 takes a free one.

    Refused where it may not stand there, the port is taken or kept for others, or there is no such address.
    """
    public = public_host(public_url) if public_url else None
    if not is_loopback(host):
        lacking = [] if owned else ["an owner: start it on 127.0.0.1 first, and open the link it prints"]
        lacking += [] if public else ["--public-url https://NAME, by which people come through your proxy"]
        if lacking:
            needs = "\n  ".join(lacking)
            raise Refused(f"{host} can be reached from other machines; that needs\n  {needs}")
    listening = _listening(host, port)
    real = int(listening.getsockname()[1])
    names = {_host(name, real, "http") for name in ("127.0.0.1", "localhost", "::1")}
    if is_loopback(host):
        names.add(_host(host.strip("[]"), real, "http"))
    url = f"https://{public}" if public else f"http://{_host(host.strip('[]'), real, 'http')}"
    if public:
        names.add(public)
    return listening, Address(url, real, frozenset(names), secure=public is not None)


def answer(app: ASGIApp, listening: socket.socket, *, behind_proxy: bool) -> None:
    """Answer until Ctrl-C or SIGTERM; requests under way are finished, in seconds.

    ``behind_proxy``: a proxy on this machine says whom a request came from.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        access_log=False,  # one-time codes stand in addresses
        log_level="warning",
        server_header=False,
        proxy_headers=behind_proxy,
        forwarded_allow_ips="127.0.0.1,::1",
        timeout_graceful_shutdown=_LAST_SECONDS,
        lifespan="off",
        ws="none",
    )
    if threading.current_thread() is threading.main_thread():
        # uvicorn gives a signal on when it has ended: let SIGTERM end this process the way Ctrl-C does.
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        return
    finally:
        listening.close()


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise Refused(
            f"--host {host}: there is no such address ({error})\n  the usual one is 127.0.0.1"
        ) from error
    listening = socket.socket(family[0], socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(family[4])
        listening.listen(socket.SOMAXCONN)
    except OSError as error:
        listening.close()
        raise Refused(
            f"port {port} of {host} cannot be used: {error.strerror}\n"
            f"  end what uses it, or choose another with --port; --port 0 takes one that is free"
        ) from error
    return listening


def _host(name: str, port: int | None, scheme: str) -> str:
    """As a browser sends it: lower case, the port only where it is not the scheme's own."""
    shown = f"[{name}]" if ":" in name else name.lower()
    return shown if port in (None, _DEFAULT_PORTS[scheme]) else f"{shown}:{port}"
