"""config.toml, environment variables and what is said about mistakes in them."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from daguerre.app.config import load
from daguerre.app.config_text import comment, line_of, write_sections
from daguerre.app.errors import ConfigError
from daguerre.app.hiding import hide_secrets
from daguerre.app.settings import HEAD, PROJECT, Settings, sections_of

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4OQ.GabcdE.abcdefghijklmnopqrstuvwxyz0123456789ab"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("DAGUERRE_") or name == "DISCORD_TOKEN":
            monkeypatch.delenv(name)


def written(folder: Path, text: str) -> Path:
    file = folder / "config.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(written(folder, text))
    return str(caught.value)


def test_shipped_file_lists_every_setting_with_its_default() -> None:
    """config.toml and the models agree: same settings, same defaults."""
    shipped = tomllib.loads((PROJECT / "config.toml").read_text(encoding="utf-8"))
    defaults = {
        section: model.model_dump(mode="json") for section, model in sections_of(Settings.model_construct()).items()
    }
    assert shipped == defaults


def test_shipped_file_says_what_every_setting_does() -> None:
    """Above each setting stands its description, word for word."""
    lines = (PROJECT / "config.toml").read_text(encoding="utf-8").splitlines()
    for section, model in sections_of(Settings.model_construct()).items():
        for key, field in type(model).model_fields.items():
            assert field.description, f"[{section}] {key} has no description"
            number = line_of("\n".join(lines), section, key)
            assert number is not None
            expected = comment(field.description)
            assert lines[number - 1 - len(expected) : number - 1] == expected, f"[{section}] {key}"


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """`daguerre config` prints a file that means the same."""
    settings = load(written(tmp_path, '[web]\nport = 9000\n[render]\ndevices = ["cpu", "cuda:1"]\n')).settings
    again = load(written(tmp_path, write_sections(sections_of(settings), HEAD))).settings
    assert again == settings
    assert again.web.port == 9000


def test_no_file_means_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty file changes nothing; a file that is named but absent is refused."""
    assert load(written(tmp_path, "")).settings.web.port == 8600
    monkeypatch.setenv("DAGUERRE_CONFIG", str(tmp_path / "absent.toml"))
    with pytest.raises(ConfigError, match=r"there is no file .*absent\.toml"):
        load()


def test_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DAGUERRE_<SECTION>__<KEY> overrides one setting and leaves the others of its section as the file has them."""
    monkeypatch.setenv("DAGUERRE_WEB__PORT", "8700")
    monkeypatch.setenv("DAGUERRE_RENDER__DEVICES", '["cpu"]')
    monkeypatch.setenv("DAGUERRE_DISCORD__EDIT_INTERVAL_SECONDS", "3")
    settings = load(written(tmp_path, '[web]\nport = 9000\nhost = "::1"\n')).settings
    assert (settings.web.port, settings.web.host) == (8700, "::1")
    assert settings.render.devices == ("cpu",)
    assert settings.discord.edit_interval_seconds == 3.0


def test_short_names_of_the_discord_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DAGUERRE_DISCORD_API_BASE and DAGUERRE_DISCORD_GATEWAY need no double underscore."""
    monkeypatch.setenv("DAGUERRE_DISCORD_API_BASE", "http://127.0.0.1:1/api/v10")
    monkeypatch.setenv("DAGUERRE_DISCORD_GATEWAY", "ws://127.0.0.1:1/gateway")
    discord = load(written(tmp_path, '[discord]\napi_base = "https://example.org"\n')).settings.discord
    assert (discord.api_base, discord.gateway) == ("http://127.0.0.1:1/api/v10", "ws://127.0.0.1:1/gateway")
    monkeypatch.setenv("DAGUERRE_DISCORD_GATEWAY", "gopher://x")
    with pytest.raises(
        ConfigError, match=r"environment variable DAGUERRE_DISCORD_GATEWAY: \[discord\] gateway must be"
    ):
        load(written(tmp_path, ""))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[web]\n\nport = 99999", "config.toml line 3: [web] port must be a whole number from 0 to 65535, not 99999"),
        ('[web]\nport = "8600"', 'config.toml line 2: [web] port must be a whole number from 0 to 65535, not "8600"'),
        ("[web]\nprot = 1", "config.toml line 2: [web] has no setting prot; did you mean port?"),
        ("web.port = true", "config.toml line 1: [web] port must be a whole number from 0 to 65535, not true"),
        ("[wep]\nport = 1", "config.toml line 1: no such section; did you mean web?"),
        ("web = 3", "config.toml line 1: a section is a table: write [web] above its settings"),
        ('[log]\nlevel = "loud"', 'level must be one of "debug", "info", "warning", "error", not "loud"'),
        ('[render]\ndevices = "cpu"', 'line 2: [render] devices must be a list of texts, at most 16, not "cpu"'),
        ("[queue]\nack_wait_seconds = 0.1", "[queue] ack_wait_seconds must be a number from 1 to 600, not 0.1"),
        ("[web]\nport = nan", "line 2: [web] port must be a whole number from 0 to 65535, not NaN"),
        ("[web]\nport = 2026-01-01", "line 2: [web] port must be a whole number"),
        ("[web\nport = 1", "config.toml is not valid TOML"),
    ],
)
def test_mistakes_in_the_file(tmp_path: Path, text: str, expected: str) -> None:
    """Each mistake names the line, the setting and what is allowed."""
    assert expected in refusal(tmp_path, text)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Nobody mends a file one start at a time."""
    text = refusal(tmp_path, "[web]\nport = -1\nmax_body_bytes = 1\n[log]\nlevel = 3\n")
    assert [line.split(":")[0] for line in text.splitlines()] == [
        "config.toml line 2",
        "config.toml line 3",
        "config.toml line 5",
    ]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (
            "DAGUERRE_WEB__PORT",
            "many",
            "variable DAGUERRE_WEB__PORT: [web] port must be a whole number from 0 to 65535",
        ),
        ("DAGUERRE_WEB__PROT", "1", "variable DAGUERRE_WEB__PROT: [web] has no setting prot; did you mean port?"),
        ("DAGUERRE_WEP__PORT", "1", "variable DAGUERRE_WEP__PORT: no such section; did you mean web?"),
        ("DAGUERRE_WEB_PORT", "1", "variable DAGUERRE_WEB_PORT: write DAGUERRE_WEB__PORT, with two underscores"),
        ("DAGUERRE_RENDER__DEVICES", "cpu", "variable DAGUERRE_RENDER__DEVICES: a list is written as JSON"),
    ],
)
def test_mistakes_in_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    """A mistake in the environment names the variable, not the file."""
    monkeypatch.setenv(name, value)
    assert expected in refusal(tmp_path, "[web]\nport = 9000\n")


@pytest.mark.parametrize(
    "text",
    [
        f'[discord]\ntoken = "{TOKEN}"',
        f"# {TOKEN}",
        '[queue]\nnats_token = "abc"',
        '[queue]\ndatabase_url = "postgresql+asyncpg://me:word@host/db"',
        '[queue]\nnats_url = "nats://word@host:4222"',
    ],
)
def test_secrets_in_the_file_are_refused(tmp_path: Path, text: str) -> None:
    """Tokens and passwords come from the environment only, and the refusal does not repeat them."""
    told = refusal(tmp_path, text)
    assert "environment variable" in told or "set the variable" in told
    assert "word@" not in told
    assert TOKEN not in told


def test_secrets_are_cleaned_and_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blanks, quotes and a pasted "Bot " around the token do no harm, and printing the record shows stars."""
    monkeypatch.setenv("DISCORD_TOKEN", f'  "Bot {TOKEN}"\n')
    monkeypatch.setenv("DAGUERRE_QUEUE__DATABASE_URL", "postgresql+asyncpg://me:word@host/db")
    configuration = load(written(tmp_path, ""))
    assert configuration.secrets.values() == (TOKEN,)
    assert TOKEN not in repr(configuration)
    printed = write_sections(configuration.sections)
    assert "word" not in printed
    assert "postgresql+asyncpg://me:***@host/db" in printed  # as SQLAlchemy renders it


#: Addresses with the secret "hunter2" in it, somewhere.
ADDRESSES = [
    ("database_url", "postgresql://me:hunter2@host/db"),
    ("database_url", "postgresql+asyncpg://me:hunt/hunter2@host/db"),
    ("database_url", "postgresql://me@corp:hunter2@host/db"),
    ("database_url", "postgresql://me:a@hunter2@host/db"),
    ("database_url", "postgresql://me:blank hunter2@host/db"),
    ("database_url", "postgresql://:hunter2@[::1]:5432/db"),
    ("database_url", "postgresql://me:7/hunter2@host/db"),
    ("database_url", "postgresql:///db?host=/run&user=me&password=hunter2"),
    ("database_url", "postgresql://host/db?sslpassword=hunter2&sslmode=require"),
    ("pictures_url", "ftp://me:hunter2@host/pictures"),
    ("pictures_url", "s3://bucket/pictures?aws_secret_access_key=hunter2"),
    ("nats_url", "nats://hunter2@host:4222"),
    ("nats_url", "nats://one:4222,nats://me:hunter2@two:4222"),
    ("nats_url", "nats://me:with,hunter2@two:4222"),
    ("nats_url", "tls://me:8080/hunter2@two:4222"),
]


@pytest.mark.parametrize(("key", "address"), ADDRESSES)
def test_no_password_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, address: str) -> None:
    """`daguerre config` shows no secret of any address, and the log's filter knows each."""
    monkeypatch.setenv(f"DAGUERRE_QUEUE__{key.upper()}", address)
    configuration = load(written(tmp_path, ""))
    assert "hunter2" not in write_sections(configuration.sections)
    assert any("hunter2" in secret for secret in configuration.hidden)


@pytest.mark.parametrize(("key", "address"), ADDRESSES)
def test_no_password_is_taken_from_the_file(tmp_path: Path, key: str, address: str) -> None:
    """The file is refused, with the line and the variable to use instead, and without the secret."""
    told = refusal(tmp_path, f'[queue]\n\n{key} = "{address}"')
    assert f"config.toml line 3: this address holds a password; set the variable DAGUERRE_QUEUE__{key.upper()}" in told
    assert "hunter2" not in told


def test_passwords_in_comments_and_lists_are_refused(tmp_path: Path) -> None:
    """Whoever can read the file can read its comments too."""
    told = refusal(tmp_path, '[web]\nport = 1\n# database_url = "postgresql://me:hunter2@host/db"')
    assert "config.toml line 3: an address with a password stands here" in told
    assert "hunter2" not in told
    told = refusal(tmp_path, '[moderation]\nrules = ["fine", "https://me:hunter2@host/"]')
    assert "config.toml line 2: this address holds a password" in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    "address", ["postgresql://me@host/db", "postgresql://host:5432/db?sslmode=require", "sqlite:////srv/a@b.db"]
)
def test_addresses_without_a_secret_are_taken(tmp_path: Path, address: str) -> None:
    """A user name alone is none, nor is an @ in a path; they are printed as they stand."""
    configuration = load(written(tmp_path, f'[queue]\ndatabase_url = "{address}"'))
    assert configuration.settings.queue.database_url == address
    assert f'"{address}"' in write_sections(configuration.sections)
    assert configuration.hidden == ()


def test_tokens_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`<NAME>_FILE` names a file with the secret; both at once, an empty or a missing one is refused."""
    file = tmp_path / "token"
    file.write_text(f"\ufeff{TOKEN}\n", encoding="utf-8")
    monkeypatch.setenv("DISCORD_TOKEN_FILE", str(file))
    monkeypatch.setenv("DAGUERRE_NATS_TOKEN_FILE", str(file))
    assert load(written(tmp_path, "")).secrets.values() == (TOKEN, TOKEN)
    monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
    assert "DISCORD_TOKEN and DISCORD_TOKEN_FILE are both set" in refusal(tmp_path, "")
    monkeypatch.delenv("DISCORD_TOKEN")
    file.write_text(" \n", encoding="utf-8")
    assert f"DISCORD_TOKEN_FILE: {file} is empty" in refusal(tmp_path, "")
    monkeypatch.setenv("DISCORD_TOKEN_FILE", str(tmp_path / "absent"))
    assert "absent cannot be read: No such file" in refusal(tmp_path, "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[web]\nport = " + "[" * 100_000, "config.toml is nested too deeply"),
        ("[web]\nport = " + "{a = " * 5_000, "config.toml is nested too deeply"),
        ("[web]\nport." + "a." * 2_000 + "b = 1", "config.toml line 2: nested too deeply"),
        ("[web]\nport = " + "[" * 50 + "]" * 50, "config.toml line 2: nested too deeply"),
        ("[web]\n\nport = " + "9" * 5_000, "config.toml line 3: a number has thousands of digits"),
        ("[web]\nport = 0x" + "f" * 5_000, "config.toml line 2: no setting is a number that large"),
        ("[web]\nport = " + "9" * 4_000, "config.toml line 2: no setting is a number that large"),
        ('[web]\nhost = "\\u0000"', "config.toml line 2: the text \\x00 holds a control character"),
        ('[storage]\ndata_dir = "a\\u001b[2J"', "config.toml line 2: the text a\\x1b[2J holds a control character"),
        ('[web]\n"ho\\u0000st" = 1', "holds a control character"),
        ('[web]\nhost = "\0"', "config.toml is not valid TOML"),
        ('[web]\nallowed_hosts = "*"', 'line 2: [web] allowed_hosts must be a list of texts, at most 32, not "*"'),
        ('[web]\nallowed_hosts = ["*"]', 'line 2: [web] allowed_hosts: "*" is no host name: write each name'),
        ('[web]\nallowed_hosts = ["*.lan"]', '"*.lan" is no host name'),
        ('[web]\nallowed_hosts = ["http://a.lan"]', '"http://a.lan" is no host name'),
        ('[web]\nallowed_hosts = ["a.lan:8600"]', '"a.lan:8600" is no host name'),
        ('[web]\nallowed_hosts = [""]', '"" is no host name'),
        ('[queue]\nroles = ["12 weight=x"]', 'line 2: [queue] roles: "12 weight=x": weight=x is none of weight=…'),
        ('[queue]\nroles = ["12"]', 'line 2: [queue] roles: "12": write a role id and what it sets'),
        ('[queue]\nroles = ["@artists weight=2"]', '"@artists weight=2": a role id is a number'),
        ('[moderation]\nrules = ["re:("]', 'line 2: [moderation] rules: "re:(": missing )'),
        ('[moderation]\nrules = ["re:a*"]', '"re:a*": it matches an empty text'),
        ('[moderation]\nrules = ["x"]', '"x": a word has at least two letters'),
        ('[moderation]\nrules = ["re:"]', '"re:": a rule has 1 to 200 characters'),
        ('[moderation]\nrules = ["a", ""]', "[moderation] rules, entry 2: String should have at least 1 character"),
        ('[moderation]\nrules = ["' + "ab" * 300 + '"]', "[moderation] rules, entry 1: String should have at most 2"),
        ("[render]\ndevices = [7]", "[render] devices, entry 1: Input should be a valid string, not 7"),
        ('[log]\nlevel = "' + "loud" * 500 + '"', "(2002 characters)"),
    ],
)
def test_odd_files_get_a_clear_line(tmp_path: Path, text: str, expected: str) -> None:
    """Whatever stands in the file, the answer is a short text that names the place and the reason."""
    told = refusal(tmp_path, text)
    assert expected in told
    assert max(map(len, told.splitlines())) < 500
    assert told.replace("\n", "").isprintable()


def test_a_mark_at_the_beginning_does_no_harm(tmp_path: Path) -> None:
    """Notepad begins UTF-8 with a byte order mark; UTF-16 is named."""
    file = tmp_path / "config.toml"
    file.write_bytes("\ufeff[web]\r\nport = 9000\r\n".encode())
    assert load(file).settings.web.port == 9000
    file.write_bytes("[web]\nport = 9000\n".encode("utf-16"))
    with pytest.raises(ConfigError, match=r"config\.toml is UTF-16 text; save it as UTF-8"):
        load(file)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DAGUERRE_RENDER__DEVICES", "[" * 100_000, "a list is written as JSON"),
        ("DAGUERRE_WEB__PORT", "9" * 5_000, "variable DAGUERRE_WEB__PORT: [web] port must be a whole number from 0"),
        ("DAGUERRE_WEB__ALLOWED_HOSTS", "*", "a list is written as JSON"),
        ("DAGUERRE_WEB__ALLOWED_HOSTS", '["*"]', '[web] allowed_hosts: "*" is no host name'),
        ("DAGUERRE_QUEUE__ROLES", '["12 weight=x"]', '"12 weight=x": weight=x is none of'),
        ("DAGUERRE_MODERATION__RULES", '["re:("]', '"re:(": missing )'),
    ],
)
def test_odd_variables_get_a_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    """The same for the environment."""
    monkeypatch.setenv(name, value)
    told = refusal(tmp_path, "")
    assert expected in told
    assert max(map(len, told.splitlines())) < 500


def test_relative_folders_count_from_the_file(tmp_path: Path) -> None:
    """The same file means the same folders, wherever the command is started."""
    configuration = load(written(tmp_path, '[storage]\ndata_dir = "here"\n[render]\nweights = "/elsewhere/w"\n'))
    assert configuration.data_dir == tmp_path / "here"
    assert configuration.weights == Path("/elsewhere/w")


def test_hide_secrets_leaves_plain_addresses_alone() -> None:
    """Only what stands before an @ in a URL goes."""
    assert hide_secrets("nats://host:4222, nats://a:b@host") == "nats://host:4222, nats://***@host"
