"""The variables of the project template, as they are, for when nobody names backends: a directory before a bucket.

``STORAGES_MODE`` ``s3`` (default) is AWS, whose keys may be the role's; ``do`` is DigitalOcean Spaces in ``DO_REGION``.
Public files are shown by their domain, unsigned; otherwise URLs are signed, and the domain is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ..core.errors import Fault, unknown_option
from .backends import Item
from .faults import NO_BACKENDS, TEMPLATE, TEMPLATE_MISSING
from .options import read_switch
from .sources import of_variable, variable

NOT_SET: Final = "not set"
LOCAL_DIR: Final = "./media"
DO_REGION: Final = "ams3"
MODES: Final = ("s3", "do")
_BUCKETS: Final = ("STORAGE_BUCKET_NAME", "AWS_STORAGE_BUCKET_NAME")
_KEYS: Final = {"access_key_id": "AWS_ACCESS_KEY_ID", "secret_access_key": "AWS_SECRET_ACCESS_KEY"}
# The first is django-storages', the second boto3's, the third what AWS sets in its own containers.
_REGIONS: Final = ("AWS_S3_REGION_NAME", "AWS_DEFAULT_REGION", "AWS_REGION")


def template_items(environ: Mapping[str, str], faults: list[Fault]) -> list[Item]:
    """Return the backends of the template's variables, of which an empty one is as good as none."""
    given = {name: text.strip() for name, text in environ.items() if text.strip()}
    if not any(name in given for name in (*_BUCKETS, "STORAGES_MODE", "STORAGE_MAKE_FILES_PUBLIC")):
        reason = (
            "there are none: give a list, set MEDIAMW_BACKENDS='./media s3://acme-media?profile=acme-ro', "
            "write mediamw.toml, or set STORAGE_BUCKET_NAME"
        )
        faults.append(Fault(NO_BACKENDS, "backends", NOT_SET, reason))
        return []
    before = len(faults)
    mode = given.get("STORAGES_MODE", "s3")
    if mode not in MODES:
        reason = unknown_option(mode, MODES, "mode")
        faults.append(Fault(TEMPLATE, "STORAGES_MODE", of_variable("STORAGES_MODE"), reason))
    bucket, source = _bucket(given, faults)
    secrets = _keys(given, mode, faults)
    options, sources = _public(given, faults), {"custom_domain": of_variable("AWS_S3_CUSTOM_DOMAIN")}
    if mode == "do":
        options |= _spaces(given, faults)
        of_region = of_variable("DO_REGION") if "DO_REGION" in given else "default"
        sources |= {"region": of_region, "endpoint_url": of_region}
    elif (name := next((name for name in _REGIONS if name in given), None)) is not None:
        options["region"], sources["region"] = given[name], of_variable(name)
    local = _local_dir(given, faults)
    if len(faults) > before:
        return []
    return [local, Item(f"s3://{bucket}", mode, options, source, secrets, sources)]


def _local_dir(given: Mapping[str, str], faults: list[Fault]) -> Item:
    name = "MEDIAMW_LOCAL_DIR"
    source = of_variable(name) if name in given else "default"
    path = given.get(name, LOCAL_DIR)
    if "://" in path:  # not repeated: who knows what is in it
        reason = "it is the path of a directory: other backends stand in MEDIAMW_BACKENDS"
        faults.append(Fault(TEMPLATE, name, source, reason))
    from pathlib import Path

    return Item(Path(path), "local", source=source)


def _bucket(given: Mapping[str, str], faults: list[Fault]) -> tuple[str, str]:
    names = [name for name in _BUCKETS if name in given]
    if not names:
        reason = "no bucket is named: set STORAGE_BUCKET_NAME; for a directory alone set MEDIAMW_BACKENDS=./media"
        faults.append(Fault(TEMPLATE_MISSING, "STORAGE_BUCKET_NAME", NOT_SET, reason))
        return "", ""
    bucket, source = given[names[0]], of_variable(names[0])
    if len({given[name] for name in names}) > 1:
        reason = f"it is another bucket than that of {names[1]}: unset one of them"
        faults.append(Fault(TEMPLATE, names[0], source, reason))
    elif not re.fullmatch(r"[A-Za-z0-9._-]+", bucket):
        faults.append(Fault(TEMPLATE, names[0], source, "give the bucket's name alone, such as acme-media"))
    return bucket, source


def _keys(given: Mapping[str, str], mode: str, faults: list[Fault]) -> dict[str, tuple[str, str]]:
    """In mode ``s3`` botocore finds them, whoever gives them: the environment, a profile, the role."""
    missing = [name for option, name in _KEYS.items() if name not in given and variable(mode, option) not in given]
    if missing and (mode == "do" or len(missing) == 1):
        for name in missing:
            why = "Spaces has no roles" if mode == "do" else "the other half is set"
            reason = f"{why}: set it to that of a key that may only read"
            faults.append(Fault(TEMPLATE_MISSING, name, NOT_SET, reason))
    own = [option for option in _KEYS if variable(mode, option) in given]
    if mode != "do" or own:  # a pair of keys comes from one place
        return {}
    return {option: (given[name], name) for option, name in _KEYS.items() if name in given}


def _public(given: Mapping[str, str], faults: list[Fault]) -> dict[str, Any]:
    name = "STORAGE_MAKE_FILES_PUBLIC"
    try:
        is_public = name in given and read_switch(given[name])
    except ValueError as error:
        faults.append(Fault(TEMPLATE, name, of_variable(name), str(error)))
        return {}
    if not is_public:
        return {}
    domain = given.get("AWS_S3_CUSTOM_DOMAIN")
    if domain is None:
        reason = f"files are public ({name}), and no domain shows them: set it, or unset {name}"
        faults.append(Fault(TEMPLATE_MISSING, "AWS_S3_CUSTOM_DOMAIN", NOT_SET, reason))
    return {"custom_domain": domain}


def _spaces(given: Mapping[str, str], faults: list[Fault]) -> dict[str, Any]:
    region = given.get("DO_REGION", DO_REGION)
    if not re.fullmatch("[a-z]{3}[0-9]", region):
        reason = f"{region!r} is no region of Spaces: write it as ams3, fra1 or nyc3 are written"
        faults.append(Fault(TEMPLATE, "DO_REGION", of_variable("DO_REGION"), reason))
    return {"endpoint_url": f"https://{region}.digitaloceanspaces.com", "region": region}
