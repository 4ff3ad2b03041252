"""Clusters of processes on this machine."""

import json
import socket


def tf_configs(count: int) -> list[str]:
    """Returns the `TF_CONFIG` of each worker of a cluster on ports that nobody listens on."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
    return [
        json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})
        for index in range(count)
    ]


def free_ports(count: int) -> list[int]:
    """Returns ports that nobody listens on, all taken before the first is given back."""
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports
