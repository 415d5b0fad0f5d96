"""Secrets in the logs of botocore and urllib3, in each form in which they write them."""

from __future__ import annotations

import pytest

from mediamw.backends.redaction import without_secrets

FORMS = {
    "https://b.s3/k?X-Amz-Signature={}&X-Amz-Date=1": "https://b.s3/k?X-Amz-Signature=REDACTED&X-Amz-Date=1",
    "GET /k?X-Amz-Security-Token={} HTTP/1.1": "GET /k?X-Amz-Security-Token=REDACTED HTTP/1.1",
    "headers={{'X-Amz-Security-Token': b'{}', 'x': 1}}": "headers={{'X-Amz-Security-Token': b'REDACTED', 'x': 1}}",
    "Credential=AK/1/s3, Signature={}": "Credential=AK/1/s3, Signature=REDACTED",
    "Signature:\n{}": "Signature:\nREDACTED",
    "x-amz-security-token:{}\n\nhost": "x-amz-security-token:REDACTED\n\nhost",
    "<SignatureProvided>{}</SignatureProvided>": "<SignatureProvided>REDACTED</SignatureProvided>",
    "<CanonicalRequestBytes>47 45</CanonicalRequestBytes>": "<CanonicalRequestBytes>REDACTED</CanonicalRequestBytes>",
    '{{"SecretAccessKey" : "{}", "Token" : "{}"}}': '{{"SecretAccessKey" : "REDACTED", "Token" : "REDACTED"}}',
    "<SecretAccessKey>{}</SecretAccessKey>": "<SecretAccessKey>REDACTED</SecretAccessKey>",
    "aws_secret_access_key={}": "aws_secret_access_key=REDACTED",
}


@pytest.mark.parametrize("secret", ["0a1b2c", "b0a1b2c", "wJal/K7M+DENG="])  # b: as in b'...', and a hex digit
@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str, secret: str) -> None:
    assert without_secrets(form.format(secret, secret)) == FORMS[form].format()


@pytest.mark.parametrize(
    "text", ["X-Amz-Credential=AK%2F1&X-Amz-Date=20261121T000000Z", "SignedHeaders=host", "a token"]
)
def test_the_rest_stays(text: str) -> None:
    assert without_secrets(text) == text
