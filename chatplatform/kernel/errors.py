"""Everything that can go wrong, as one tree. Code raises; doors render.

AppError                        500 INTERNAL_ERROR
├── BadRequest                  400 BAD_REQUEST
│   ├── ValidationFailed        400 VALIDATION_FAILED        details: field → problems
│   ├── BadFrame                400 BAD_FRAME
│   └── ContextTooLong          400 CONTEXT_TOO_LONG         details: tokens, window
├── Unauthenticated             401 UNAUTHENTICATED          our sign-in; never a vendor's refusal
│   ├── TokenExpired            401 TOKEN_EXPIRED
│   ├── BadCredentials          401 BAD_CREDENTIALS          wrong e-mail or password, never which
│   └── RefreshTokenReused      401 REFRESH_TOKEN_REUSED     the device has been signed out
├── Forbidden                   403 FORBIDDEN
├── NotFound                    404 NOT_FOUND                missing, or somebody else's
│   └── ModelNotFound           404 MODEL_NOT_FOUND          details: model
├── MethodNotAllowed            405 METHOD_NOT_ALLOWED
├── Conflict                    409 CONFLICT
│   ├── EmailTaken              409 EMAIL_TAKEN
│   ├── DuplicateWithOtherText  409 DUPLICATE_CLIENT_MESSAGE_ID
│   ├── NothingToContinue       409 NOTHING_TO_CONTINUE      the reply is complete, or has no text
│   └── AlreadyGenerating       409 GENERATION_IN_PROGRESS   details: generation_id
├── TooLarge                    413 TOO_LARGE                details: limit
├── UnsupportedMedia            415 UNSUPPORTED_MEDIA_TYPE
├── Unprocessable               422 UNPROCESSABLE
│   ├── KeyRejected             422 INVALID_API_KEY          a vendor refused the key; details: vendor
│   ├── KeyOutOfCredit          422 KEY_OUT_OF_CREDIT        details: vendor
│   ├── KeyUnreadable           422 KEY_UNREADABLE           sealed under a master key or address that is gone
│   ├── NoKeyForVendor          422 NO_KEY                   details: vendor
│   ├── AddressRefused          422 ADDRESS_REFUSED          an outbound address that the guard does not allow
│   ├── VendorRefusedRequest    422 MODEL_REFUSED_REQUEST    the vendor called the request malformed
│   └── ContentBlocked          422 CONTENT_BLOCKED
├── RateLimited                 429 RATE_LIMITED             retryable; retry_after
│   └── QuotaExceeded           429 QUOTA_EXCEEDED
├── Unavailable                 503 UNAVAILABLE              retryable: we cannot at the moment
│   ├── Draining                503 SERVER_DRAINING          retryable: this process is about to end
│   └── WorkerLost              503 WORKER_LOST              retryable: the process that wrote a reply went away
└── VendorFailure               502 MODEL_UNAVAILABLE        retryable
    ├── VendorBusy              503 MODEL_BUSY               retryable; retry_after
    ├── VendorUnreachable       503 MODEL_UNREACHABLE        retryable
    ├── VendorTimeout           504 MODEL_TIMEOUT            retryable
    ├── VendorGarbled           502 MODEL_GARBLED            retryable: an answer that cannot be read
    └── VendorTruncated         502 MODEL_TRUNCATED          retryable: the answer broke off in the middle

A vendor's own words are never passed on: what a person needs of them is said in the messages below. A vendor's 401
never leaves as our 401, because clients answer 401 by throwing away the person's session.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from chatplatform.kernel.words import words


class AppError(Exception):
    """Something went wrong that a door can explain. Raise a subclass; a bare one is a defect of ours."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"
    retryable: ClassVar[bool] = False
    message: str = words(
        "Something went wrong on our side. Try again; if it stays, tell the operator.",
        "服务器出错了，请重试；如果一直如此，请联系管理员。",
    )

    def __init__(self, message: str | None = None, *, retry_after: float | None = None, **details: Any) -> None:
        """`message` replaces the class's own; `retry_after` is in seconds; `details` must be safe to show."""
        super().__init__(self.code)
        if message is not None:
            self.message = message
        self.retry_after = retry_after
        self.details: Mapping[str, Any] = details

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def as_dict(self) -> dict[str, Any]:
        """`{code, message, details?}` in the active language: what every door of ours shows of an error."""
        shown: dict[str, Any] = {"code": self.code, "message": str(self.message)}
        details = dict(self.details)
        if self.retry_after is not None:
            details["retry_after"] = round(self.retry_after, 3)
        if details:
            shown["details"] = details
        return shown


class BadRequest(AppError):
    status, code = 400, "BAD_REQUEST"
    message = words("The request cannot be understood.", "无法理解这个请求。")


class ValidationFailed(BadRequest):
    code = "VALIDATION_FAILED"
    message = words("Some fields need to be corrected.", "有些字段需要更正。")

    def __init__(self, problems: Mapping[str, Any]) -> None:
        """`problems`: for each field what is wrong with it, as a list of sentences."""
        super().__init__()
        self.details = dict(problems)


class BadFrame(BadRequest):
    code = "BAD_FRAME"
    message = words("This frame is not part of the protocol.", "这个消息帧不符合协议。")


class ContextTooLong(BadRequest):
    code = "CONTEXT_TOO_LONG"
    message = words(
        "The message is longer than this model can read. Shorten it or choose a model with a larger window.",
        "消息超出了该模型可读取的长度，请缩短内容或换用窗口更大的模型。",
    )


class Unauthenticated(AppError):
    status, code = 401, "UNAUTHENTICATED"
    message = words("Sign in to go on.", "请先登录。")


class TokenExpired(Unauthenticated):
    code = "TOKEN_EXPIRED"
    message = words("The access token has expired. Refresh it and try again.", "访问令牌已过期，请刷新后重试。")


class BadCredentials(Unauthenticated):
    code = "BAD_CREDENTIALS"
    message = words("The e-mail address or the password is wrong.", "邮箱或密码不正确。")


class RefreshTokenReused(Unauthenticated):
    code = "REFRESH_TOKEN_REUSED"
    message = words(
        "This sign-in was ended because its refresh token was used twice. Sign in again.",
        "刷新令牌被重复使用，该登录已被终止，请重新登录。",
    )


class Forbidden(AppError):
    status, code = 403, "FORBIDDEN"
    message = words("This is not allowed for you.", "您没有权限这样做。")


class NotFound(AppError):
    status, code = 404, "NOT_FOUND"
    message = words("There is nothing here.", "没有找到。")


class ModelNotFound(NotFound):
    code = "MODEL_NOT_FOUND"
    message = words("This model is not offered. Choose another one.", "没有提供这个模型，请选择其他模型。")


class MethodNotAllowed(AppError):
    status, code = 405, "METHOD_NOT_ALLOWED"
    message = words("This address does not take that method.", "该地址不支持此方法。")


class Conflict(AppError):
    status, code = 409, "CONFLICT"
    message = words("This clashes with what is already there.", "与已有内容冲突。")


class EmailTaken(Conflict):
    code = "EMAIL_TAKEN"
    message = words("An account with this e-mail address exists. Sign in instead.", "该邮箱已注册，请直接登录。")


class DuplicateWithOtherText(Conflict):
    code = "DUPLICATE_CLIENT_MESSAGE_ID"
    message = words(
        "This client_message_id was already used for another message. Make a new one.",
        "该 client_message_id 已用于另一条消息，请换一个。",
    )


class AlreadyGenerating(Conflict):
    code = "GENERATION_IN_PROGRESS"
    message = words(
        "A reply is being written in this conversation. Wait for it or stop it first.",
        "该会话正在生成回复，请等待或先停止。",
    )


class NothingToContinue(Conflict):
    code = "NOTHING_TO_CONTINUE"
    message = words(
        "This reply is complete, or there is nothing of it to go on from.", "该回复已完整，或没有可以接续的内容。"
    )


class TooLarge(AppError):
    status, code = 413, "TOO_LARGE"
    message = words("This is too large. Send less at once.", "内容过大，请减少后再发。")


class UnsupportedMedia(AppError):
    status, code = 415, "UNSUPPORTED_MEDIA_TYPE"
    message = words("Send JSON with Content-Type: application/json.", "请以 application/json 格式发送。")


class Unprocessable(AppError):
    status, code = 422, "UNPROCESSABLE"
    message = words("This cannot be carried out as asked.", "无法按要求执行。")


class KeyRejected(Unprocessable):
    code = "INVALID_API_KEY"
    message = words(
        "The vendor refused the API key. Check it or replace it.", "服务商拒绝了该 API 密钥，请检查或更换。"
    )


class KeyOutOfCredit(Unprocessable):
    code = "KEY_OUT_OF_CREDIT"
    message = words(
        "The API key has no credit left at its vendor. Top it up or use another key.",
        "该 API 密钥在服务商处余额不足，请充值或更换密钥。",
    )


class KeyUnreadable(Unprocessable):
    code = "KEY_UNREADABLE"
    message = words("This stored key cannot be opened any more. Enter it again.", "已保存的密钥无法打开，请重新填写。")


class NoKeyForVendor(Unprocessable):
    code = "NO_KEY"
    message = words("There is no API key for this vendor. Add one of your own.", "没有该服务商的密钥，请先添加。")


class AddressRefused(Unprocessable):
    code = "ADDRESS_REFUSED"
    message = words("This address may not be called from here.", "不允许从这里访问该地址。")


class VendorRefusedRequest(Unprocessable):
    code = "MODEL_REFUSED_REQUEST"
    message = words(
        "The model did not accept the request as it was put. Change the settings or the model.",
        "模型不接受这个请求，请调整参数或更换模型。",
    )


class ContentBlocked(Unprocessable):
    code = "CONTENT_BLOCKED"
    message = words("This content may not be sent.", "该内容未通过审核，无法发送。")


class RateLimited(AppError):
    status, code, retryable = 429, "RATE_LIMITED", True
    message = words("Too many at once. Wait a moment and try again.", "操作过于频繁，请稍后再试。")


class QuotaExceeded(RateLimited):
    code, retryable = "QUOTA_EXCEEDED", False
    message = words("The quota is used up.", "额度已用完。")


class Unavailable(AppError):
    status, code, retryable = 503, "UNAVAILABLE", True
    message = words("This is not possible at the moment. Try again shortly.", "暂时无法处理，请稍后再试。")


class Draining(Unavailable):
    code = "SERVER_DRAINING"
    message = words("This server is restarting. Try again in a moment.", "服务器正在重启，请稍后重试。")


class WorkerLost(Unavailable):
    code = "WORKER_LOST"
    message = words(
        "The server that wrote this reply went away. What there was of it is kept.",
        "生成该回复的服务器已离线，已有内容已保留。",
    )


class VendorFailure(AppError):
    status, code, retryable = 502, "MODEL_UNAVAILABLE", True
    message = words(
        "The model did not answer. Try again or choose another one.", "模型没有响应，请重试或换用其他模型。"
    )


class VendorBusy(VendorFailure):
    status, code = 503, "MODEL_BUSY"
    message = words("The model is busy. Try again shortly.", "模型繁忙，请稍后再试。")


class VendorUnreachable(VendorFailure):
    status, code = 503, "MODEL_UNREACHABLE"
    message = words("The model cannot be reached at the moment.", "暂时无法连接该模型。")


class VendorTimeout(VendorFailure):
    status, code = 504, "MODEL_TIMEOUT"
    message = words("The model took too long. Try again or choose another one.", "模型响应超时，请重试或换用其他模型。")


class VendorGarbled(VendorFailure):
    code = "MODEL_GARBLED"
    message = words("The model's answer could not be read.", "模型的回答无法读取。")


class VendorTruncated(VendorFailure):
    code = "MODEL_TRUNCATED"
    message = words("The model's answer broke off before its end.", "模型的回答中途断开了。")


def _tree(error: type[AppError]) -> dict[str, type[AppError]]:
    found = {error.code: error}
    for child in error.__subclasses__():
        found |= _tree(child)
    return found


BY_CODE = _tree(AppError)
"""Every error of the tree by its code: what is stored is the code, and it is put into words where it is shown."""


def in_words(code: str) -> dict[str, Any]:
    """`{code, message, retryable}` of a stored code, in the active language."""
    kind = BY_CODE.get(code, AppError)
    return {"code": code, "message": str(kind.message), "retryable": kind.retryable}
