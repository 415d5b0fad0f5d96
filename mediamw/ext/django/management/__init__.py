"""Floor 10 of the Django integration: what ``manage.py`` runs."""
