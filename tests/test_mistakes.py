"""Typical mistakes: each is an error before the first request that names the setting, its source and the way out."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mediamw import asgi, wsgi
from mediamw.cli import main
from mediamw.core.errors import ConfigErrors

SECRET = "the-secret-of-it"
BACKENDS = {"MEDIAMW_BACKENDS": "./media s3://acme?profile=acme-ro"}


class Mistake(NamedTuple):
    """What is wrong, in the environment, the file or the keywords, and the one fault that it is."""

    what: str
    environ: dict[str, str]
    fault: str
    setting: str
    source: str
    way_out: str
    toml: str = ""
    keywords: Mapping[str, Any] = {}


def of(name: str) -> str:
    return f"environment variable {name}"


MISTAKES = [
    Mistake("nothing is set", {}, "E004", "backends", "not set", "set MEDIAMW_BACKENDS='./media s3://"),
    Mistake(
        "no backends in the list",
        {"MEDIAMW_BACKENDS": " "},
        *("E004", "backends", of("MEDIAMW_BACKENDS"), "it is set and empty: write './media s3://"),
    ),
    Mistake("no bucket", {"STORAGES_MODE": "s3"}, "E012", "STORAGE_BUCKET_NAME", "not set", "set STORAGE_BUCKET_NAME"),
    Mistake(
        "a spec without its bucket",
        {"MEDIAMW_BACKENDS": "./media prod=s3://?profile=x"},
        *("E007", "backends.prod", of("MEDIAMW_BACKENDS"), "bucket '': give the bucket's name alone, such as"),
    ),
    Mistake(
        "a region that is none",
        {"MEDIAMW_BACKENDS": "./media 's3://acme?region=EU (Ireland)'"},
        *("E007", "backends.s3", of("MEDIAMW_BACKENDS"), "give a region's name, such as eu-west-1"),
    ),
    Mistake(
        "a region that AWS has not",
        {"MEDIAMW_BACKENDS": "./media s3://acme?region=eu-west1"},
        *(
            "E007",
            "backends.s3",
            of("MEDIAMW_BACKENDS"),
            "region 'eu-west1': AWS has none of this form: write it as eu-west-1",
        ),
    ),
    Mistake(
        "a region of Spaces without Spaces",
        {"MEDIAMW_BACKENDS": "./media s3://acme?region=fra1"},
        *("E007", "backends.s3", of("MEDIAMW_BACKENDS"), "or give the endpoint_url of the S3 that has it"),
    ),
    Mistake(
        "a region that is not the endpoint's",
        {"MEDIAMW_BACKENDS": "./media s3://acme?region=ams3&endpoint_url=https://fra1.digitaloceanspaces.com"},
        *(
            "E007",
            "backends.s3",
            of("MEDIAMW_BACKENDS"),
            "region 'ams3' contradicts endpoint_url, which is in fra1: correct",
        ),
    ),
    Mistake(
        "a region that is not that of AWS's host",
        {"MEDIAMW_BACKENDS": "./media s3://acme?region=us-east-1&endpoint_url=https://s3.eu-west-1.amazonaws.com"},
        *(
            "E007",
            "backends.s3",
            of("MEDIAMW_BACKENDS"),
            "contradicts endpoint_url, which is in eu-west-1: correct one",
        ),
    ),
    Mistake(
        "the template's region",
        {"STORAGE_BUCKET_NAME": "acme", "AWS_S3_REGION_NAME": "EU-WEST-1"},
        *("E007", "backends.s3", of("AWS_S3_REGION_NAME"), "write it as eu-west-1 is written"),
    ),
    Mistake(
        "half a key",
        {**BACKENDS, "MEDIAMW_BACKEND_S3_ACCESS_KEY_ID": "AK"},
        *(
            "E007",
            "backends.s3",
            f"{of('MEDIAMW_BACKENDS')}, {of('MEDIAMW_BACKEND_S3_ACCESS_KEY_ID')}",
            "one is missing",
        ),
    ),
    Mistake(
        "a profile and a key",
        {
            **BACKENDS,
            "MEDIAMW_BACKEND_S3_ACCESS_KEY_ID": "AK",
            "MEDIAMW_BACKEND_S3_SECRET_ACCESS_KEY": SECRET,
        },
        *("E007", "backends.s3", of("MEDIAMW_BACKENDS"), "give one of them"),
    ),
    Mistake(
        "a secret in a spec",
        {"MEDIAMW_BACKENDS": f"./media prod=s3://acme?secret_access_key={SECRET}"},
        *("E008", "backends.prod", of("MEDIAMW_BACKENDS"), "MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID"),
    ),
    Mistake(
        "keys before the bucket",
        {"MEDIAMW_BACKENDS": f"./media s3://AKREADONLY:{SECRET}/up@acme"},
        *("E008", "backends.s3", of("MEDIAMW_BACKENDS"), "MEDIAMW_BACKEND_S3_ACCESS_KEY_ID"),
    ),
    Mistake(
        "a secret in the place of an option",
        {"MEDIAMW_BACKENDS": f"./media s3://acme?{SECRET}%2F4Ab=1"},
        *("E008", "backends.s3", of("MEDIAMW_BACKENDS"), "secret does not belong into a spec; use profile=NAME"),
    ),
    Mistake(
        "a password in the base URL",
        {**BACKENDS, "MEDIAMW_BASE_URL": f"https://qa:{SECRET}@cdn.example.com"},
        *("E006", "base_url", of("MEDIAMW_BASE_URL"), "user and password do not belong into a URL that everybody sees"),
    ),
    Mistake(
        "one variable for two backends",
        {
            "MEDIAMW_BACKENDS": "./media s3-eu=s3://eu S3_EU=https://h.example/",
            "MEDIAMW_BACKEND_S3_EU_SESSION_TOKEN": SECRET,
        },
        *("E009", "backends.s3-eu.session_token", of("MEDIAMW_BACKEND_S3_EU_SESSION_TOKEN")),
        "it is the variable of S3_EU and s3-eu: name one of them otherwise",
    ),
    Mistake(
        "a password in a URL",
        {"MEDIAMW_BACKENDS": f"./media https://qa:{SECRET}@www.example.com/media/"},
        *("E008", "backends.http", of("MEDIAMW_BACKENDS"), "MEDIAMW_BACKEND_HTTP_PASSWORD"),
    ),
    Mistake(
        "a secret in the file",
        {},
        *("E008", "backends.prod.secret_access_key", "mediamw.toml: backends[0]"),
        "set MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY",
        toml=f"[[backends]]\nname = 'prod'\nspec = 's3://acme'\nsecret_access_key = '{SECRET}'",
    ),
    Mistake(
        "a secret for a backend of another name",
        {**BACKENDS, "MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID": "AK"},
        *("E009", "MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID", of("MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID")),
        "there are local, s3: correct the variable",
    ),
    Mistake(
        "a prefix without its slash",
        {**BACKENDS, "MEDIAMW_PREFIX": "/media"},
        *("E006", "prefix", of("MEDIAMW_PREFIX"), "'/media' must start and end with '/', such as /media/"),
    ),
    Mistake(
        "a misspelt variable",
        {**BACKENDS, "MEDIAMW_PREFX": "/m/"},
        *("E001", "MEDIAMW_PREFX", of("MEDIAMW_PREFX"), "did you mean MEDIAMW_PREFIX?"),
    ),
    Mistake(
        "a misspelt secret",
        {**BACKENDS, "MEDIAMW_BACKEND_S3_SECRET_KEY": SECRET},
        *("E001", "MEDIAMW_BACKEND_S3_SECRET_KEY", of("MEDIAMW_BACKEND_S3_SECRET_KEY")),
        "did you mean MEDIAMW_BACKEND_S3_SECRET_ACCESS_KEY?",
    ),
    Mistake(
        "a secret that says of no backend that it is one",
        {**BACKENDS, "MEDIAMW_S3_ACCESS_KEY_ID": SECRET},
        *("E001", "MEDIAMW_S3_ACCESS_KEY_ID", of("MEDIAMW_S3_ACCESS_KEY_ID"), "MEDIAMW_BACKEND_<NAME>_..."),
    ),
    Mistake(
        "a misspelt option of the file",
        BACKENDS,
        "E001",
        "prefx",
        "mediamw.toml: prefx",
        "mean prefix?",
        "prefx = '/m/'",
    ),
    Mistake(
        "the singular",
        {},
        *("E001", "backend", "mediamw.toml: backend", "did you mean backends?"),
        toml="backends = ['./media']\n[[backend]]\nspec = 's3://acme'",
    ),
    Mistake(
        "a misspelt keyword",
        BACKENDS,
        *("E001", "max_aeg", "keyword max_aeg", "did you mean max_age?"),
        keywords={"max_aeg": 60},
    ),
    Mistake(
        "a misspelt option of a spec",
        {"MEDIAMW_BACKENDS": "./media s3://acme?regoin=eu-west-1"},
        *("E007", "backends.s3", of("MEDIAMW_BACKENDS"), "unknown option 'regoin'; did you mean region?"),
    ),
    Mistake(
        "a boolean that is none",
        {**BACKENDS, "MEDIAMW_DEBUG": "maybe"},
        *("E002", "debug", of("MEDIAMW_DEBUG"), "write 1 or 0, true or false"),
    ),
    Mistake(
        "a text for a boolean",
        BACKENDS,
        *("E006", "enabled", "keyword enabled", "'false' is neither True nor False"),
        keywords={"enabled": "false"},
    ),
    Mistake(
        "a number with its unit",
        {**BACKENDS, "MEDIAMW_MAX_AGE": "60s"},
        *("E002", "max_age", of("MEDIAMW_MAX_AGE"), "'60s' is not a whole number, 0 or more: write digits alone"),
    ),
    Mistake(
        "a variable that was not filled",
        {**BACKENDS, "MEDIAMW_PREFIX": ""},
        *("E002", "prefix", of("MEDIAMW_PREFIX"), "give it a value, or do not set it"),
    ),
    Mistake(
        "a file that is no TOML",
        BACKENDS,
        *("E003", "mediamw.toml", "mediamw.toml", "line 1, column 10); texts stand in quotes"),
        toml="prefix = /media/\nbackends = ['./media']",
    ),
    Mistake(
        "an option of the middleware below the tables",
        {},
        *(
            "E001",
            "prefix",
            "mediamw.toml: backends[1]",
            "write it beside backends, in TOML above the first [[backends]]",
        ),
        toml="[[backends]]\nspec = './media'\n[[backends]]\nspec = 's3://acme'\nprefix = '/files/'\n",
    ),
    Mistake(
        "a variable's name in the file",
        {},
        *("E001", "MEDIAMW_PREFIX", "mediamw.toml: MEDIAMW_PREFIX", "'MEDIAMW_PREFIX'; here it is written prefix"),
        toml="backends = ['./media']\nMEDIAMW_PREFIX = '/files/'\n",
    ),
    Mistake(
        "a blank in a location",
        {"MEDIAMW_BACKENDS": "./media s3://acme/up loads?region=eu-west-1"},
        *("E007", "backends.local_2", of("MEDIAMW_BACKENDS"), "quotes stand around a spec that holds a blank"),
    ),
    Mistake(
        "a blank before an option",
        {"MEDIAMW_BACKENDS": f"./media s3://acme?region=eu-west-1 secret_access_key={SECRET}"},
        *("E007", "backends.secret_access_key", of("MEDIAMW_BACKENDS"), "secret_access_key= is no name but an option"),
    ),
    Mistake(
        "the bucket in the endpoint, as Spaces shows it",
        {"MEDIAMW_BACKENDS": "./media s3://acme?endpoint_url=https://acme.fra1.digitaloceanspaces.com&region=fra1"},
        *("E007", "backends.s3", of("MEDIAMW_BACKENDS"), "endpoint_url: the bucket stands in it"),
    ),
    Mistake(
        "the bucket in the endpoint, as R2 shows it",
        {"MEDIAMW_BACKENDS": "./media s3://acme?endpoint_url=https://0a.r2.cloudflarestorage.com/acme&region=auto"},
        *("E007", "backends.s3", of("MEDIAMW_BACKENDS"), "give it without the bucket"),
    ),
    Mistake(
        "a region with the quotes of an env file",
        {"STORAGE_BUCKET_NAME": "acme", "AWS_S3_REGION_NAME": '"eu-west-1"'},
        *("E007", "backends.s3", of("AWS_S3_REGION_NAME"), """region '"eu-west-1"': give a region's name"""),
    ),
    Mistake(
        "a file that is not there",
        {**BACKENDS, "MEDIAMW_CONFIG": "conf/mediamw.toml"},
        *("E003", "conf/mediamw.toml", of("MEDIAMW_CONFIG"), "No such file or directory): correct the path"),
    ),
    Mistake(
        "two backends of one name",
        {"MEDIAMW_BACKENDS": "prod=./media prod=s3://acme"},
        *("E010", "backends", of("MEDIAMW_BACKENDS"), "give each a name of its own"),
    ),
    Mistake(
        "one directory twice",
        {"MEDIAMW_BACKENDS": "./media old=media/../media/"},
        *("E010", "backends.old", of("MEDIAMW_BACKENDS"), "it has the same files as 'local': leave one of them out"),
    ),
    Mistake(
        "one directory by two names",
        {"MEDIAMW_BACKENDS": "./media old=./link-to-media"},
        *("E010", "backends.old", of("MEDIAMW_BACKENDS"), "it has the same files as 'local': leave one of them out"),
    ),
    Mistake(
        "one bucket twice",
        {"MEDIAMW_BACKENDS": "./media s3://acme/up?region=eu-west-1 prod=s3://acme?location=up/"},
        *("E010", "backends.prod", of("MEDIAMW_BACKENDS"), "it has the same files as 's3': leave one of them out"),
    ),
    Mistake(
        "the upper inside a lower",
        {"MEDIAMW_BACKENDS": "./media/dev prod=./media"},
        *("E010", "backends.prod", of("MEDIAMW_BACKENDS")),
        "'local' lies inside 'prod', and 'local' takes all uploads, which would be in both: give one",
    ),
    Mistake(
        "a lower inside the upper",
        {"MEDIAMW_BACKENDS": "./media old=./media/old"},
        *("E010", "backends.old", of("MEDIAMW_BACKENDS"), "'old' lies inside 'local', and 'local' takes all uploads"),
    ),
    Mistake(
        "commas between specs",
        {"MEDIAMW_BACKENDS": "./media, s3://acme"},
        *("E005", "backends", of("MEDIAMW_BACKENDS"), "blanks stand between specs, not ',' or ';'"),
    ),
    Mistake(
        "commas alone",
        {"MEDIAMW_BACKENDS": "./media,prod=s3://acme"},
        *("E005", "backends", of("MEDIAMW_BACKENDS"), "blanks stand between specs, not ',' or ';'"),
    ),
    Mistake(
        "JSON",
        {"MEDIAMW_BACKENDS": '["./media", "s3://acme"]'},
        *("E005", "backends", of("MEDIAMW_BACKENDS"), "no brackets around them: './media s3://acme-media'"),
    ),
    Mistake(
        "quotes around the whole",
        {"MEDIAMW_BACKENDS": '"./media s3://acme"'},
        *("E007", "backends.local", of("MEDIAMW_BACKENDS"), "blanks divide them, and quotes stand around one"),
    ),
    Mistake(
        "a name with a dot",
        {"MEDIAMW_BACKENDS": "./media acme.prod=s3://acme"},
        *(
            "E007",
            "backends.local_2",
            of("MEDIAMW_BACKENDS"),
            "a name before '=' has ASCII letters, digits, '-' and '_'",
        ),
    ),
    Mistake(
        "a variable that nobody replaced",
        {"MEDIAMW_BACKENDS": "$HOME/media s3://acme"},
        *("E007", "backends.local", of("MEDIAMW_BACKENDS"), "write the path itself, or ./ before it"),
    ),
    Mistake(
        "the table of another tool's habit",
        BACKENDS,
        *("E001", "mediamw", "mediamw.toml: mediamw", "the options stand at the top of the file"),
        toml="[mediamw]\nprefix = '/m/'",
    ),
    Mistake(
        "a scheme that there is not",
        {"MEDIAMW_BACKENDS": "./media gs://acme"},
        *("E007", "backends.gs", of("MEDIAMW_BACKENDS"), "there are s3://bucket, https://host/path/"),
    ),
    Mistake(
        "a blank that is not quoted",
        {"MEDIAMW_BACKENDS": "./my media s3://acme"},
        *("E005", "backends", of("MEDIAMW_BACKENDS"), "write quotes around a path with blanks"),
    ),
    Mistake(
        "a quote that does not end",
        {"MEDIAMW_BACKENDS": "'./my media s3://acme"},
        *("E005", "backends", of("MEDIAMW_BACKENDS"), "a quote is opened and not closed"),
    ),
    Mistake(
        "a file in the place of the directory",
        {"MEDIAMW_BACKENDS": "./file.txt s3://acme"},
        *("E007", "backends.local", of("MEDIAMW_BACKENDS"), "is not a directory: name the directory of the media"),
    ),
    Mistake(
        "uploads that are not stored where they are looked for",
        {},
        *("E010", "backends.local", "mediamw.toml: backends", "the first backend takes all uploads"),
        toml="backends = [{spec = './media', exclude = ['tmp/']}, 's3://acme']",
    ),
    Mistake(
        "two writable backends",
        {"MEDIAMW_BACKENDS": "./media s3://acme?writable=true"},
        *("E010", "backends.s3", of("MEDIAMW_BACKENDS"), "the first backend takes all writes, and the others"),
    ),
    Mistake(
        "two writable backends, in the file",
        {},
        *("E010", "backends.s3", "mediamw.toml: backends", "the first backend takes all writes, and the others"),
        toml="backends = ['./media', {spec = 's3://acme', writable = true}]",
    ),
    Mistake(
        "two things that browsers see",
        {"MEDIAMW_BACKENDS": "./media s3://acme?custom_domain=cdn.example.com&public_endpoint_url=http://h"},
        *("E007", "backends.s3", of("MEDIAMW_BACKENDS"), "both say what browsers see: give one of them"),
    ),
    Mistake(
        "Spaces without keys",
        {"STORAGES_MODE": "do", "STORAGE_BUCKET_NAME": "acme", "AWS_ACCESS_KEY_ID": "AK"},
        *("E012", "AWS_SECRET_ACCESS_KEY", "not set", "set it to that of a key that may only read"),
    ),
    Mistake(
        "public files without a domain",
        {"STORAGE_BUCKET_NAME": "acme", "STORAGE_MAKE_FILES_PUBLIC": "1"},
        *("E012", "AWS_S3_CUSTOM_DOMAIN", "not set", "set it, or unset STORAGE_MAKE_FILES_PUBLIC"),
    ),
    Mistake(
        "a function that is not there",
        {**BACKENDS, "MEDIAMW_AUTHORIZE": "tests.test_mistakes:may_se"},
        *("E011", "authorize", of("MEDIAMW_AUTHORIZE"), "tests.test_mistakes has no may_se: correct one of the two"),
    ),
]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # to which the commands add the project
    (tmp_path / "my media").mkdir()
    (tmp_path / "file.txt").write_text("")
    (tmp_path / "media").mkdir()
    (tmp_path / "link-to-media").symlink_to("media")


def test_there_are_25() -> None:
    assert len({mistake.what for mistake in MISTAKES}) == len(MISTAKES) >= 25


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.what for mistake in MISTAKES])
def test_mistakes(mistake: Mistake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in mistake.environ.items():
        monkeypatch.setenv(name, text)
    if mistake.toml:
        Path("mediamw.toml").write_text(mistake.toml)
    for middleware in (wsgi.MediaMiddleware, asgi.MediaMiddleware):
        with pytest.raises(ConfigErrors) as caught:
            middleware(None, **mistake.keywords)
        (fault,) = caught.value.faults
        assert (fault.id, fault.setting) == (f"mediamw.{mistake.fault}", mistake.setting)
        assert fault.source.startswith(mistake.source)
        assert mistake.way_out in fault.reason
        assert SECRET not in f"{fault} {caught.value} {caught.value!r}"
    if not mistake.keywords:
        for words in (["config"], ["config", "--json"], ["explain", "a.jpg"], ["serve", "--port", "0"]):
            assert main(words) == 2
            out, err = capsys.readouterr()
            first, _, rest = err.partition("\n")
            assert first == f"mediamw: {fault}"
            assert rest.startswith("mediamw: what code gives, ") if fault.source == "not set" else not rest
            assert SECRET not in out
