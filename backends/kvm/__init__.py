"""KVM and QEMU by libvirt: machines are domains, disks are volumes of a storage pool.

Importing this package loads no vendor library; `PLATFORM.connect` does.
"""

from backends.kvm.platform import PLATFORM

__all__ = ["PLATFORM"]
