"""Floor 8 of the Django integration: what ``manage.py`` runs."""
