"""Reconcilers, executor and loop: what is done with a document and a snapshot."""
