"""C-GET and C-MOVE (PS3.4 C.4.2, C.4.3): what is asked for, and the C-STORE sub-operations that bring it."""
