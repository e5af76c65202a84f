from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.processes import ROOT, SECRETS, environment, manage
from tradebot import dotenv
from tradebot.settings import env

# Read by others than settings.py, which check their values themselves.
ELSEWHERE = {
    "DJANGO_SUPERUSER_EMAIL",
    "DJANGO_SUPERUSER_PASSWORD",
    "ENV_FILE",
    "POSTGRES_PASSWORD",
    "WEB_ADDRESS",
    "WEB_PORT",
}
MALFORMED = [
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "soon"),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "-10"),
    ("ALLOWED_HOSTS", "https://wrong.example.com"),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "9999999999"),
    ("ALLOWED_HOSTS", "wrong.example.com:8123"),
    ("BINANCE_FUTURES_URL", "http://fapi.example.com"),
    ("BINANCE_FUTURES_URL", "https://hunter2@fapi.example.com"),
    ("BINANCE_SPOT_URL", "http://127.0.0.1.example.com"),
    ("BINANCE_SPOT_URL", "https://api.example.com/path"),
    ("BINANCE_SPOT_URL", "https://api.example.com:99999"),
    ("BINANCE_SPOT_URL", "file:///etc/passwd"),
    ("BINANCE_TESTNET_FUTURES_URL", "https://fapi.binance.com"),
    ("BINANCE_TESTNET_FUTURES_URL", "https://demo-fapi.binance.com/path"),
    ("BINANCE_TESTNET_SPOT_URL", "https://api.binance.com"),
    ("BINANCE_TESTNET_SPOT_URL", "https://API1.binance.com"),
    ("BINANCE_TESTNET_SPOT_URL", "https://testnet.binance.vision.example.com"),
    ("BINANCE_TESTNET_SPOT_URL", "https://testnet.binance.vision@api.binance.com"),
    ("BINANCE_TESTNET_SPOT_URL", "http://testnet.binance.vision"),
    ("BIND", "8123"),
    ("BIND", "127.0.0.1:81234"),
    ("CORS_ALLOWED_ORIGINS", "wrong.example.com"),
    ("CORS_ALLOWED_ORIGINS", "https://wrong.example.com/"),
    ("CORS_ALLOWED_ORIGINS", "https://Wrong.example.com"),
    ("CORS_ALLOWED_ORIGINS", "https://*.example.com"),
    ("CORS_ALLOWED_ORIGINS", "*,https://wrong.example.com"),
    ("CSRF_TRUSTED_ORIGINS", "wrong.example.com"),
    ("CSRF_TRUSTED_ORIGINS", "https://wrong.example.com/path"),
    ("CSRF_TRUSTED_ORIGINS", "://wrong"),
    ("DATABASE_URL", "mysql://someone:hunter2@localhost/tradebot"),
    ("DATABASE_URL", "postgres://someone:hunter2@localhost:port/tradebot"),
    ("DATABASE_URL", "postgres://someone:hunter2@localhost"),
    ("DATABASE_URL", "postgres://someone@localhost/tradebot?conn_max_age=hunter2"),
    ("DATABASE_URL", "postgres://someone@localhost/tradebot?atomic_requests=0"),
    ("DATABASE_URL", "sqlite:///tradebot.sqlite3?timeout=hunter2"),
    ("DATABASE_URL", "sqlite:///tradebot.sqlite3?hunter2=1"),
    ("DATABASE_WAIT_S", "1m"),
    ("DATABASE_WAIT_S", "-1"),
    ("DEBUG", "maybe"),
    ("DEFAULT_FROM_EMAIL", "hunter2"),
    ("EMAIL_URL", "hunter2"),
    ("EMAIL_URL", "smtp://someone:hunter2@mail.example.com"),
    ("EMAIL_URL", "smtp://someone:hunter2@mail.example.com:port"),
    ("EMAIL_URL", "https://someone:hunter2@mail.example.com:25"),
    ("FERNET_KEYS", "aHVudGVyMg=="),
    ("FERNET_KEYS", f"{SECRETS['FERNET_KEYS']},hunter2"),
    ("FERNET_KEYS", " , "),
    ("FRONTEND_URL", "hunter2.example.com"),
    ("FRONTEND_URL", "https://bots.example.com/?hunter2"),
    ("HTTPS_ONLY", "maybe"),
    ("JWT_ALGORITHM", "none"),
    ("JWT_OLD_SECRET", "hunter2"),
    ("JWT_SECRET", "hunter2"),
    ("JWT_WITHOUT_IAT_UNTIL", "soon"),
    ("JWT_WITHOUT_IAT_UNTIL", "2027-02-30"),
    ("LIVE_TRADING_ENABLED", "perhaps"),
    ("LOG_FORMAT", "xml"),
    ("LOG_LEVEL", "LOUD"),
    ("METRICS_TOKEN", "hunter2"),
    ("MIGRATION_LOCK_TIMEOUT_MS", "long"),
    ("MIGRATION_LOCK_WAIT_S", "ten"),
    ("MIGRATION_DATABASE_URL", "mysql://someone:hunter2@localhost/tradebot"),
    ("NAIVE_TIMES_ZONE", "Mitteleuropa"),
    ("NAIVE_TIMES_ZONE", "../etc/passwd"),
    ("PASSWORD_HASHER", "md5"),
    ("REMEMBER_ME_EXPIRE_MINUTES", "1.5"),
    ("SECRET_KEY", "hunter2"),
    ("TRUSTED_PROXIES", "proxy.example.com"),
    ("TRUSTED_PROXIES", "10.0.0.0/8,10.0.0.1/8"),
    ("WEB_CONCURRENCY", "many"),
    ("WEB_CONCURRENCY", "-3"),
    ("WEB_THREADS", "four"),
    ("WEB_WORKER", "threads"),
    ("BACKTEST_WORKERS", "some"),
    ("BOT_RUNNERS", "-1"),
    ("CELERY_BROKER_URL", "amqp://someone:hunter2@localhost"),
    ("WEBHOOK_ALLOWED_NETWORKS", "receiver.example.com"),
    ("WEBHOOK_ALLOWED_NETWORKS", "192.168.1.1/24"),
]


def assert_one_sentence(error: str) -> None:
    assert "Traceback" not in error
    assert error.startswith("TradeBot is not configured: ")
    assert error.count("\n") == 1


@pytest.mark.sqlite
@pytest.mark.parametrize(("name", "value"), MALFORMED)
def test_setting_malformed_stops_with_its_name_and_an_example(
    name: str, value: str
) -> None:
    result = manage("check", **{**SECRETS, name: value})
    assert result.returncode == 1
    assert_one_sentence(result.stderr)
    assert f" {name} " in result.stderr
    assert f"for example {name}=" in result.stderr
    assert value not in result.stderr
    assert "hunter2" not in result.stderr


@pytest.mark.sqlite
def test_every_setting_is_among_the_malformed() -> None:
    assert {name for name, _ in MALFORMED} == env.names - ELSEWHERE


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("", "[] False"),
        ("https://a.example.com,http://b:3000", "2 False"),
        ("*", "[] True"),
    ],
)
def test_every_origin_is_let_in_only_where_it_is_written(
    value: str, found: str
) -> None:
    code = (
        "from tradebot.settings import *; "
        "print(len(CORS_ALLOWED_ORIGINS) or [], CORS_ALLOW_ALL_ORIGINS)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(**SECRETS, CORS_ALLOWED_ORIGINS=value),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == found


@pytest.mark.sqlite
@pytest.mark.parametrize("name", sorted(SECRETS))
@pytest.mark.parametrize("value", [None, "", " "])
def test_secret_missing_stops_with_its_name_and_an_example(
    name: str, value: str | None
) -> None:
    settings = {key: text for key, text in SECRETS.items() if key != name}
    if value is not None:
        settings[name] = value
    result = manage("check", **settings)
    assert result.returncode == 1
    assert_one_sentence(result.stderr)
    assert f"{name} is not set" in result.stderr
    assert f"for example {name}=" in result.stderr


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "command", ["check", "makemigrations", "migrate", "shell", "sqlmigrate", "test"]
)
def test_command_without_settings_says_which_is_missing(command: str) -> None:
    result = manage(command)
    assert result.returncode == 1
    assert_one_sentence(result.stderr)
    assert "SECRET_KEY is not set" in result.stderr


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("LOG_LEVL=hunter2", "Did you mean LOG_LEVEL?"),
        ("DATABASEURL=hunter2", "Did you mean DATABASE_URL?"),
        ("UNLIKE_ANY=hunter2", "Correct or remove it"),
    ],
)
def test_env_file_with_unknown_name_stops_with_the_close_one(
    tmp_path: Path, line: str, hint: str
) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(f"{line}\n")
    result = manage("check", **SECRETS, ENV_FILE=str(env_file))
    assert result.returncode == 1
    assert_one_sentence(result.stderr)
    assert f"{line.partition('=')[0]} in {env_file} is not a setting" in result.stderr
    assert hint in result.stderr
    assert "hunter2" not in result.stderr


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "line", ["DEBUG = hunter2", " DEBUG=hunter2", "DEBUG: hunter2", "hunter2"]
)
def test_env_file_with_a_line_that_sets_nothing_stops_with_its_number(
    tmp_path: Path, line: str
) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(f"# comment\n\n{line}\n")
    result = manage("check", **SECRETS, ENV_FILE=str(env_file))
    assert result.returncode == 1
    assert_one_sentence(result.stderr)
    assert f"Line 3 of {env_file} is no setting" in result.stderr
    assert "hunter2" not in result.stderr + result.stdout


@pytest.mark.sqlite
def test_env_file_may_have_settings_of_compose(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("COMPOSE_PROJECT_NAME=bots\n")
    assert manage("check", **SECRETS, ENV_FILE=str(env_file)).returncode == 0


@pytest.mark.sqlite
def test_gunicorn_with_a_database_in_memory_stops_with_one_sentence() -> None:
    result = subprocess.run(
        ["gunicorn", "-c", "tradebot/gunicorn_config.py"],
        cwd=ROOT,
        env=environment(**SECRETS, DATABASE_URL="sqlite://:memory:"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("DATABASE_URL names a database in memory")
    assert result.stderr.count("\n") == 1


@pytest.mark.sqlite
def test_command_without_its_tables_ends_with_one_sentence(tmp_path: Path) -> None:
    result = manage(
        "create_first_admin",
        **SECRETS,
        DATABASE_URL=f"sqlite:///{tmp_path}/new.sqlite3",
    )
    assert result.returncode == 1
    assert result.stderr.startswith("CommandError: The schema is behind this code by ")
    assert result.stderr.endswith(" more. Run migrate.\n")
    assert result.stderr.count("\n") == 1


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("names", "prepares"),
    [
        (["DATABASE_URL"], "1"),
        (["DATABASE_URL", "MIGRATION_DATABASE_URL"], "None"),
    ],
)
def test_statements_are_prepared_unless_there_is_a_pooler(
    names: list[str], prepares: str
) -> None:
    settings = dict.fromkeys(names, "postgres://tradebot:secret@127.0.0.1:1/tradebot")
    code = (
        "from tradebot.settings import DATABASES;"
        "print(DATABASES['default']['OPTIONS'].get('prepare_threshold'))"
    )

    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(**SECRETS, **settings),
        capture_output=True,
        text=True,
        check=True,
    )

    assert result.stdout.strip() == prepares


@pytest.mark.sqlite
def test_env_file_unreadable_stops_with_its_path(tmp_path: Path) -> None:
    result = manage("check", **SECRETS, ENV_FILE=str(tmp_path))
    assert result.returncode == 1
    assert_one_sentence(result.stderr)
    assert f"{tmp_path} cannot be read" in result.stderr


@pytest.mark.sqlite
def test_env_file_gives_way_to_the_environment(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("WEB_THREADS=7\nWEB_CONCURRENCY=7\n")
    result = manage("diffsettings", **SECRETS, ENV_FILE=str(env_file), WEB_THREADS="3")
    assert "WEB_THREADS = 3 " in result.stdout
    assert "WEB_CONCURRENCY = 7 " in result.stdout


@pytest.mark.sqlite
def test_example_lists_every_setting_and_no_other() -> None:
    listed = re.findall(r"^#?([A-Z_]+)=", dotenv.EXAMPLE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(env.names)


@pytest.mark.sqlite
def test_example_explains_every_setting() -> None:
    lines = dotenv.EXAMPLE.read_text().splitlines()
    for before, line in pairwise(lines):
        if re.match(r"#?[A-Z_]+=", line):
            assert before.startswith("# ")


@pytest.mark.sqlite
def test_example_states_the_defaults(tmp_path: Path) -> None:
    plain, explicit = tmp_path / "plain", tmp_path / "explicit"
    plain.write_text(dotenv.fill(dotenv.EXAMPLE.read_text(), SECRETS))
    explicit.write_text(re.sub(r"(?m)^#(?=[A-Z_]+=)", "", plain.read_text()))
    shown = [manage("diffsettings", ENV_FILE=str(path)) for path in (plain, explicit)]
    assert shown[0].returncode == 0
    assert "WEB_THREADS = 8" in shown[0].stdout
    assert shown[0].stdout == shown[1].stdout


@pytest.mark.sqlite
def test_health_check_is_allowed_whatever_the_hosts() -> None:
    result = manage("diffsettings", **SECRETS, ALLOWED_HOSTS="bots.example.com")
    assert "ALLOWED_HOSTS = ['bots.example.com', '127.0.0.1']" in result.stdout


@pytest.mark.sqlite
def test_gunicorn_with_malformed_setting_stops_with_one_sentence() -> None:
    result = subprocess.run(
        ["gunicorn", "-c", "tradebot/gunicorn_config.py"],
        cwd=ROOT,
        env=environment(**SECRETS, WEB_THREADS="four"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert_one_sentence(result.stderr)
    assert "WEB_THREADS must be a whole number between 1 and" in result.stderr


@pytest.mark.sqlite
def test_dotenv_writes_what_the_settings_take_and_keeps_it(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    settings = environment(ENV_FILE=str(env_file))

    def write() -> str:
        return subprocess.run(
            # Without site-packages: it runs before anything is installed.
            [sys.executable, "-S", "-m", "tradebot.dotenv", "HTTPS_ONLY=false"],
            cwd=ROOT,
            env=settings,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert "written with fresh secrets" in write()
    assert env_file.stat().st_mode & 0o777 == 0o600
    text = env_file.read_text()
    assert not re.search(r"^[A-Z_]+=$", text, re.MULTILINE), "a placeholder is left"
    assert "\nHTTPS_ONLY=false\n" in text
    assert manage("check", ENV_FILE=str(env_file)).returncode == 0

    assert "kept as it is" in write()
    assert env_file.read_text() == text


@pytest.mark.sqlite
def test_dotenv_makes_other_secrets_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[set[str]] = []
    for name in ("first", "second"):
        monkeypatch.setenv("ENV_FILE", str(tmp_path / name))
        assert dotenv.main([]) == 0
        text = (tmp_path / name).read_text()
        lines.append({line for line in text.splitlines() if re.match("[A-Z]", line)})
    assert [len(each) for each in lines] == [len(dotenv.SECRETS)] * 2
    assert lines[0].isdisjoint(lines[1])


@pytest.mark.sqlite
def test_dotenv_with_unknown_name_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENV_FILE", str(tmp_path / ".env"))
    assert dotenv.main(["HTTPS_OLNY=false"]) == 2
    assert "HTTPS_OLNY is not a setting" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
