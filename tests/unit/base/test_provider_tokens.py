"""Tokens of an identity provider: what is accepted, that nothing else is, and how its keys are fetched."""

from __future__ import annotations

import asyncio
import base64
import random
import string
import time
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from core.base.auth import MAX_TOKEN_LENGTH, User, authenticate
from core.base.errors import AppError, Unauthorized, Unavailable
from core.base.jwks import LIFETIME_SECONDS, LONGEST_LIFETIME_SECONDS, RETRY_SECONDS, KeySet
from core.base.settings import Settings
from tests.provider import AUDIENCE, ISSUER, Provider, SigningKey

SECRET = "a signing key of at least thirty-two bytes"
RSA, EC, OTHER = SigningKey("rsa-1"), SigningKey("ec-1", "ES256"), SigningKey("rsa-1")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with Provider(RSA, EC) as served:
        yield served


@pytest.fixture
def keys(provider: Provider, clock: Clock) -> KeySet:
    return KeySet(provider.url, clock)


@cache
def settings(**values: Any) -> Settings:
    provider = {"jwt_jwks_url": "https://login.example/keys", "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}
    return Settings(**{**provider, "aspnet_jwt_key": SECRET, **values})


async def user(token: str, keys: KeySet, **values: Any) -> User:
    return await authenticate(f"Bearer {token}", settings(**values), keys)


async def is_refused(token: str, keys: KeySet, **values: Any) -> bool:
    try:
        await user(token, keys, **values)
    except Unauthorized as refusal:
        return refusal.status == 401
    return False


def service_token(key: str = SECRET, **claims: Any) -> str:
    return jwt.encode({"nameid": "3f0c", "exp": int(time.time()) + 60, **claims}, key, "HS256")


def pem(key: SigningKey) -> bytes:
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.private.public_key().public_bytes(serialization.Encoding.PEM, public)


@pytest.mark.parametrize("key", [RSA, EC], ids=["RS256", "ES256"])
async def test_a_token_of_the_provider_is_accepted(key: SigningKey, keys: KeySet) -> None:
    assert await user(key.token(), keys) == User("3f0c", "Ada", issuer=ISSUER)
    assert (await user(key.token(oid=None), keys)).id == "pairwise"
    assert (await user(key.token(aud=["api://other", AUDIENCE]), keys)).id == "3f0c"


async def test_administrators_of_the_provider_are_named_by_role_or_claim(keys: KeySet) -> None:
    assert not (await user(RSA.token(roles=["Admin"]), keys)).is_admin
    assert (await user(RSA.token(roles=["User", "Admin"]), keys, jwt_admin_role="Admin")).is_admin
    assert (await user(RSA.token(is_staff=True), keys)).is_admin


async def test_the_same_id_of_two_issuers_is_two_people(keys: KeySet) -> None:
    of_service, of_provider = await user(service_token(), keys), await user(RSA.token(), keys)
    assert of_service.id == of_provider.id == "3f0c"
    elsewhere = User("3f0c", "Ada", issuer=f"{ISSUER}/other")
    shifted = User("c", "Ada", issuer=f"{ISSUER}3f0")
    people = {of_service.key, of_provider.key, elsewhere.key, shifted.key, User(f"{ISSUER}3f0c", "").key}
    assert len(people) == 5 and all(len(key) == 32 for key in people)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "api://another"},
        {"aud": None},
        {"aud": []},
        {"iss": "https://login.example/another/v2.0"},
        {"iss": None},
        {"iss": f"{ISSUER}/"},
        {"exp": int(time.time()) - 1},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": int(time.time()) + 600},
        {"oid": None, "sub": None},
        {"oid": "", "sub": " "},
        {"oid": {"a": 1}, "sub": None},
        {"padding": "x" * MAX_TOKEN_LENGTH},
    ],
    # Some hold the time, which is another in each process that collects.
    ids=lambda claims: " ".join(claims),
)
async def test_a_token_with_other_claims_is_refused(claims: dict[str, Any], keys: KeySet) -> None:
    assert await is_refused(RSA.token(**claims), keys)


async def test_an_algorithm_is_only_ever_checked_with_a_key_of_its_own_kind(keys: KeySet) -> None:
    hmac_key = base64.urlsafe_b64decode(RSA.jwk["n"] + "==")
    claims = {"iss": ISSUER, "aud": AUDIENCE, "oid": "3f0c", "nameid": "3f0c", "exp": int(time.time()) + 60}

    def by_hand(algorithm: str, secret: bytes) -> str:
        """PyJWT refuses to sign with what looks like a public key."""
        signer = jwt.PyJWS(options={"enforce_minimum_key_length": False})
        plain = jwt.encode(claims, "x" * 32, "HS256", {"kid": RSA.kid}).split(".")
        head = base64.urlsafe_b64encode(f'{{"alg":"{algorithm}","kid":"{RSA.kid}"}}'.encode()).rstrip(b"=").decode()
        hashing: Any = signer.get_algorithm_by_name("HS256")
        signature = hashing.sign(f"{head}.{plain[1]}".encode(), secret)
        return f"{head}.{plain[1]}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    assert await user(by_hand("HS256", SECRET.encode()), keys), "what is made here is a token"
    for algorithm in ("HS256", "RS256", "ES256", "HS384", "none", "None", "hs256", ""):
        for secret in (pem(RSA), hmac_key, b"", *([SECRET.encode()] if algorithm != "HS256" else [])):
            assert await is_refused(by_hand(algorithm, secret), keys), (algorithm, secret)
    assert await is_refused(EC.token(headers={"kid": RSA.kid}), keys)
    assert await is_refused(RSA.token(headers={"kid": EC.kid}), keys)
    for algorithm in ("PS256", "RS384", "RS512"):
        assert await is_refused(RSA.token(algorithm=algorithm), keys)


async def test_a_token_brings_no_key_of_its_own(keys: KeySet, provider: Provider) -> None:
    async with Provider(OTHER) as attacker:
        for headers in (
            {},
            {"jwk": OTHER.jwk},
            {"jku": attacker.url},
            {"x5u": attacker.url},
            {"kid": "../rsa-1"},
            {"kid": attacker.url},
            {"crit": ["exp"]},
        ):
            assert await is_refused(OTHER.token(headers=headers), keys), headers
        claims = jwt.decode(RSA.token(), options={"verify_signature": False})
        assert await is_refused(jwt.encode(claims, RSA.private, "RS256"), keys), "a token without kid"
        assert attacker.asked == 0


async def test_each_kind_of_token_needs_its_own_configuration(keys: KeySet) -> None:
    assert await is_refused(service_token(), keys, aspnet_jwt_key="")
    assert await user(RSA.token(), keys, aspnet_jwt_key="")
    for missing in ("jwt_jwks_url", "jwt_issuer", "jwt_audience"):
        assert await is_refused(RSA.token(), keys, **{missing: ""})
        assert await user(service_token(), keys, **{missing: ""})
    assert await is_refused(RSA.token(), keys, jwt_jwks_url="http://login.example/keys")
    assert await is_refused(service_token(), keys, aspnet_jwt_key="", jwt_jwks_url="")


async def test_a_thousand_mutated_tokens_are_refused(keys: KeySet) -> None:
    chance = random.Random(6)
    letters = string.ascii_letters + string.digits + "-_=.+/%\0 é"
    tokens = [service_token(), RSA.token(), EC.token()]

    def mutated(token: str) -> str:
        at, other = chance.randrange(len(token)), chance.randrange(len(token))
        low, high = sorted((at, other))
        match chance.randrange(7):
            case 0:
                return token[:at] + chance.choice(letters) + token[at + 1 :]
            case 1:
                return token[:at] + chance.choice(letters) + token[at:]
            case 2:
                return token[:at] + token[at + 1 :]
            case 3:
                return token[:at]
            case 4:
                return token[:low] + token[low:high][::-1] + token[high:]
            case 5:
                parts = token.split(".")
                parts[chance.randrange(3)] = chance.choice(chance.choice(tokens).split("."))
                return ".".join(parts)
            case _:
                # The last letter of a signature has bits that mean nothing.
                return token[:-1] + chance.choice(letters)

    refused = 0
    while refused < 1000:
        token = mutated(chance.choice(tokens))
        if token.strip(" ") not in tokens:
            assert await is_refused(token, keys), token
            refused += 1


async def test_a_new_key_is_fetched_once_however_many_tokens_name_it(
    keys: KeySet, provider: Provider, clock: Clock
) -> None:
    await user(RSA.token(), keys)
    rolled = SigningKey("rsa-2")
    provider.answer = {"keys": [rolled.jwk]}
    assert await is_refused(rolled.token(), keys), "just fetched: not again so soon"
    clock.now += RETRY_SECONDS
    found = await asyncio.gather(*(user(rolled.token(), keys) for _ in range(50)))
    assert len(found) == 50 and provider.asked == 2
    assert await is_refused(RSA.token(), keys), "the provider has withdrawn its key"
    for number in range(50):
        assert await is_refused(rolled.token(headers={"kid": f"made-up-{number}"}), keys)
    assert provider.asked == 2


async def test_while_the_provider_is_down_known_keys_work_for_a_day_and_others_are_a_503(
    keys: KeySet, provider: Provider, clock: Clock
) -> None:
    await user(RSA.token(), keys)
    provider.status = 500
    clock.now += LIFETIME_SECONDS + 1
    assert await user(RSA.token(), keys)
    with pytest.raises(Unavailable) as unavailable:
        await user(RSA.token(headers={"kid": "rsa-2"}), keys)
    assert unavailable.value.headers["Retry-After"]
    assert await user(RSA.token(), keys)
    clock.now += LONGEST_LIFETIME_SECONDS
    with pytest.raises(Unavailable):
        await user(RSA.token(), keys)
    assert not await keys.known()
    provider.status = 200
    clock.now += RETRY_SECONDS
    assert await user(RSA.token(), keys) and await keys.known()


async def test_old_keys_are_renewed_without_anybody_waiting(keys: KeySet, provider: Provider, clock: Clock) -> None:
    await user(RSA.token(), keys)
    provider.silent = True
    clock.now += LIFETIME_SECONDS + 1
    async with asyncio.timeout(1):
        await asyncio.gather(*(user(RSA.token(), keys) for _ in range(20)))
    await provider.unanswered.wait()
    assert provider.asked == 2


@pytest.mark.parametrize(
    "change",
    [
        {"answer": {"keys": []}},
        {"answer": {"keys": "none"}},
        {"answer": []},
        {"answer": "<html>"},
        {"answer": "[" * 100_000},
        {"answer": {"keys": [RSA.jwk], "padding": "x" * 600_000}},
        {"answer": {"keys": [{**RSA.jwk, "use": "enc"}]}},
        {"answer": {"keys": [{**RSA.jwk, "kid": 1}]}},
        {"answer": {"keys": [{**RSA.jwk, "n": "!"}]}},
        {"answer": {"keys": [SigningKey("rsa-1", bits=1024).jwk]}},
        {"answer": {"keys": [{"kty": "oct", "kid": "rsa-1", "k": "c2VjcmV0"}]}},
        {"status": 302, "headers": {"Location": "http://127.0.0.1:9/"}},
        {"status": 404},
    ],
    ids=lambda change: str(change)[:40],
)
async def test_what_is_no_set_of_public_keys_checks_no_token(
    change: dict[str, Any], keys: KeySet, provider: Provider
) -> None:
    for name, value in change.items():
        setattr(provider, name, value)
    with pytest.raises(AppError) as refused:
        await user(RSA.token(), keys)
    assert refused.value.status == 503 and provider.asked == 1
