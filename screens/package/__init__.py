"""The editor of OVF packages: a tree of what is in one, a form for the node under the cursor, and saving it.

It shows `kensho_tui.ovf.outline` and knows no XML.
"""
