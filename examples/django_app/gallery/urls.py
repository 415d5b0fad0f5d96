from __future__ import annotations

from django.urls import path

from . import views

urlpatterns = [
    path("", views.Index.as_view(), name="index"),
    path("pictures/upload/", views.Upload.as_view(), name="upload"),
    path("pictures/<int:pk>/", views.Detail.as_view(), name="picture"),
    path("pictures/<int:pk>/delete/", views.Delete.as_view(), name="delete"),
]
