"""Machines and what hangs on them: VM, its metrics, VM_appliance, VBD, VIF, VTPM.

Field names, types and defaults follow XenServer's published data model (``doc/data/xenapi.json``).
"""

from kensho_tui.lab.xen.schema.table import table

VM = table(
    "VM",
    """
uuid : string : dyn
allowed_operations : set string : dyn : []
current_operations : map string : dyn : {}
name_label : string : rw : ""
name_description : string : rw : ""
power_state : enum Halted,Paused,Running,Suspended : ro : "Halted"
user_version : int : rw
is_a_template : bool : rw
is_default_template : bool : dyn : false
suspend_VDI : ref VDI : ro+ : "OpaqueRef:NULL"
resident_on : ref host : dyn
scheduled_to_be_resident_on : ref host : dyn : "OpaqueRef:NULL"
affinity : ref host : rw
memory_overhead : int : dyn : 0
memory_target : int : ro : 0
memory_static_max : int : ro+
memory_dynamic_max : int : ro+
memory_dynamic_min : int : ro+
memory_static_min : int : ro+
VCPUs_params : map string : rw
VCPUs_max : int : ro+
VCPUs_at_startup : int : ro+
actions_after_shutdown : enum destroy,restart : rw
actions_after_reboot : enum destroy,restart : rw
actions_after_crash : enum destroy,coredump_and_destroy,restart,coredump_and_restart,preserve,rename_restart : ro+
consoles : set ref console : dyn
VIFs : set ref VIF : dyn
VBDs : set ref VBD : dyn
VUSBs : set ref VUSB : dyn
crash_dumps : set ref crashdump : dyn
VTPMs : set ref VTPM : dyn
PV_bootloader : string : rw
PV_kernel : string : rw
PV_ramdisk : string : rw
PV_args : string : rw
PV_bootloader_args : string : rw
PV_legacy_args : string : rw
HVM_boot_policy : string : ro+
HVM_boot_params : map string : rw
HVM_shadow_multiplier : float : ro+ : 1.0
platform : map string : rw
PCI_bus : string : rw
other_config : map string : rw
domid : int : dyn
domarch : string : dyn
last_boot_CPU_flags : map string : ro : {}
is_control_domain : bool : dyn
metrics : ref VM_metrics : dyn
guest_metrics : ref VM_guest_metrics : dyn
last_booted_record : string : ro : ""
recommendations : string : rw
xenstore_data : map string : rw : {}
ha_always_run : bool : ro+ : false
ha_restart_priority : string : ro+ : ""
is_a_snapshot : bool : dyn : false
snapshot_of : ref VM : dyn : "OpaqueRef:NULL"
snapshots : set ref VM : dyn
snapshot_time : datetime : dyn : "19700101T00:00:00Z"
transportable_snapshot_id : string : dyn : ""
blobs : map ref blob : dyn : {}
tags : set string : rw : []
blocked_operations : map string : rw : {}
snapshot_info : map string : dyn : {}
snapshot_metadata : string : dyn : ""
parent : ref VM : dyn : "OpaqueRef:NULL"
children : set ref VM : dyn
bios_strings : map string : dyn+ : {}
protection_policy : ref VMPP : ro+ : "OpaqueRef:NULL"
is_snapshot_from_vmpp : bool : ro : false
snapshot_schedule : ref VMSS : ro+ : "OpaqueRef:NULL"
is_vmss_snapshot : bool : ro : false
appliance : ref VM_appliance : ro+ : "OpaqueRef:NULL"
start_delay : int : ro+ : 0
shutdown_delay : int : ro+ : 0
order : int : ro+ : 0
VGPUs : set ref VGPU : dyn
attached_PCIs : set ref PCI : dyn
suspend_SR : ref SR : rw : "OpaqueRef:NULL"
version : int : ro : 0
generation_id : string : ro : "0:0"
hardware_platform_version : int : rw : 0
has_vendor_device : bool : ro+ : false
requires_reboot : bool : dyn : false
reference_label : string : ro : ""
domain_type : enum hvm,pv,pv_in_pvh,pvh,unspecified : ro+ : "unspecified"
NVRAM : map string : ro+ : {}
pending_guidances : set string : dyn : []
""",  # noqa: E501
)

VM_METRICS = table(
    "VM_metrics",
    """
uuid : string : dyn
memory_actual : int : dyn
VCPUs_number : int : dyn
VCPUs_utilisation : map float : dyn : {}
VCPUs_CPU : map int : dyn
VCPUs_params : map string : dyn
VCPUs_flags : map set string : dyn
state : set string : dyn
start_time : datetime : dyn
install_time : datetime : dyn
last_updated : datetime : dyn
other_config : map string : rw : {}
hvm : bool : dyn : false
nested_virt : bool : dyn : false
nomigrate : bool : dyn : false
current_domain_type : enum hvm,pv,pv_in_pvh,pvh,unspecified : dyn : "unspecified"
""",
)

VM_GUEST_METRICS = table(
    "VM_guest_metrics",
    """
uuid : string : dyn
os_version : map string : dyn
PV_drivers_version : map string : dyn
PV_drivers_up_to_date : bool : dyn
memory : map string : dyn : {}
disks : map string : dyn : {}
networks : map string : dyn
other : map string : dyn
last_updated : datetime : dyn
other_config : map string : rw : {}
live : bool : dyn : false
can_use_hotplug_vbd : enum yes,no,unspecified : dyn : "unspecified"
can_use_hotplug_vif : enum yes,no,unspecified : dyn : "unspecified"
PV_drivers_detected : bool : dyn : false
""",
)

VM_APPLIANCE = table(
    "VM_appliance",
    """
uuid : string : dyn
name_label : string : rw : ""
name_description : string : rw : ""
allowed_operations : set string : dyn : []
current_operations : map string : dyn : {}
VMs : set ref VM : dyn
""",
)

VBD = table(
    "VBD",
    """
uuid : string : dyn
allowed_operations : set string : dyn : []
current_operations : map string : dyn : {}
VM : ref VM : ro
VDI : ref VDI : ro
device : string : ro : ""
userdevice : string : rw
bootable : bool : rw
mode : enum RO,RW : ro+
type : enum CD,Disk,Floppy : rw
unpluggable : bool : rw : true
storage_lock : bool : dyn
empty : bool : ro
other_config : map string : rw
currently_attached : bool : ro : false
status_code : int : dyn
status_detail : string : dyn
runtime_properties : map string : dyn
qos_algorithm_type : string : rw
qos_algorithm_params : map string : rw
qos_supported_algorithms : set string : dyn
metrics : ref VBD_metrics : dyn : "OpaqueRef:NULL"
""",
)

VIF = table(
    "VIF",
    """
uuid : string : dyn
allowed_operations : set string : dyn : []
current_operations : map string : dyn : {}
device : string : ro
network : ref network : ro
VM : ref VM : ro
MAC : string : ro
MTU : int : ro
other_config : map string : rw
currently_attached : bool : ro : false
status_code : int : dyn
status_detail : string : dyn
runtime_properties : map string : dyn
qos_algorithm_type : string : rw
qos_algorithm_params : map string : rw
qos_supported_algorithms : set string : dyn
metrics : ref VIF_metrics : dyn : "OpaqueRef:NULL"
MAC_autogenerated : bool : dyn : false
locking_mode : enum network_default,locked,unlocked,disabled : ro+ : "network_default"
ipv4_allowed : set string : ro+ : []
ipv6_allowed : set string : ro+ : []
ipv4_configuration_mode : enum None,Static : dyn : "None"
ipv4_addresses : set string : dyn : []
ipv4_gateway : string : dyn : ""
ipv6_configuration_mode : enum None,Static : dyn : "None"
ipv6_addresses : set string : dyn : []
ipv6_gateway : string : dyn : ""
""",
)

VTPM = table(
    "VTPM",
    """
uuid : string : dyn
allowed_operations : set string : dyn : []
current_operations : map string : dyn : {}
VM : ref VM : ro
backend : ref VM : dyn : "OpaqueRef:NULL"
persistence_backend : enum xapi : dyn : "xapi"
is_unique : bool : ro : false
is_protected : bool : dyn : false
contents : ref secret : dyn
""",
)
