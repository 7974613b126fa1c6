"""Hosts, pool and networks: the calls beyond getters and setters."""

from kensho_tui.lab.xen.calls import Context, call, constructor
from kensho_tui.lab.xen.database import Database, now
from kensho_tui.lab.xen.fault import Fault
from kensho_tui.lab.xen.schema import Value


def free_memory(database: Database, host: str) -> int:
    """Bytes a host has for new machines: its memory less that of the machines on it."""
    metrics = database.get("host", host, "metrics")
    total = int(database.get("host_metrics", metrics, "memory_total"))
    overhead = int(database.get("host", host, "memory_overhead"))
    used = sum(
        int(database.get("VM", vm, "memory_dynamic_max"))
        for vm in database.find("VM", resident_on=host)
        if not database.get("VM", vm, "is_control_domain")
    )
    return total - overhead - used


def publish_memory(database: Database, host: str) -> None:
    """Bring the host's metrics up to date after a machine came or went."""
    metrics = database.get("host", host, "metrics")
    database.set("host_metrics", metrics, memory_free=free_memory(database, host))


@call("host.compute_free_memory", "ref host", result="int")
def compute_free_memory(ctx: Context, host: str) -> int:
    """Bytes free."""
    return free_memory(ctx.database, host)


@call("host.get_servertime", "ref host", result="datetime")
def server_time(ctx: Context, host: str) -> str:
    """The host's clock."""
    ctx.database.row("host", host)
    return now()


@constructor("network")
def create_network(ctx: Context, values: dict[str, Value]) -> str:
    """A private network on a bridge of its own (``xapi_network.ml``)."""
    taken = {ctx.database.get("network", ref, "bridge") for ref in ctx.database.refs("network")}
    if not values.get("bridge"):
        values["bridge"] = next(f"xapi{i}" for i in range(1000) if f"xapi{i}" not in taken)
    return ctx.database.create("network", values)


@call("network.destroy", "ref network")
def destroy_network(ctx: Context, network: str) -> None:
    """Refused while anything is on it."""
    vifs = ctx.database.get("network", network, "VIFs")
    if vifs:
        raise Fault("NETWORK_CONTAINS_VIF", *vifs)
    pifs = ctx.database.get("network", network, "PIFs")
    if pifs:
        raise Fault("NETWORK_CONTAINS_PIF", *pifs)
    ctx.database.destroy("network", network)
