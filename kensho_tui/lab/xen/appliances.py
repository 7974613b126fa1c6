"""Appliances: machines that start and stop together.

Follows ``ocaml/xapi/xapi_vm_appliance.ml``: machines that are not yet in the wanted state are
grouped by ``order``; groups start ascending and stop descending, the machines of a group together;
the operation waits for each machine's delay; what failed is ``OPERATION_PARTIALLY_FAILED``.
"""

import logging
from collections.abc import Callable
from itertools import groupby

from kensho_tui.lab.xen import lifecycle
from kensho_tui.lab.xen.calls import Context, call, constructor
from kensho_tui.lab.xen.fault import Fault
from kensho_tui.lab.xen.schema import NULL, Value

LOG = logging.getLogger("kensho.lab")


@constructor("VM_appliance")
def create(ctx: Context, values: dict[str, Value]) -> str:
    """An empty appliance."""
    return ctx.database.create("VM_appliance", values)


@call("VM_appliance.destroy", "ref VM_appliance")
def destroy(ctx: Context, appliance: str) -> None:
    """The appliance goes, its machines stay."""
    for vm in ctx.database.get("VM_appliance", appliance, "VMs"):
        ctx.database.set("VM", vm, appliance=NULL)
    ctx.database.destroy("VM_appliance", appliance)


def _perform(
    ctx: Context,
    appliance: str,
    name: str,
    wanted: str,
    one: Callable[[str], None],
    delay_field: str,
    *,
    ascending: bool,
) -> None:
    database = ctx.database
    with database.lock:
        record = database.record("VM_appliance", appliance)
        if record["current_operations"]:
            operation = next(iter(record["current_operations"].values()))
            raise Fault("OTHER_OPERATION_IN_PROGRESS", "VM_appliance", appliance, operation)
        targets = [vm for vm in record["VMs"] if database.get("VM", vm, "power_state") != wanted]
        targets.sort(key=lambda vm: database.get("VM", vm, "order"), reverse=not ascending)
        running = {ctx.task: name.partition(".")[2]}
        database.set("VM_appliance", appliance, current_operations=running)
    try:
        for _, group in groupby(targets, key=lambda vm: database.get("VM", vm, "order")):
            waits = [0]
            for vm in group:
                try:
                    one(vm)
                except Fault as fault:
                    LOG.info("%s: %s: %s", name, vm, fault.description)
                else:
                    waits.append(database.get("VM", vm, delay_field))
            # The machines of a group run side by side, so the longest delay counts.
            lifecycle.delay(ctx, max(waits))
    finally:
        database.set("VM_appliance", appliance, current_operations={})
    failed = [vm for vm in targets if database.get("VM", vm, "power_state") != wanted]
    if failed:
        raise Fault("OPERATION_PARTIALLY_FAILED", name, *failed)


@call("VM_appliance.start", "ref VM_appliance", "bool", blocking=True)
def start(ctx: Context, appliance: str, paused: bool) -> None:
    """Start all, group after group."""
    _perform(
        ctx,
        appliance,
        "VM_appliance.start",
        "Paused" if paused else "Running",
        lambda vm: lifecycle.power_on(ctx, vm, paused=paused),
        "start_delay",
        ascending=True,
    )


def _hard(ctx: Context, vm: str) -> None:
    with ctx.database.lock:
        lifecycle.hard_shutdown(ctx, vm)


@call("VM_appliance.hard_shutdown", "ref VM_appliance", blocking=True)
def hard_shutdown(ctx: Context, appliance: str) -> None:
    """Pull all plugs, last group first."""
    name = "VM_appliance.hard_shutdown"
    _perform(
        ctx, appliance, name, "Halted", lambda vm: _hard(ctx, vm), "shutdown_delay", ascending=False
    )


@call("VM_appliance.clean_shutdown", "ref VM_appliance", blocking=True)
def clean_shutdown(ctx: Context, appliance: str) -> None:
    """Ask all guests, last group first."""
    name = "VM_appliance.clean_shutdown"
    _perform(
        ctx,
        appliance,
        name,
        "Halted",
        lambda vm: lifecycle.clean_shutdown(ctx, vm),
        "shutdown_delay",
        ascending=False,
    )


@call("VM_appliance.shutdown", "ref VM_appliance", blocking=True)
def shutdown(ctx: Context, appliance: str) -> None:
    """Ask the guests, else pull the plugs."""
    name = "VM_appliance.shutdown"
    _perform(
        ctx,
        appliance,
        name,
        "Halted",
        lambda vm: lifecycle.shutdown(ctx, vm),
        "shutdown_delay",
        ascending=False,
    )
