"""The parts of dev.py that need no process."""

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import jwt
import pytest

from devtools import Failure
from devtools.backend import default_origins
from devtools.bearer import LIFETIME_SECONDS, bearer_token
from devtools.installation import fingerprint, is_stamped
from devtools.local_settings import local_settings, missing_values, setting
from devtools.locks import locked
from devtools.ports import free_ports, is_free

ROOT = Path(__file__).resolve().parents[2]
KEY = "a key that is long enough for HS256"


def decoded(token: str) -> dict[str, object]:
    return jwt.decode(token, KEY, algorithms=["HS256"], options={"verify_exp": False, "verify_nbf": False})


def with_example(folder: Path) -> Path:
    (folder / "local.settings.example.json").write_text('{"Values": {"ASPNET_JWT_KEY": "", "A": "1"}}')
    return folder


def test_token_is_a_jwt_with_the_claims_of_the_issuing_service() -> None:
    claims = decoded(bearer_token(KEY, user="ada", admin=False, now=1_000_000))
    assert set(claims) == {"unique_name", "nameid", "role", "nbf", "iat", "exp"}
    assert (claims["unique_name"], claims["nbf"]) == ("ada", 1_000_000)
    assert claims["exp"] == 1_000_000 + LIFETIME_SECONDS


def test_token_of_an_administrator_says_so() -> None:
    assert decoded(bearer_token(KEY, user="root", admin=True, now=1))["is_staff"] is True


def test_user_keeps_the_same_id_in_every_token() -> None:
    first, again, other = (
        decoded(bearer_token(KEY, user=user, admin=False, now=now))["nameid"]
        for user, now in (("ada", 1), ("ada", 2), ("bob", 1))
    )
    assert first == again
    assert first != other


def test_local_settings_are_made_from_the_example_with_a_fresh_key(tmp_path: Path) -> None:
    values = local_settings(with_example(tmp_path))["Values"]
    other = tmp_path / "other"
    other.mkdir()
    assert values["A"] == "1"
    assert len(values["ASPNET_JWT_KEY"]) >= 48
    assert values["ASPNET_JWT_KEY"] != local_settings(with_example(other))["Values"]["ASPNET_JWT_KEY"]
    assert not list(tmp_path.glob("*.part"))


def test_local_settings_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    local_settings(with_example(tmp_path))
    # Windows has no such bits; there the folder's own rights count.
    owner_only = 0o666 if os.name == "nt" else 0o600
    assert stat.S_IMODE((tmp_path / "local.settings.json").stat().st_mode) == owner_only


def test_local_settings_that_exist_are_left_alone(tmp_path: Path) -> None:
    file = with_example(tmp_path) / "local.settings.json"
    file.write_text('{"Values": {"ASPNET_JWT_KEY": "mine"}}')
    assert local_settings(tmp_path)["Values"]["ASPNET_JWT_KEY"] == "mine"
    assert file.read_text() == '{"Values": {"ASPNET_JWT_KEY": "mine"}}'


def test_broken_local_settings_are_a_sentence_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "local.settings.json").write_text("{")
    with pytest.raises(Failure, match=r"local\.settings\.json is not valid JSON .* repair it, or delete it"):
        local_settings(tmp_path)


def test_environment_wins_over_values() -> None:
    settings = {"Values": {"A": "file", "B": "file"}}
    assert [setting(settings, name, {"A": "environment"}) for name in "ABC"] == ["environment", "file", ""]


def test_port_with_a_listener_is_not_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not is_free(listener.getsockname()[1])


def test_free_ports_are_distinct_and_free() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert all(map(is_free, ports))


def test_default_origins_name_both_localhost_and_its_address() -> None:
    origins = default_origins().split(",")
    assert {"http://localhost:5173", "http://127.0.0.1:5173"} <= set(origins)


def test_set_up_is_skipped_until_a_requirements_file_changes(tmp_path: Path) -> None:
    requirements, stamp = tmp_path / "requirements.txt", tmp_path / "stamp"
    requirements.write_text("a==1\n")
    assert not is_stamped(stamp, fingerprint(requirements))
    stamp.write_text(fingerprint(requirements))
    assert is_stamped(stamp, fingerprint(requirements))
    requirements.write_text("a==2\n")
    assert not is_stamped(stamp, fingerprint(requirements))


def test_fingerprint_tells_which_file_a_line_stands_in(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a\nb\n")
    two.write_text("")
    before = fingerprint(one, two)
    one.write_text("a\n")
    two.write_text("b\n")
    assert fingerprint(one, two) != before


def test_lock_that_another_process_holds_is_refused_with_its_sentence(tmp_path: Path) -> None:
    holder = (
        "import sys; from pathlib import Path; from devtools.locks import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / "lock")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(Failure, match="in use"), locked(tmp_path / "lock", if_taken="in use"):
            pass
    with locked(tmp_path / "lock", if_taken="in use"):
        pass


def test_lock_file_of_azurite_names_no_registry() -> None:
    lock = json.loads((ROOT / "azurite" / "package-lock.json").read_text("utf-8"))
    assert lock["packages"]["node_modules/azurite"]["version"] == "3.37.0"
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]


def test_values_that_the_example_gained_later_are_found(tmp_path: Path) -> None:
    local_settings(with_example(tmp_path))
    example = {"Values": {"ASPNET_JWT_KEY": "", "A": "2", "NEW": "3"}}
    (tmp_path / "local.settings.example.json").write_text(json.dumps(example))
    assert missing_values(tmp_path) == {"NEW": "3"}
