"""Serves a clone of web-platform-tests by the suite's own server.

    python3 server.py FOLDER

The clone's `tools/wptserve` answers, so `.headers` files, `.sub.` templates, `.asis` files and the handlers in Python
behave as the tests expect. Prints the two ports that it listens on, the second for tests of another origin, as a line of
JSON, and ends when its standard input does. There is no TLS and no second host name.
"""
import json
import logging
import os
import sys
import uuid

folder = os.path.realpath(sys.argv[1])
sys.path.insert(0, os.path.join(folder, "tools"))
import localpaths  # noqa: F401,E402  (extends sys.path by what the server needs)

from wptserve.config import Config  # noqa: E402
from wptserve.server import WebTestHttpd  # noqa: E402
from wptserve.stash import StashServer  # noqa: E402

HOST = "127.0.0.1"
os.chdir(folder)
logging.disable(logging.CRITICAL)

# Every name of the templates is given a value; what cannot be reached fails in the test that asks it, not in the template.
ports = {}
domains = {"": HOST, **{name: HOST for name in ("www", "www1", "www2", "nonexistent")}}
config = Config({
    "browser_host": HOST,
    "server_host": HOST,
    "doc_root": folder,
    "ports": ports,
    "domains": {"": domains, "alt": domains},
    "all_domains": {"": domains, "alt": domains},
    "alternate_hosts": {"alt": HOST},
    "ssl_config": None,
})

with StashServer((HOST, 0), authkey=str(uuid.uuid4())):
    servers = [WebTestHttpd(host=HOST, port=0, doc_root=folder, config=config) for _ in range(2)]
    listening = [server.httpd.server_address[1] for server in servers]
    ports.update({scheme: listening for scheme in ("http", "https", "ws", "wss", "h2")})
    for server in servers:
        server.start()
    print(json.dumps(listening), flush=True)
    sys.stdin.read()
# Threads of open connections must not keep the process.
os._exit(0)
