"""The nouns: a person, a device they signed in on, and a line of the audit trail."""

from accounts.models.audit import AuditAction, AuditEntry
from accounts.models.device import Device
from accounts.models.user import User

__all__ = ["AuditAction", "AuditEntry", "Device", "User"]
