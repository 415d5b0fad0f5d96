"""Fresh projects in a new environment: what test_quickstarts.py and test_wagtail.py share."""
