"""Scenarios that come with the program: accounts to begin with, and the work that is submitted."""
