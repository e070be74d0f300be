"""Documents in files and directories of this machine."""
