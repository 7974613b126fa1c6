"""Networks: network, PIF.

Field names, types and defaults follow XenServer's published data model (``doc/data/xenapi.json``).
"""

from kensho_tui.lab.xen.schema.table import table

NETWORK = table(
    "network",
    """
uuid : string : dyn
name_label : string : rw : ""
name_description : string : rw : ""
allowed_operations : set string : dyn : []
current_operations : map string : dyn : {}
VIFs : set ref VIF : dyn
PIFs : set ref PIF : dyn
MTU : int : rw : 1500
other_config : map string : rw
bridge : string : ro : ""
managed : bool : ro : true
blobs : map ref blob : dyn : {}
tags : set string : rw : []
default_locking_mode : enum unlocked,disabled : dyn+ : "unlocked"
assigned_ips : map string : dyn : {}
purpose : set enum nbd,insecure_nbd : dyn : []
""",
)

PIF = table(
    "PIF",
    """
uuid : string : dyn
device : string : ro
network : ref network : ro
host : ref host : ro
MAC : string : ro
MTU : int : ro
VLAN : int : ro
metrics : ref PIF_metrics : dyn
physical : bool : dyn : false
currently_attached : bool : dyn : true
ip_configuration_mode : enum None,DHCP,Static : dyn : "None"
IP : string : dyn : ""
netmask : string : dyn : ""
gateway : string : dyn : ""
DNS : string : dyn : ""
bond_slave_of : ref Bond : dyn : "OpaqueRef:NULL"
bond_master_of : set ref Bond : dyn
VLAN_master_of : ref VLAN : dyn : "OpaqueRef:NULL"
VLAN_slave_of : set ref VLAN : dyn
management : bool : dyn : false
other_config : map string : rw : {}
disallow_unplug : bool : dyn+ : false
tunnel_access_PIF_of : set ref tunnel : dyn
tunnel_transport_PIF_of : set ref tunnel : dyn
ipv6_configuration_mode : enum None,DHCP,Static,Autoconf : dyn : "None"
IPv6 : set string : dyn : []
ipv6_gateway : string : dyn : ""
primary_address_type : enum IPv4,IPv6 : dyn+ : "IPv4"
managed : bool : ro : true
properties : map string : dyn : {}
capabilities : set string : dyn : []
igmp_snooping_status : enum enabled,disabled,unknown : dyn : "unknown"
sriov_physical_PIF_of : set ref network_sriov : dyn
sriov_logical_PIF_of : set ref network_sriov : dyn
PCI : ref PCI : dyn : "OpaqueRef:NULL"
""",
)
