"""Stand-ins of platforms on loopback, for the demo, the pictures and the tests. Nothing imports it."""
