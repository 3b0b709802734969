"""Use cases that only ask: what is wrong with a store and the project around it (``examination.examine``), and
everything about one image (``image``).

Nothing is imported here: the system checks use ``site`` at every start.
"""
