"""The addresses under `/api/v1`."""

from django.urls import path

from conversations.api import messages, sessions

urlpatterns = [
    path("sessions", sessions.SessionsView.as_view()),
    path("sessions/<uuid:session_id>", sessions.SessionView.as_view()),
    path("messages/session/<uuid:session_id>", messages.HistoryView.as_view()),
    path("messages/<uuid:message_id>", messages.MessageView.as_view()),
]
