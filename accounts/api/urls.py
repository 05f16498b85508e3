"""The addresses under `/api/v1`."""

from django.urls import path

from accounts.api import auth, schema, users

__all__ = ["schema", "urlpatterns"]  # importing the schema makes our way of signing in known to it

urlpatterns = [
    path("auth/register", auth.RegisterView.as_view()),
    path("auth/login", auth.LoginView.as_view()),
    path("auth/logout", auth.LogoutView.as_view()),
    path("auth/refresh", auth.RefreshView.as_view()),
    path("auth/ws-ticket", auth.TicketView.as_view()),
    path("users/me", users.MeView.as_view()),
]
