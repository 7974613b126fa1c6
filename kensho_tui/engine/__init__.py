"""Who runs a job, and how it survives: journal, supervisor, worker and client.

The work runs outside the terminal's process: closing the terminal does not touch it.
"""
