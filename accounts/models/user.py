"""A person. They may have no e-mail address and no password: some sign in through another service only."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.validators import URLValidator
from django.db import models

from chatplatform.kernel.models import StampedModel
from chatplatform.kernel.words import words

web_address = URLValidator(schemes=["http", "https"])


class CaselessEmailField(models.EmailField):  # type: ignore[type-arg]
    """An e-mail address, kept and looked up in lower case, so that a capital letter does not make a second person."""

    def to_python(self, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> Any:
        return self.to_python(super().get_prep_value(value))

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = self.to_python(super().pre_save(model_instance, add))
        setattr(model_instance, self.attname, value)
        return value


class UserManager(BaseUserManager["User"]):
    """Makes people. A missing password becomes one that nothing matches."""

    def create_user(self, email: str | None = None, password: str | None = None, **fields: Any) -> "User":
        """A new person; IntegrityError if the e-mail address is taken."""
        user = self.model(email=email or None, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A new operator who may do everything."""
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **fields})


class User(AbstractBaseUser, PermissionsMixin, StampedModel):
    """A person who can sign in. Only `active` ones get anywhere; the others look to the outside as if unknown."""

    class Status(models.TextChoices):
        """What an account may do: everything, or nothing."""

        ACTIVE = "active", words("Active", "正常")
        SUSPENDED = "suspended", words("Suspended", "已停用")
        DELETED = "deleted", words("Deleted", "已注销")

    email = CaselessEmailField(words("e-mail address", "邮箱"), max_length=255, unique=True, null=True, blank=True)
    password = models.CharField(words("password", "密码"), max_length=255, db_column="password_hash")
    nickname = models.CharField(words("nickname", "昵称"), max_length=100, blank=True, default="")
    # Plain text with the check of a web address: the ready-made field would take ftp as well.
    avatar_url = models.CharField(
        words("avatar", "头像"), max_length=500, blank=True, default="", validators=[web_address]
    )
    status = models.CharField(words("status", "状态"), max_length=20, choices=Status, default=Status.ACTIVE)
    settings = models.JSONField(words("preferences", "偏好设置"), default=dict, blank=True)
    is_staff = models.BooleanField(words("may enter the admin", "可进入后台"), default=False)
    last_login = models.DateTimeField(
        words("last sign-in", "最近登录"), db_column="last_login_at", null=True, blank=True, editable=False
    )

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        db_table = "users"
        verbose_name = words("person", "用户")
        verbose_name_plural = words("people", "用户")

    def __str__(self) -> str:
        return self.email or self.nickname or str(self.pk)

    @property
    def is_active(self) -> bool:  # type: ignore[override]
        """Django's name for it: may this person be signed in at all?"""
        return self.status == self.Status.ACTIVE
