"""`python3 -m stockmind.healthcheck`: exit 0 when /health says so. Used by the image."""

import os
import sys
import urllib.error
import urllib.request

TIMEOUT_S = 2.5


def main() -> int:
    port = os.environ.get("PORT") or "5000"
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=TIMEOUT_S) as answer:
            sys.stdout.write(answer.read().decode())
            return 0
    except urllib.error.HTTPError as error:
        sys.stdout.write(error.read().decode())
    except OSError as error:
        sys.stdout.write(f"no answer on port {port}: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
