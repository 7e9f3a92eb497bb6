"""Isopach: one set of transforms for the night's files and the day's events.

The rooms (`feeds`, `transforms`, ...) are top-level folders of the repository; the links beside
this file make each of them a subpackage.
"""
