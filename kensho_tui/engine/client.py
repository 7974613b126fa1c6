"""The client of the runner: what screens, commands and the CIM face use."""
