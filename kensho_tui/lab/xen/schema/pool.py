"""The pool itself: pool, host, host_metrics.

Field names, types and defaults follow XenServer's published data model (``doc/data/xenapi.json``).
"""

from kensho_tui.lab.xen.schema.table import table

POOL = table(
    "pool",
    """
uuid : string : dyn
name_label : string : rw
name_description : string : rw
master : ref host : dyn
default_SR : ref SR : rw
suspend_image_SR : ref SR : rw
crash_dump_SR : ref SR : rw
other_config : map string : rw
ha_enabled : bool : dyn : false
ha_configuration : map string : dyn : {}
ha_statefiles : set string : dyn : []
ha_host_failures_to_tolerate : int : dyn+ : 0
ha_plan_exists_for : int : dyn : 0
ha_allow_overcommit : bool : rw : false
ha_overcommitted : bool : dyn : false
blobs : map ref blob : dyn : {}
tags : set string : rw : []
gui_config : map string : rw : {}
health_check_config : map string : rw : {}
wlb_url : string : dyn : ""
wlb_username : string : dyn : ""
wlb_enabled : bool : rw : false
wlb_verify_cert : bool : rw : false
redo_log_enabled : bool : dyn : false
redo_log_vdi : ref VDI : dyn : "OpaqueRef:NULL"
vswitch_controller : string : dyn+ : ""
restrictions : map string : dyn : {}
metadata_VDIs : set ref VDI : dyn
ha_cluster_stack : string : dyn : ""
allowed_operations : set string : dyn : []
current_operations : map string : dyn : {}
guest_agent_config : map string : dyn : {}
cpu_info : map string : dyn : {}
policy_no_vendor_device : bool : rw : false
live_patching_disabled : bool : rw : false
igmp_snooping_enabled : bool : dyn+ : false
uefi_certificates : string : ro+ : ""
is_psr_pending : bool : rw : false
tls_verification_enabled : bool : dyn : false
repositories : set ref Repository : dyn+ : []
client_certificate_auth_enabled : bool : dyn : false
client_certificate_auth_name : string : dyn : ""
repository_proxy_url : string : dyn : ""
repository_proxy_username : string : dyn : ""
repository_proxy_password : ref secret : dyn : "OpaqueRef:NULL"
coordinator_bias : bool : rw : true
""",
)

HOST = table(
    "host",
    """
uuid : string : dyn
name_label : string : rw : ""
name_description : string : rw : ""
memory_overhead : int : dyn : 0
allowed_operations : set string : dyn : []
current_operations : map string : dyn : {}
API_version_major : int : dyn
API_version_minor : int : dyn
API_version_vendor : string : dyn
API_version_vendor_implementation : map string : dyn
enabled : bool : dyn
software_version : map string : ro
other_config : map string : rw
capabilities : set string : ro
cpu_configuration : map string : dyn
sched_policy : string : dyn
supported_bootloaders : set string : dyn
resident_VMs : set ref VM : dyn
logging : map string : rw
PIFs : set ref PIF : dyn
suspend_image_sr : ref SR : rw
crash_dump_sr : ref SR : rw
crashdumps : set ref host_crashdump : dyn
patches : set ref host_patch : dyn
updates : set ref pool_update : dyn
PBDs : set ref PBD : dyn
host_CPUs : set ref host_cpu : dyn
cpu_info : map string : dyn : {}
hostname : string : rw
address : string : rw
metrics : ref host_metrics : dyn
license_params : map string : dyn
ha_statefiles : set string : dyn : []
ha_network_peers : set string : dyn : []
blobs : map ref blob : dyn : {}
tags : set string : rw : []
external_auth_type : string : dyn : ""
external_auth_service_name : string : dyn : ""
external_auth_configuration : map string : dyn : {}
edition : string : dyn : ""
license_server : map string : rw : {}
bios_strings : map string : dyn : {}
power_on_mode : string : dyn+ : ""
power_on_config : map string : dyn : {}
local_cache_sr : ref SR : ro : "OpaqueRef:NULL"
chipset_info : map string : dyn : {}
PCIs : set ref PCI : dyn
PGPUs : set ref PGPU : dyn
PUSBs : set ref PUSB : dyn
ssl_legacy : bool : ro+ : true
guest_VCPUs_params : map string : rw : {}
display : enum enabled,disable_on_reboot,disabled,enable_on_reboot : rw : "enabled"
virtual_hardware_platform_versions : set int : dyn : []
control_domain : ref VM : dyn : "OpaqueRef:NULL"
updates_requiring_reboot : set ref pool_update : dyn
features : set ref Feature : dyn
iscsi_iqn : string : ro+ : ""
multipathing : bool : ro+ : false
uefi_certificates : string : ro+ : ""
certificates : set ref Certificate : dyn
editions : set string : dyn : []
pending_guidances : set string : dyn : []
tls_verification_enabled : bool : dyn : false
""",
)

HOST_METRICS = table(
    "host_metrics",
    """
uuid : string : dyn
memory_total : int : dyn
memory_free : int : dyn : 0
live : bool : dyn
last_updated : datetime : dyn
other_config : map string : rw : {}
""",
)
