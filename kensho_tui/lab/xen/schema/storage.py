"""Storage: VDI, SR, PBD, SM.

Field names, types and defaults follow XenServer's published data model (``doc/data/xenapi.json``).
"""

from kensho_tui.lab.xen.schema.table import table

VDI = table(
    "VDI",
    """
uuid : string : dyn
name_label : string : ro+ : ""
name_description : string : ro+ : ""
allowed_operations : set string : dyn : []
current_operations : map string : dyn : {}
SR : ref SR : ro
VBDs : set ref VBD : dyn
crash_dumps : set ref crashdump : dyn
virtual_size : int : ro
physical_utilisation : int : dyn
type : enum system,user,ephemeral,suspend,crashdump,ha_statefile,metadata,redo_log,rrd,cbt_metadata : ro
sharable : bool : ro+
read_only : bool : ro+
other_config : map string : rw
storage_lock : bool : dyn
location : string : dyn : ""
managed : bool : dyn
missing : bool : dyn
parent : ref VDI : dyn
xenstore_data : map string : rw : {}
sm_config : map string : rw : {}
is_a_snapshot : bool : dyn : false
snapshot_of : ref VDI : dyn : "OpaqueRef:NULL"
snapshots : set ref VDI : dyn
snapshot_time : datetime : dyn : "19700101T00:00:00Z"
tags : set string : rw : []
allow_caching : bool : dyn+ : false
on_boot : enum reset,persist : dyn+ : "persist"
metadata_of_pool : ref pool : dyn : "OpaqueRef:NULL"
metadata_latest : bool : dyn : false
is_tools_iso : bool : dyn : false
cbt_enabled : bool : dyn : false
""",
)

SR = table(
    "SR",
    """
uuid : string : dyn
name_label : string : ro+ : ""
name_description : string : ro+ : ""
allowed_operations : set string : dyn : []
current_operations : map string : dyn : {}
VDIs : set ref VDI : dyn
PBDs : set ref PBD : dyn
virtual_allocation : int : dyn
physical_utilisation : int : dyn
physical_size : int : ro+
type : string : ro
content_type : string : ro
shared : bool : dyn+
other_config : map string : rw
tags : set string : rw : []
sm_config : map string : rw : {}
blobs : map ref blob : dyn : {}
local_cache_enabled : bool : dyn : false
introduced_by : ref DR_task : dyn : "OpaqueRef:NULL"
clustered : bool : dyn : false
is_tools_sr : bool : dyn : false
""",
)

PBD = table(
    "PBD",
    """
uuid : string : dyn
host : ref host : ro
SR : ref SR : ro
device_config : map string : ro+
currently_attached : bool : dyn
other_config : map string : rw : {}
""",
)

SM = table(
    "SM",
    """
uuid : string : dyn
name_label : string : dyn : ""
name_description : string : dyn : ""
type : string : dyn
vendor : string : dyn
copyright : string : dyn
version : string : dyn
required_api_version : string : dyn
configuration : map string : dyn
capabilities : set string : dyn : []
features : map int : dyn : {}
other_config : map string : rw : {}
driver_filename : string : dyn : ""
required_cluster_stack : set string : dyn : []
supported_image_formats : set enum raw,vhd,qcow2 : dyn : []
""",
)
