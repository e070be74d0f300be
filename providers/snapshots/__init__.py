"""Where the servers' snapshots are kept: a directory of this machine, a prefix in S3, or a sandbox's memory."""
