"""What EC2, prices and the queue have in common: clients of AWS and how a call is made.

Importing this room imports boto3 (0.4 s), so that only who really talks to AWS should do it.
"""
