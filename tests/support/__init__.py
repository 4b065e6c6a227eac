"""Helpers that tests share; imported as ``support``, because pytest puts this folder's parent on the path."""
