"""Prices of machines, from where they can be had."""
