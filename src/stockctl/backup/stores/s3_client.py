"""A connection to S3 or to a server that speaks it, and what its failures mean."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import unquote_plus

from stockctl.core.errors import StoreFailed
from stockctl.core.secret import Secret

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")
_AGAIN = "Is the server there, and is backup.endpoint right?"
_KEYS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the env file or the environment."
_HINTS = {
    "NoSuchBucket": "Make the bucket first; stockctl does not.",
    "AccessDenied": "The key may: list the bucket, get, put and delete objects, abort uploads.",
    "InvalidAccessKeyId": _KEYS,
    "SignatureDoesNotMatch": "The secret key is not the one of that access key.",
    "RequestTimeTooSkewed": "The clock of this machine is wrong.",
    "InternalError": "The server failed: is its disk full? Its log says more.",
    "SlowDown": "The store asks for fewer requests. Try again later.",
    "NoSuchUpload": "Somebody ended it, or the server forgot it.",
    "InvalidObjectState": "It is in cold storage: bring it back there first.",
    "NotImplemented": "The server does not know this part of S3.",
}
_FULL = re.compile(r"StorageFull|InsufficientStorage|QuotaExceeded|QuotaExceededException|\b507\b")


@dataclass(frozen=True, slots=True)
class S3Options:
    """`endpoint` None is AWS. A request is given `timeout_s` for each answer and `attempts` tries.
    `values` are those of the env file, which go before the process environment."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    path_style: bool | None = None
    storage_class: str | None = None
    encryption: str | None = None
    kms_key: str | None = None
    values: Mapping[str, Secret] = field(default_factory=dict)
    timeout_s: float = 60.0
    attempts: int = 5


def connect(options: S3Options) -> Any:
    """Nothing is sent yet. Raises StoreFailed for what cannot be an endpoint."""
    import boto3
    from botocore.config import Config

    with explained("connect to the store"):
        style = options.path_style if options.path_style is not None else bool(options.endpoint)
        client = boto3.session.Session(**_credentials(options)).client(
            "s3",
            endpoint_url=options.endpoint,
            config=Config(
                s3={"addressing_style": "path" if style else "auto"},
                # Newer defaults add headers that many servers refuse.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                # Standard mode: throttling, time-outs, 5xx; with jitter.
                retries={"mode": "standard", "total_max_attempts": options.attempts},
                connect_timeout=min(10.0, options.timeout_s),
                read_timeout=options.timeout_s,
                max_pool_connections=16,
            ),
        )
    client.meta.events.register("before-parse.s3.ListObjectsV2", _keep_the_page)
    return client


def secrets_in(environ: Mapping[str, str]) -> list[Secret]:
    """What of the process environment must be shown nowhere."""
    return [Secret(environ[name]) for name in CREDENTIALS[1:] if environ.get(name)]


def _credentials(options: S3Options) -> dict[str, Any]:
    """Whole or not at all from the env file; else wherever boto3 finds some."""
    found: dict[str, Any] = {}
    access, secret, token = (options.values.get(name) for name in CREDENTIALS)
    if access and secret:
        found["aws_access_key_id"] = access.reveal()
        found["aws_secret_access_key"] = secret.reveal()
        found["aws_session_token"] = token.reveal() if token else None
    given = [options.values[name].reveal() for name in _REGION if options.values.get(name)]
    given += [os.environ[name] for name in _REGION if os.environ.get(name)]
    region = options.region or next(iter(given), None)
    if region or options.endpoint:  # a server of one's own has none, but signatures name one
        found["region_name"] = region or "us-east-1"
    return found


# A page of 1000 keys takes botocore 65 ms to read, nearly all of it for dates; this takes 2.
_CONTENTS = re.compile(r"<Contents>(.*?)</Contents>", re.DOTALL)
_FIELD = re.compile(r"<(Key|Size|ETag|LastModified)>([^<]*)</")
_MORE = re.compile(r"<NextContinuationToken>([^<]*)</NextContinuationToken>")
_NO_PAGE = b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></ListBucketResult>'


def _keep_the_page(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_more: Any
) -> None:
    """An extension point of botocore: what we put there comes with its own, empty, answer."""
    if response_dict["status_code"] == 200:
        customized_response_dict["Page"] = response_dict["body"].decode()
        response_dict["body"] = _NO_PAGE


def listing(client: Any, bucket: str, prefix: str) -> Iterator[tuple[dict[str, str], str]]:
    """What the server says of each key that begins like that and goes on without a slash, and the
    `Date` of its answer."""
    token: dict[str, Any] = {}
    while True:
        answer: Any = client.list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter="/", **token)
        page, date = answer["Page"], answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        encoded = "<EncodingType>url<" in page  # which botocore asks for, and would undo
        for found in _CONTENTS.finditer(page):
            fields = dict(_FIELD.findall(found[1]))
            plain = {name: unescape(v) if "&" in v else v for name, v in fields.items()}
            if encoded and ("%" in plain["Key"] or "+" in plain["Key"]):
                plain["Key"] = unquote_plus(plain["Key"])
            yield plain, date
        more = _MORE.search(page)
        if more is None:
            return
        token = {"ContinuationToken": unescape(more[1])}


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Whatever boto3 raises becomes a StoreFailed; it quotes no credentials."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ClientError as error:
        raise _refused(doing, error) from error
    except HTTPClientError as error:
        said = "no answer in time" if "imeout" in type(error).__name__ else _first_line(error)
        raise StoreFailed(f"cannot {doing}: {said}", hint=_AGAIN) from error
    except (BotoCoreError, Boto3Error, HTTPError, OSError, ValueError) as error:
        hint = _KEYS if "redentials" in type(error).__name__ else _AGAIN
        raise StoreFailed(f"cannot {doing}: {_first_line(error)}", hint=hint) from error


def _refused(doing: str, error: Any) -> StoreFailed:
    said = error.response.get("Error", {})
    code, message = str(said.get("Code", "")), str(said.get("Message", ""))
    if code in ("404", "NoSuchKey", "NotFound"):
        return StoreFailed(f"cannot {doing}: it is not there", hint="stockctl backup list ENV")
    if code in ("403", "Forbidden"):
        code = "AccessDenied"
    hint = _HINTS.get(code, "")
    if _FULL.search(f"{code} {message}"):
        hint = "The store is full: make room, or prune (`stockctl backup prune ENV --plan`)."
    return StoreFailed(f"cannot {doing}: {code} {message}".rstrip(), hint=hint)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
