"""What the operator sees. One screen a file, its styles beside it; shared widgets in `screens.widgets`."""
