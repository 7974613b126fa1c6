"""What the operator sees: one screen a file, its style sheet beside it.

A screen asks the runner or a platform in a thread, gets a typed message back, and shows it. It holds
no job, no platform's logic and no XML.
"""
