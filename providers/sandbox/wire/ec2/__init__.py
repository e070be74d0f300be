"""The simulated account behind EC2's query API, for boto3, the AWS CLI and whoever else speaks it."""
