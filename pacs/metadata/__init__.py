"""Data sets without their bulk, as the web asks for them (PS3.18 10.4.1.1.2)."""
