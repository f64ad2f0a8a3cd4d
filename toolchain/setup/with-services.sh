#!/usr/bin/env bash
# Runs a command with a PostgreSQL and a Redis of its own: on free ports, in a temporary folder, without passwords. Both
# are stopped and removed when the command has ended, however it ended.
#
# The command finds them in ELIAS_TEST_POSTGRES (a URL of a superuser; ELIAS_TEST_POSTGRES_PASSWORDS is one of its databases that asks for
# passwords) and ELIAS_TEST_REDIS (a URL), and PostgreSQL's programs
# in ELIAS_TEST_POSTGRES_BIN. PostgreSQL takes TLS too, by a certificate for 127.0.0.1 whose authority is in the file ELIAS_TEST_POSTGRES_CA;
# ELIAS_TEST_OTHER_CA is another authority's. Redis takes TLS at ELIAS_TEST_REDIS_TLS, by the same certificate. ELIAS_TEST_BROWSER is a Chromium for pages.
# ELIAS_TEST_PYTHON is a Python that has the library websockets and a mail server, and ELIAS_TEST_NODE_WS the module ws for Node.js: clients of
# WebSockets.
# ELIAS_TEST_NATS_SERVER is the program nats-server: tests start servers of their own, with JetStream in temporary folders.
# ELIAS_TEST_DIOD_BIN is the folder of diod's clients of 9P, diodls and diodcat.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

postgres=""
# Debian's folder comes last, and so first: it has all programs, and a folder of the path perhaps some.
for folder in $(dirname "$(command -v postgres || echo /none)") /usr/lib/postgresql/*/bin; do
  [ -x "$folder/initdb" ] && postgres=$folder
done
command -v openssl >/dev/null || "$here/system.sh" openssl
if [ -z "$postgres" ] || ! command -v redis-server >/dev/null; then
  "$here/system.sh" postgresql redis-server
  for folder in /usr/lib/postgresql/*/bin; do postgres=$folder; done
fi

for browser in chromium-headless-shell chromium chromium-browser google-chrome; do
  browser=$(command -v "$browser") && break
done
if [ -z "$browser" ]; then
  "$here/system.sh" chromium-headless-shell
  browser=$(command -v chromium-headless-shell)
fi

# Debian has it in /usr/sbin, which is not in everybody's path.
nats=$(command -v nats-server || PATH=$PATH:/usr/sbin command -v nats-server || true)
if [ -z "$nats" ]; then
  "$here/system.sh" nats-server
  nats=$(PATH=$PATH:/usr/sbin command -v nats-server)
fi

# The mail server was in Python's own library until 3.11.
python_with_libraries() {
  for python in python3 /usr/bin/python3; do
    "$python" -c 'import importlib.util, sys, websockets
sys.exit(not any(importlib.util.find_spec(name) for name in ("smtpd", "aiosmtpd")))' 2>/dev/null && echo "$python" && return
  done
}
# Debian's Node.js looks in this folder, others do not.
node_ws() { NODE_PATH=${NODE_PATH:+$NODE_PATH:}/usr/share/nodejs node -p 'require.resolve("ws")' 2>/dev/null || true; }
python=$(python_with_libraries || true)
[ -n "$python" ] || { "$here/system.sh" python3 python3-websockets python3-aiosmtpd; python=$(python_with_libraries); }
ws=$(node_ws)
[ -n "$ws" ] || { "$here/system.sh" node-ws; ws=$(node_ws); }
# Its clients are wanted, and not the server.
diod=$(command -v diodls || PATH=$PATH:/usr/sbin command -v diodls || true)
if [ -z "$diod" ]; then
  "$here/system.sh" diod
  diod=$(PATH=$PATH:/usr/sbin command -v diodls)
fi

folder=$(mktemp -d)
chmod 755 "$folder"
# PostgreSQL refuses to run as root.
as_postgres=()
if [ "$(id -u)" = 0 ]; then
  as_postgres=(runuser -u postgres --)
  install -d -o postgres "$folder/postgres"
else
  mkdir "$folder/postgres"
fi
redis=""
stop() {
  trap - EXIT INT TERM
  (cd / && "${as_postgres[@]}" "$postgres/pg_ctl" -D "$folder/postgres/data" -m immediate -s stop >/dev/null 2>&1) || true
  [ -z "$redis" ] || kill "$redis" 2>/dev/null || true
  rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT TERM

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 20000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

postgres_port=$(free_port)
(cd / && "${as_postgres[@]}" "$postgres/initdb" -D "$folder/postgres/data" -U elias --auth=trust -E UTF8 --locale=C.UTF-8 -N >/dev/null)

# An authority, and the server's certificate by it; and an authority that nobody has anything of.
for authority in ca other-ca; do
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=test $authority" \
    -keyout "$folder/$authority.key" -out "$folder/$authority.crt" 2>/dev/null
done
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=127.0.0.1" -keyout "$folder/server.key" -out "$folder/server.csr" 2>/dev/null
openssl x509 -req -in "$folder/server.csr" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -days 2 -out "$folder/server.crt" \
  -extfile <(printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth') 2>/dev/null
install -m 600 ${as_postgres:+-o postgres} "$folder/server.key" "$folder/server.crt" "$folder/postgres/data/"

cat >>"$folder/postgres/data/postgresql.conf" <<EOF
ssl = on
listen_addresses = '127.0.0.1'
port = $postgres_port
unix_socket_directories = ''
fsync = off
max_connections = 200
EOF
# One of its databases asks for passwords.
sed -i '1i host passwords all 127.0.0.1/32 scram-sha-256' "$folder/postgres/data/pg_hba.conf"
(cd / && "${as_postgres[@]}" "$postgres/pg_ctl" -D "$folder/postgres/data" -s -w -l "$folder/postgres/log" start)
psql=$postgres/psql
[ -x "$psql" ] || psql=psql
"$psql" -q "postgres://elias@127.0.0.1:$postgres_port/postgres" -c "ALTER ROLE elias PASSWORD 'elias'" -c "CREATE DATABASE passwords"

redis_port=$(free_port)
redis_tls_port=$(free_port)
redis-server --port "$redis_port" --tls-port "$redis_tls_port" --tls-cert-file "$folder/server.crt" --tls-key-file "$folder/server.key" \
  --tls-ca-cert-file "$folder/ca.crt" --tls-auth-clients no --bind 127.0.0.1 --save "" --appendonly no --dir "$folder" --daemonize no >/dev/null &
redis=$!
until (exec 3<>"/dev/tcp/127.0.0.1/$redis_port") 2>/dev/null; do sleep 0.05; done

export ELIAS_TEST_POSTGRES="postgres://elias@127.0.0.1:$postgres_port/postgres"
export ELIAS_TEST_POSTGRES_PASSWORDS="postgres://elias:elias@127.0.0.1:$postgres_port/passwords"
export ELIAS_TEST_POSTGRES_BIN="$postgres"
export ELIAS_TEST_POSTGRES_CA="$folder/ca.crt"
export ELIAS_TEST_OTHER_CA="$folder/other-ca.crt"
export ELIAS_TEST_BROWSER="$browser"
export ELIAS_TEST_NATS_SERVER="$nats"
export ELIAS_TEST_PYTHON="$python"
export ELIAS_TEST_NODE_WS="$ws"
ELIAS_TEST_DIOD_BIN=$(dirname "$diod")
export ELIAS_TEST_DIOD_BIN
export ELIAS_TEST_REDIS="redis://127.0.0.1:$redis_port"
export ELIAS_TEST_REDIS_TLS="rediss://127.0.0.1:$redis_tls_port"
"$@"
