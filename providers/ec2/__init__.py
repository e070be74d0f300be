"""EC2 through boto3, behind the reconciler's port; nothing here imports boto3 before the first call."""
