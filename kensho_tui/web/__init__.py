"""Files on web servers as streams of bytes: read by ranges, known by what the server says they are.

Knows nothing of packages or disks. Trust, pins and passwords are those of connections.
"""
