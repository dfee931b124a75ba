"""The local machine engine: every machine a real virtual machine on this host, run by QEMU through libvirt."""
