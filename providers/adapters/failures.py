"""What a vendor's failure is called here: one context manager and its tables.

The status decides; the vendor's own code decides inside a refusal; its prose only where vendors send nothing else.
None of a vendor's words leave this module: they may hold a key, another person's text or anything at all.
"""

import email.utils
import logging
import re
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aiohttp
import httpx2
import openai

from chatplatform.kernel.errors import (
    AppError,
    ContentBlocked,
    ContextTooLong,
    KeyOutOfCredit,
    KeyRejected,
    ModelNotFound,
    VendorBusy,
    VendorFailure,
    VendorGarbled,
    VendorRefusedRequest,
    VendorTimeout,
    VendorTruncated,
    VendorUnreachable,
)
from chatplatform.kernel.outbound import EncodedBody

log = logging.getLogger(__name__)

BY_STATUS: dict[int, type[AppError]] = {
    401: KeyRejected,
    402: KeyOutOfCredit,
    403: KeyRejected,
    404: ModelNotFound,
    408: VendorTimeout,
    413: ContextTooLong,
    429: VendorBusy,
    503: VendorBusy,
    504: VendorTimeout,
    529: VendorBusy,
}

# Codes and types as vendors write them, in lower case. They say more than the statuses they come with.
BY_CODE: dict[str, type[AppError]] = {
    "context_length_exceeded": ContextTooLong,
    "1261": ContextTooLong,  # numbers are Zhipu's: https://docs.bigmodel.cn/cn/api/api-code
    "content_filter": ContentBlocked,
    "content_policy_violation": ContentBlocked,
    # https://help.aliyun.com/zh/model-studio/error-code
    "data_inspection_failed": ContentBlocked,
    "datainspectionfailed": ContentBlocked,
    "1301": ContentBlocked,
    "insufficient_quota": KeyOutOfCredit,
    "billing_hard_limit_reached": KeyOutOfCredit,
    "billing_not_active": KeyOutOfCredit,
    "exceeded_current_quota_error": KeyOutOfCredit,  # Moonshot, as a type
    "arrearage": KeyOutOfCredit,  # Alibaba Cloud, with status 400
    "1113": KeyOutOfCredit,
    "invalid_api_key": KeyRejected,
    "invalid_authentication_error": KeyRejected,
    "model_not_found": ModelNotFound,
    "1211": ModelNotFound,
    "rate_limit_exceeded": VendorBusy,
    "rate_limit_error": VendorBusy,
    "overloaded_error": VendorBusy,
    "server_overloaded": VendorBusy,
}
# Statuses that say little without a code. A refused key is a refused key, whatever else is said about it.
OPEN_TO_CODES = {400, 404, 413, 422, 429}

# DeepSeek, vLLM and OpenRouter report a prompt that is too long as an invalid request like any other.
TOO_LONG = re.compile(
    r"(?i)context (?:length|window|size)|(?:range of )?input length|prompt is too long|too many tokens"
)

LONGEST_WAIT = 3600.0

# What went wrong between here and the vendor. First match wins.
BY_CAUSE: tuple[tuple[type[Exception] | tuple[type[Exception], ...], type[AppError]], ...] = (
    (aiohttp.ConnectionTimeoutError, VendorUnreachable),
    (TimeoutError, VendorTimeout),
    (aiohttp.ClientConnectionError, VendorUnreachable),
    (aiohttp.ClientPayloadError, VendorTruncated),
    ((aiohttp.ClientResponseError, EncodedBody), VendorGarbled),
    ((aiohttp.ClientError, httpx2.HTTPError, openai.OpenAIError), VendorFailure),
)


@contextmanager
def vendor_failures(vendor: str) -> Iterator[None]:
    """Let nothing out of this block but AppErrors, each with the vendor in its details."""
    try:
        yield
    except AppError as exc:
        exc.details = {"vendor": vendor, **exc.details}
        raise
    except Exception as exc:
        failure = _failure(_root_of(exc))
        failure.details = {"vendor": vendor}
        place = traceback.extract_tb(exc.__traceback__)[-1]
        log.info(
            "a vendor's call failed",
            extra={
                "vendor": vendor,
                "code": failure.code,
                "cause": type(exc).__name__,
                "status": getattr(exc, "status_code", None),
                "at": f"{place.filename}:{place.lineno}",
            },
        )
        # The cause holds the vendor's words and, in its frames, the request's headers.
        raise failure from None


def _root_of(exc: Exception) -> Exception:
    """The failure itself, out of the wrappers that the SDK and its HTTP client put around it."""
    while isinstance(exc, openai.OpenAIError | httpx2.HTTPError) and isinstance(exc.__cause__, Exception):
        exc = exc.__cause__
    return exc


def _failure(exc: Exception) -> AppError:
    if isinstance(exc, openai.APIStatusError):
        wait = retry_after(exc.response.headers.get("retry-after"))
        return failure_from(exc.body, status=exc.status_code, wait=wait)
    for causes, failure in BY_CAUSE:
        if isinstance(exc, causes):
            return failure()
    return VendorGarbled()  # JSON, text or a structure that is not what it should be


def failure_from(error: Any, *, status: int | None = None, wait: float | None = None) -> AppError:
    """The failure that a vendor's `error` object describes; it came with an HTTP status, or inside a stream."""
    details: Mapping[str, Any] = error if isinstance(error, Mapping) else {}
    codes = [str(details.get(name, "")).lower() for name in ("code", "type")]
    if status is None and re.fullmatch(r"[45]\d\d", codes[0]):
        status = int(codes[0])  # OpenRouter's way inside a stream
    kind = BY_STATUS.get(status or 0)
    if status is None or status in OPEN_TO_CODES:
        kind = next((BY_CODE[code] for code in codes if code in BY_CODE), kind)
    if status == 403 and isinstance(metadata := details.get("metadata"), Mapping) and "flagged_input" in metadata:
        kind = ContentBlocked  # the text was refused, not the key: https://openrouter.ai/docs/errors
    if kind is None and status is not None and 400 <= status < 500:
        kind = ContextTooLong if TOO_LONG.search(str(details.get("message", ""))) else VendorRefusedRequest
    return (kind or VendorFailure)(retry_after=wait)


def retry_after(header: str | None) -> float | None:
    """Seconds to wait, from a `Retry-After` in seconds or as a date; None if there is none or it means nothing."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT) if seconds == seconds else None
