"""Power: start, shut down, suspend, resume.

Follows ``ocaml/xapi/xapi_vm.ml`` and ``xapi_vm_lifecycle.ml``: what ``VM.create`` let pass is
checked at the start; a guest without drivers lacks the features for a clean shutdown or suspend;
``VM.start`` lasts as long as the machine's start delay. Nothing boots here.
"""

from kensho_tui.lab.xen.calls import Context, call
from kensho_tui.lab.xen.database import now, present
from kensho_tui.lab.xen.fault import Fault
from kensho_tui.lab.xen.hosts import free_memory, publish_memory
from kensho_tui.lab.xen.machines import check_memory, check_vcpus, need_state
from kensho_tui.lab.xen.schema import EPOCH, NULL, Value
from kensho_tui.lab.xen.storage import create as create_vdi


def _can_run(ctx: Context, record: dict[str, Value], host: str) -> bool:
    database = ctx.database
    if not database.get("host", host, "enabled"):
        return False
    if free_memory(ctx.database, host) < record["memory_dynamic_max"]:
        return False
    for vbd in record["VBDs"]:
        vdi = database.get("VBD", vbd, "VDI")
        if present(vdi):
            sr = database.get("VDI", vdi, "SR")
            if not database.find("PBD", SR=sr, host=host, currently_attached=True):
                return False
    for vif in record["VIFs"]:
        network = database.get("VIF", vif, "network")
        # A network without any PIF is host-internal: it can be made anywhere.
        if database.get("network", network, "PIFs") and not database.find(
            "PIF", network=network, host=host
        ):
            return False
    return True


def place(ctx: Context, record: dict[str, Value]) -> str:
    """The host the machine runs on: its affinity, else where it fits.

    Raises: Fault: ``NO_HOSTS_AVAILABLE``.
    """
    hosts = sorted(ctx.database.refs("host"), key=lambda ref: ref != record["affinity"])
    for host in hosts:
        if _can_run(ctx, record, host):
            return host
    raise Fault("NO_HOSTS_AVAILABLE")


def power_on(ctx: Context, vm: str, *, paused: bool, host: str = "") -> None:
    """Start a halted machine, under the database's lock."""
    with ctx.database.lock:
        record = need_state(ctx, vm, "Halted")
        if record["is_a_template"]:
            raise Fault("VM_IS_TEMPLATE", vm)
        if "start" in record["blocked_operations"]:
            raise Fault("OPERATION_BLOCKED", vm, record["blocked_operations"]["start"])
        if record["current_operations"]:
            operation = next(iter(record["current_operations"].values()))
            raise Fault("OTHER_OPERATION_IN_PROGRESS", "VM", vm, operation)
        check_vcpus(record["VCPUs_max"], record["VCPUs_at_startup"])
        check_memory(record)
        for vbd in record["VBDs"]:
            drive = ctx.database.record("VBD", vbd)
            if present(drive["VDI"]) and drive["mode"] == "RW":
                ctx.toolstack.usage.check(drive["VDI"], "attach")
        _run_on(ctx, vm, host or place(ctx, record), paused=paused)


def _run_on(ctx: Context, vm: str, host: str, *, paused: bool) -> None:
    record = ctx.database.record("VM", vm)
    domid = 1 + max((int(row.values["domid"]) for _, row in ctx.database.rows("VM")), default=0)
    ctx.database.set(
        "VM",
        vm,
        power_state="Paused" if paused else "Running",
        resident_on=host,
        domid=max(1, domid),
        memory_target=record["memory_dynamic_max"],
    )
    for vbd in record["VBDs"]:
        if not ctx.database.get("VBD", vbd, "empty"):
            ctx.database.set("VBD", vbd, currently_attached=True)
    for vif in record["VIFs"]:
        ctx.database.set("VIF", vif, currently_attached=True)
    ctx.database.set(
        "VM_metrics",
        record["metrics"],
        start_time=now(),
        last_updated=now(),
        memory_actual=record["memory_dynamic_max"],
        VCPUs_number=record["VCPUs_at_startup"],
        hvm=record["domain_type"] == "hvm",
        current_domain_type=record["domain_type"],
    )
    publish_memory(ctx.database, host)


def power_off(ctx: Context, vm: str, state: str = "Halted") -> None:
    """Take a machine off its host."""
    with ctx.database.lock:
        record = ctx.database.record("VM", vm)
        host = record["resident_on"]
        ctx.database.set("VM", vm, power_state=state, resident_on=NULL, domid=-1)
        for vbd in record["VBDs"]:
            ctx.database.set("VBD", vbd, currently_attached=False)
        for vif in record["VIFs"]:
            ctx.database.set("VIF", vif, currently_attached=False)
        metrics = record["metrics"]
        ctx.database.set("VM_metrics", metrics, start_time=EPOCH, memory_actual=0)
        if present(host):
            publish_memory(ctx.database, host)


def delay(ctx: Context, seconds: int) -> None:
    """Wait a start or shutdown delay, scaled, or until the lab ends."""
    ctx.toolstack.stopping.wait(seconds * ctx.toolstack.modes.delay_scale)


def _driven(ctx: Context, vm: str, feature: str) -> None:
    guest = ctx.database.get("VM", vm, "guest_metrics")
    if not present(guest) or not ctx.database.get("VM_guest_metrics", guest, "PV_drivers_detected"):
        raise Fault(f"VM_LACKS_FEATURE{feature}", vm)


@call("VM.start", "ref VM", "bool", "bool", blocking=True)
def start(ctx: Context, vm: str, paused: bool, force: bool) -> None:
    """Start it wherever it fits, and wait its start delay."""
    power_on(ctx, vm, paused=paused)
    delay(ctx, ctx.database.get("VM", vm, "start_delay"))


@call("VM.start_on", "ref VM", "ref host", "bool", "bool", blocking=True)
def start_on(ctx: Context, vm: str, host: str, paused: bool, force: bool) -> None:
    """Start it on that host."""
    with ctx.database.lock:
        ctx.database.row("host", host)
        if not _can_run(ctx, ctx.database.record("VM", vm), host):
            needed = ctx.database.get("VM", vm, "memory_dynamic_max")
            available = str(free_memory(ctx.database, host))
            raise Fault("HOST_NOT_ENOUGH_FREE_MEMORY", str(needed), available)
        power_on(ctx, vm, paused=paused, host=host)
    delay(ctx, ctx.database.get("VM", vm, "start_delay"))


@call("VM.hard_shutdown", "ref VM")
def hard_shutdown(ctx: Context, vm: str) -> None:
    """Pull the plug; a suspended machine loses its state."""
    record = need_state(ctx, vm, "Running", "Paused", "Suspended")
    power_off(ctx, vm)
    if present(record["suspend_VDI"]):
        ctx.database.set("VM", vm, suspend_VDI=NULL)
        ctx.database.destroy("VDI", record["suspend_VDI"])


@call("VM.clean_shutdown", "ref VM", blocking=True)
def clean_shutdown(ctx: Context, vm: str) -> None:
    """Ask the guest; one without drivers cannot be asked."""
    with ctx.database.lock:
        record = need_state(ctx, vm, "Running")
        _driven(ctx, vm, "_SHUTDOWN")
        # As xapi shows it while the guest takes its time, whoever still waits for the answer.
        ctx.database.set("VM", vm, current_operations={f"{vm}/shutdown": "clean_shutdown"})
    try:
        delay(ctx, record["shutdown_delay"])
        power_off(ctx, vm)
    finally:
        ctx.database.set("VM", vm, current_operations={})


@call("VM.shutdown", "ref VM", blocking=True)
def shutdown(ctx: Context, vm: str) -> None:
    """Ask the guest, else pull the plug."""
    try:
        clean_shutdown(ctx, vm)
    except Fault as fault:
        if not fault.code.startswith("VM_LACKS_FEATURE"):
            raise
        with ctx.database.lock:
            hard_shutdown(ctx, vm)


@call("VM.hard_reboot", "ref VM")
def hard_reboot(ctx: Context, vm: str) -> None:
    """Off and on again."""
    record = need_state(ctx, vm, "Running", "Paused")
    power_off(ctx, vm)
    _run_on(ctx, vm, record["resident_on"], paused=False)


@call("VM.clean_reboot", "ref VM")
def clean_reboot(ctx: Context, vm: str) -> None:
    """Ask the guest to restart."""
    need_state(ctx, vm, "Running")
    _driven(ctx, vm, "")
    hard_reboot(ctx, vm)


@call("VM.pause", "ref VM")
def pause(ctx: Context, vm: str) -> None:
    """Stop its processors."""
    need_state(ctx, vm, "Running")
    ctx.database.set("VM", vm, power_state="Paused")


@call("VM.unpause", "ref VM")
def unpause(ctx: Context, vm: str) -> None:
    """Let them run."""
    need_state(ctx, vm, "Paused")
    ctx.database.set("VM", vm, power_state="Running")


@call("VM.suspend", "ref VM")
def suspend(ctx: Context, vm: str) -> None:
    """Memory into a disk of type ``suspend``, machine off its host."""
    record = need_state(ctx, vm, "Running")
    _driven(ctx, vm, "_SUSPEND")
    pool = ctx.database.refs("pool")[0]
    sr = record["suspend_SR"]
    if not present(sr):
        sr = ctx.database.get("pool", pool, "default_SR")
    vdi = create_vdi(
        ctx,
        {
            "name_label": "Suspend image",
            "SR": sr,
            "virtual_size": record["memory_dynamic_max"],
            "type": "suspend",
            "sharable": False,
            "read_only": False,
            "other_config": {},
        },
    )
    power_off(ctx, vm, "Suspended")
    ctx.database.set("VM", vm, suspend_VDI=vdi)


@call("VM.resume", "ref VM", "bool", "bool")
def resume(ctx: Context, vm: str, paused: bool, force: bool) -> None:
    """On again from its memory; the suspend disk goes."""
    record = need_state(ctx, vm, "Suspended")
    _run_on(ctx, vm, place(ctx, record), paused=paused)
    ctx.database.set("VM", vm, suspend_VDI=NULL)
    if present(record["suspend_VDI"]):
        uuid = ctx.database.get("VDI", record["suspend_VDI"], "uuid")
        ctx.database.destroy("VDI", record["suspend_VDI"])
        ctx.toolstack.disks.delete(uuid)
