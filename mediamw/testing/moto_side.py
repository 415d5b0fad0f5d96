"""How a request is handed to moto, in process: as WSGI, in path style, in the account of one StrictS3."""

import os
import sys
from importlib.util import find_spec
from io import BytesIO
from typing import Any
from urllib.parse import unquote

from .s3_request import HttpRequest


def require_moto() -> None:
    missing = [name for name in ("moto", "flask", "flask_cors") if find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(f"StrictS3 needs {', '.join(missing)}: pip install 'mediamw[demo]'", name=missing[0])
    if "MOTO_ACCOUNT_ID" in os.environ:
        raise RuntimeError(
            "MOTO_ACCOUNT_ID is set: it would put the buckets of every StrictS3 into one account; unset it"
        )


def keep_moto_from_profiles() -> None:
    """Have moto open its botocore session without a profile: it does so before its first XML error, and would fail if
    AWS_PROFILE names none."""
    import botocore.session
    import moto.core.utils

    utils: Any = moto.core.utils  # its type says nothing of what it imports
    utils.Session = lambda: botocore.session.Session(session_vars={"profile": (None, None, None, None)})


def moto_environ(request: HttpRequest, path: str, port: int, account: str) -> dict[str, Any]:
    """The WSGI environment for moto: path style whatever the client used, in our account."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path, "latin-1"),
        "QUERY_STRING": request.raw_query,
        "RAW_URI": f"{path}?{request.raw_query}",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    spelling: dict[str, str] = {}
    for name, value in request.header_map.items():
        variable = "HTTP_" + name.upper().replace("-", "_")
        if "_" not in name:
            environ[variable] = value
        elif name.startswith("x-amz-meta-") and variable not in environ:
            environ[variable] = value  # WSGI cannot tell "_" from "-"; moto reads the spelling from aside
            spelling[variable] = name
    environ["moto.preserved_header_names"] = spelling
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
    environ["CONTENT_LENGTH"] = str(len(request.body))
    environ.pop("HTTP_CONTENT_LENGTH", None)
    environ.pop("HTTP_TRANSFER_ENCODING", None)  # the body is whole by now
    environ["HTTP_HOST"] = f"127.0.0.1:{port}"
    environ["HTTP_X_MOTO_ACCOUNT_ID"] = account
    # moto guesses at the rights of what has no Authorization header; those were settled here.
    environ.setdefault("HTTP_AUTHORIZATION", "AWS4-HMAC-SHA256 Credential=guard/20000101/us-east-1/s3/aws4_request")
    return environ
