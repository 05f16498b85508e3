"""A generation: one run of one model for one reply, and the only record of how far it got.

    queued ──► running ──► completed    a finish reason was seen and all text is stored
      │          ├───────► stopped      a person's stop won the race; the partial text is kept
      │          ├───────► failed       no usable text, and an error that says why
      │          └───────► interrupted  partial text kept: the vendor broke off, or the worker went away
      ├──► stopped
      └──► failed

Every arrow is one counted update on (id, attempt, status): of two who try, one wins, and a terminal state is never
left. These six words are the row's states and the wire's `status`.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from chatplatform.kernel.models import UUIDModel
from chatplatform.kernel.words import words


class GenerationQuerySet(models.QuerySet["Generation"]):
    def alive(self) -> "GenerationQuerySet":
        """Those that have not ended."""
        return self.filter(status__in=(Generation.Status.QUEUED, Generation.Status.RUNNING))

    def whole(self) -> "GenerationQuerySet":
        """With everything that its events name, so that nothing is fetched later, on the event loop."""
        return self.select_related("message", "model", "turn", "continued_from__message")

    def ask_to_stop(self) -> list["Generation"]:
        """Store the wish that these stop, those that are still alive; what is to be nudged."""
        wanted = list(self.alive())
        Generation.objects.alive().filter(pk__in=[one.pk for one in wanted], stop_requested_at=None).update(
            stop_requested_at=Now()
        )
        return wanted

    def claim(self, generation_id: UUID, *, owner: str) -> bool:
        """Take a queued generation for the worker `owner`. False if somebody else has it, or it ended meanwhile."""
        return bool(
            self.filter(pk=generation_id, status=Generation.Status.QUEUED).update(
                status=Generation.Status.RUNNING, owner=owner, claimed_at=Now(), lease_until=lease_end()
            )
        )

    def end(self, generation: "Generation", *, status: str, **fields: Any) -> bool:
        """Move a live generation to a terminal state. False if it has ended, or a later attempt has taken over."""
        current = self.alive().filter(pk=generation.pk, attempt=generation.attempt)
        return bool(current.update(status=status, finished_at=Now(), **fields))


def lease_end() -> Any:
    """The database's own clock plus the lease: workers' clocks may differ, the database has one."""
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)


class Generation(UUIDModel):
    """One run of one model. The row is the truth; the log and the hub only carry it to the screen."""

    class Status(models.TextChoices):
        QUEUED = "queued", words("queued", "排队中")
        RUNNING = "running", words("running", "生成中")
        COMPLETED = "completed", words("completed", "已完成")
        STOPPED = "stopped", words("stopped", "已停止")
        FAILED = "failed", words("failed", "失败")
        INTERRUPTED = "interrupted", words("interrupted", "中断")

    conversation = models.ForeignKey("conversations.Conversation", models.CASCADE, related_name="generations")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    turn = models.ForeignKey("conversations.Message", models.CASCADE, related_name="replies")
    message = models.OneToOneField("conversations.Message", models.CASCADE, related_name="generation")
    model = models.ForeignKey("providers.AIModel", models.SET_NULL, null=True, related_name="+")
    params = models.JSONField(default=dict, blank=True)
    # The run whose text this one goes on from; its own text begins with that one's.
    continued_from = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="+")

    status = models.CharField(max_length=20, choices=Status, default=Status.QUEUED)
    attempt = models.PositiveIntegerField(default=1)
    owner = models.CharField(max_length=128, blank=True)
    lease_until = models.DateTimeField(null=True)
    stop_requested_at = models.DateTimeField(null=True)

    # The number of the last event that the stored text covers; at the end, the number of the terminal event.
    seq = models.PositiveIntegerField(default=0)
    finish_reason = models.CharField(max_length=30, blank=True)
    error_code = models.CharField(max_length=50, blank=True)
    length = models.PositiveIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)

    vendor = models.CharField(max_length=50, blank=True)
    key_id = models.UUIDField(null=True)
    usage_estimated = models.BooleanField(default=False)

    created_at = models.DateTimeField(auto_now_add=True)
    claimed_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    first_delta_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # What happened besides text, `[{at, type, …}]`: for whoever asks later why a reply was slow or short.
    timeline = models.JSONField(default=list)

    objects = GenerationQuerySet.as_manager()

    class Meta:
        db_table = "generations"
        verbose_name = words("generation", "生成")
        verbose_name_plural = words("generations", "生成")
        indexes = [
            models.Index(fields=["conversation", "-created_at"], name="idx_generations_session"),
            models.Index(
                fields=["lease_until"],
                name="idx_generations_alive",
                condition=models.Q(status__in=("queued", "running")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk} ({self.status})"

    @property
    def can_be_continued(self) -> bool:
        """Whether it ended before the model had said everything."""
        cut = (self.Status.STOPPED, self.Status.INTERRUPTED)
        return self.status in cut or (self.status == self.Status.COMPLETED and self.finish_reason == "length")

    @property
    def ended(self) -> bool:
        """Whether this is a terminal state."""
        return self.status not in (self.Status.QUEUED, self.Status.RUNNING)
