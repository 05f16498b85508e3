"""Abstract bases of our tables."""

import uuid

from django.db import models


class UUIDModel(models.Model):
    """A row named by a random UUID, as every id on the wire is."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)

    class Meta:
        abstract = True


class StampedModel(UUIDModel):
    """A row that knows when it was made and last changed."""

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
