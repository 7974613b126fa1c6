"""What a client brings along: session, task.

Field names, types and defaults follow XenServer's published data model (``doc/data/xenapi.json``).
"""

from kensho_tui.lab.xen.schema.table import table

SESSION = table(
    "session",
    """
uuid : string : dyn
this_host : ref host : dyn
this_user : ref user : dyn
last_active : datetime : dyn
pool : bool : dyn
other_config : map string : rw : {}
is_local_superuser : bool : dyn : false
subject : ref subject : dyn : "OpaqueRef:NULL"
validation_time : datetime : dyn : "19700101T00:00:00Z"
auth_user_sid : string : dyn : ""
auth_user_name : string : dyn : ""
rbac_permissions : set string : ro : []
tasks : set ref task : dyn
parent : ref session : ro : "OpaqueRef:NULL"
originator : string : dyn : ""
client_certificate : bool : dyn : false
""",
    events=False,
)

TASK = table(
    "task",
    """
uuid : string : dyn
name_label : string : dyn : ""
name_description : string : dyn : ""
allowed_operations : set string : dyn : []
current_operations : map string : dyn : {}
created : datetime : dyn
finished : datetime : dyn
status : enum pending,success,failure,cancelling,cancelled : dyn+
resident_on : ref host : dyn
progress : float : dyn+
type : string : dyn
result : string : dyn+
error_info : set string : dyn+
other_config : map string : rw : {}
subtask_of : ref task : dyn : "OpaqueRef:NULL"
subtasks : set ref task : dyn
backtrace : string : dyn : "()"
""",
)
