"""An S3 that lives in memory, and answers one request after the other.

Moto's own server looks whether a key is there, and then puts it: of two that ask for a key to be
made if there is none, as those do that commit, now and then each is told that it has made it.
"""

from __future__ import annotations

import sys

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

if __name__ == "__main__":
    application = DomainDispatcherApplication(create_backend_app)
    run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=False)
