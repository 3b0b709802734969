"""The fault lab: a server that plays every answer that S3 is known to give, good and bad, on a real socket, and
the run that shows how each is judged. ``imagesync_doctor --self-test`` runs it; so do the tests in tests/faults.

One table drives it (``table.py``); adding an answer is adding a row.
"""
