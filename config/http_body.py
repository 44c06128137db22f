"""The body of an HTTP answer, bounded as a whole: requests bounds only each single read of it, and
a server that sends a byte now and then would hold up whoever asked for as long as it likes."""

from __future__ import annotations

import time
from typing import Any

import requests
import urllib3

PART = 65_536  # bytes


class TooLong(requests.RequestException):
    """More bytes than are taken."""


def read_body(response: requests.Response, seconds: float, longest: int) -> bytes:
    """Of an answer that was asked for with ``stream=True``, whose ``content`` it is afterwards.

    At most ``seconds`` and one read's time-out long. Raises requests.RequestException.
    """
    raw: Any = response.raw
    until, parts, size = time.monotonic() + seconds, list[bytes](), 0
    try:
        while part := raw.read1(PART, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > longest:
                raise TooLong
            if time.monotonic() > until:
                raise requests.ReadTimeout
    except urllib3.exceptions.ReadTimeoutError:
        raise requests.ReadTimeout from None
    except urllib3.exceptions.HTTPError:
        raise requests.ConnectionError from None
    finally:
        response.close()  # of an answer that is read to its end the connection goes on
    response._content = body = b"".join(parts)
    response._content_consumed = True
    return body
