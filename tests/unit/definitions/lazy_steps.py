"""A module whose names are made when they are asked for, and cannot be made."""


def __getattr__(name):
    return 1 / 0
