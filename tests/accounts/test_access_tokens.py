"""Access tokens: whatever we did not make, or made for something else, is a 401 of ours and never an error."""

import base64
import hmac
import json
import uuid
from datetime import UTC, datetime, timedelta

import jwt
import pytest
import time_machine
from django.utils import timezone

from accounts.models import User
from accounts.services import tokens
from tests.cast import Api

pytestmark = pytest.mark.django_db


def part(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forgeries(user, device_id, *, other_device, other_user):
    """Forged tokens by what is wrong with them. Only a signing key that has leaked could make most of them."""
    (name, key), *_ = tokens._keys("access-token").items()
    (_, refresh_key), *_ = tokens._keys("refresh-token").items()
    now = datetime.now(UTC)
    good = {
        "iss": "chatplatform",
        "aud": "chatplatform/api",
        "sub": str(user.pk),
        "sid": str(device_id),
        "jti": uuid.uuid4().hex,
        "typ": "access",
        "iat": now,
        "nbf": now,
        "exp": now + timedelta(minutes=5),
    }

    def made(key=key, algorithm="HS256", kid=name, headers=None, without=(), **claims):
        body = {claim: value for claim, value in (good | claims).items() if claim not in without}
        return jwt.encode(body, key, algorithm=algorithm, headers={"kid": kid} | (headers or {}))

    genuine = made()
    head, body, signature = genuine.split(".")
    header = {"alg": "HS256", "typ": "JWT", "kid": name}
    yield "genuine", genuine
    yield "alg none", made(key="", algorithm="none")
    for spelling in ("none", "None", "NONE", "nOnE"):
        yield f"alg {spelling}, no signature", f"{part(header | {'alg': spelling})}.{body}."
        yield f"alg {spelling}, old signature", f"{part(header | {'alg': spelling})}.{body}.{signature}"
    longer = f"{part(header | {'alg': 'HS512'})}.{body}"
    yield "another algorithm of the family", f"{longer}.{part(hmac.digest(key, longer.encode(), 'sha512'))}"
    yield "an algorithm that is none", f"{part(header | {'alg': 'XX'})}.{body}.{signature}"
    yield "an algorithm that is a list", f"{part(header | {'alg': ['HS256']})}.{body}.{signature}"
    yield "public key algorithm", f"{part(header | {'alg': 'RS256'})}.{body}.{signature}"
    yield "no signature", f"{head}.{body}."
    yield "signature of other bytes", f"{head}.{part(json.dumps(good, default=str).encode())}.{signature}"
    yield "changed signature", f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    yield "another key", made(key=b"k" * 32)
    yield "an empty key", f"{head}.{body}.{part(hmac.digest(b'', f'{head}.{body}'.encode(), 'sha256'))}"
    yield "the key of refresh tokens", made(key=refresh_key)
    for kid in ("", "0", "../../dev/null", "' OR 1=1 --", name.upper() + "0", name[:-1]):
        yield f"kid {kid!r}", made(kid=kid)
    for odd in (None, 1, ["x"], {"x": 1}, True):
        yield f"kid {odd!r}", f"{part(header | {'kid': odd})}.{body}.{signature}"
    yield "no kid", f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{body}.{signature}"
    yield "a critical extension", made(headers={"crit": ["exp"], "exp": 1})
    yield "an embedded key", made(key=b"j" * 32, headers={"jwk": {"kty": "oct", "k": part(b"j" * 32)}})
    yield "a key at an address", made(key=b"j" * 32, headers={"jku": "https://evil.example/keys"})
    for claim in good:
        yield f"without {claim}", made(without=(claim,))
    yield "another issuer", made(iss="chatplatform.evil")
    yield "another audience", made(aud="chatplatform/gateway")
    yield "several audiences", made(aud=["chatplatform/api", "other"])
    yield "another type", made(typ="refresh")
    yield "no type", made(typ=None)
    yield "expired", made(exp=now - timedelta(minutes=1), iat=now - timedelta(hours=1), nbf=now - timedelta(hours=1))
    yield "expired for ever", made(exp=0)
    yield "expiry that is text", made(exp="never")
    yield "not valid yet", made(nbf=now + timedelta(minutes=1))
    yield "made in the future", made(iat=now + timedelta(minutes=1))
    for subject in ("", "nobody", str(uuid.uuid4()), str(other_user.pk), "0" * 32):
        yield f"subject {subject!r}", made(sub=subject)
    for device in ("", "nothing", str(uuid.uuid4()), str(other_device), 1, None, ["x"]):
        yield f"device {device!r}", made(sid=device)
    for number, text in enumerate(["", " ", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d", "Bearer", "null", "é.é.é"]):
        yield f"text {number}", text
    yield "a header as deep as the sea", f"{part(b'[' * 700)}.{body}.{signature}"
    yield "an endless header", f"{part(b'[' * 100_000)}.{body}.{signature}"
    yield "endless", genuine + "A" * 100_000
    yield "a header that is a list", f"{part([])}.{body}.{signature}"
    yield "a body that is a list", jwt.api_jws.encode(b"[]", key, headers={"kid": name})
    yield "a body that is no JSON", jwt.api_jws.encode(b"\xff", key, headers={"kid": name})


def test_no_forged_token_gets_in(api, alice, bob):
    device_id = tokens.read_access_token(api(alice).token).device_id
    other_device = tokens.read_access_token(api(bob).token).device_id
    answers = {
        wrong: Api(token=token).get("/api/v1/users/me")
        for wrong, token in forgeries(alice, device_id, other_device=other_device, other_user=bob)
    }

    assert answers.pop("genuine").data["email"] == alice.email
    assert len(answers) > 60
    assert {wrong: answer.status for wrong, answer in answers.items() if answer.status != 401} == {}
    assert {answer.code for answer in answers.values()} == {"UNAUTHENTICATED", "TOKEN_EXPIRED"}
    assert [wrong for wrong, answer in answers.items() if answer.code == "TOKEN_EXPIRED"] == [
        "expired",
        "expired for ever",
    ]


def test_an_access_token_lasts_a_quarter_of_an_hour(api, alice):
    phone = api(alice)

    with time_machine.travel(timezone.now() + timedelta(minutes=14)):
        assert phone.get("/api/v1/users/me").status == 200
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        answer = phone.get("/api/v1/users/me")
        assert (answer.status, answer.code) == (401, "TOKEN_EXPIRED")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "bearer x", "Basic YTpi", "Token x", "\xff\xfe x"])
def test_without_a_token_the_answer_is_ours_and_asks_no_browser_for_a_password(api, header):
    answer = api(**({} if header is None else {"HTTP_AUTHORIZATION": header})).get("/api/v1/users/me")

    assert answer.status == 401
    assert answer.body == {
        "success": False,
        "error": {"code": "UNAUTHENTICATED", "message": "Sign in to go on."},
    }
    assert "WWW-Authenticate" not in answer.headers


def test_a_bad_token_is_a_401_on_a_page_for_people_too(api):
    answer = api(HTTP_AUTHORIZATION="Bearer nonsense", HTTP_ACCEPT="text/html").get("/api/v1/users/me")
    assert answer.status == 401


def test_an_operator_reads_the_same_answers_as_pages(client, alice):
    client.force_login(alice, backend="accounts.authentication.PasswordBackend")
    page = client.get("/api/v1/users/me", HTTP_ACCEPT="text/html")

    assert page.status_code == 200
    assert "alice@example.com" in page.content.decode()


def test_a_stale_token_does_not_keep_anybody_from_signing_in(api, alice):
    client = api(HTTP_AUTHORIZATION="Bearer stale")
    answer = client.post("/api/v1/auth/login", {"email": alice.email, "password": "wrong"})
    assert answer.code == "BAD_CREDENTIALS"


@pytest.mark.parametrize("status", [User.Status.SUSPENDED, User.Status.DELETED])
def test_the_tokens_of_a_person_who_is_shut_out_are_worth_nothing(api, alice, status):
    phone = api(alice)
    User.objects.filter(pk=alice.pk).update(status=status)

    assert phone.get("/api/v1/users/me").code == "UNAUTHENTICATED"
    assert phone.post("/api/v1/auth/refresh", {"refresh_token": phone.refresh_token}).code == "UNAUTHENTICATED"
    assert phone.post("/api/v1/auth/ws-ticket").code == "UNAUTHENTICATED"
