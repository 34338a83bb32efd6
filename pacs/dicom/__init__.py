"""Rules of the Standard, pure: no I/O beyond a buffer."""
