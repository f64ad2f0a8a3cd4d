//! The backend of the cache in Redis.

use super::backend::{Backend, BackendOutput};
use super::contract::{Command, CommandOutput, Error, ErrorCode, Value};
use futures::future::{BoxFuture, FutureExt};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, RedisError, RedisResult, Script, TlsCertificates, cmd};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// KEYS: the key. ARGV: whether something is expected, what is, the value, its time to live in milliseconds or nothing.
static COMPARE_AND_SWAP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local old = redis.call('GET', KEYS[1])
        if ARGV[1] == '1' then if old ~= ARGV[2] then return 0 end elseif old then return 0 end
        if ARGV[4] == '' then redis.call('SET', KEYS[1], ARGV[3])
        else redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4]) end
        return 1",
    )
});

/// KEYS: the key. ARGV: what is added, the time to live of a new number in milliseconds or nothing. The sum comes back
/// as text, for Lua's own numbers have 53 bits only; nothing comes back where there was no number.
static INCREMENT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local made = redis.call('EXISTS', KEYS[1]) == 0
        local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1])
        if type(sum) == 'table' and sum.err then
            if string.find(sum.err, 'not an integer', 1, true) or string.find(sum.err, 'overflow', 1, true) then
                return false
            end
            return sum
        end
        if made and ARGV[2] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
        return redis.call('GET', KEYS[1])",
    )
});

/// KEYS: the keys. ARGV: the bytes that their values may have together. The values come back; how many bytes they have
/// where these are too many.
static GET_MANY: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local bytes = 0
        for _, key in ipairs(KEYS) do bytes = bytes + redis.call('STRLEN', key) end
        if bytes > tonumber(ARGV[1]) then return bytes end
        return redis.call('MGET', unpack(KEYS))",
    )
});

/// Bytes of all values that one command gives, unless a single one may have more.
const VALUES_BYTES: u64 = 16 << 20;

/// One component's values.
pub(super) struct Redis(Arc<Inner>);

struct Inner {
    client: Client,
    config: AsyncConnectionConfig,
    component: String,
    prefix: String,
    timeout: Duration,
    /// The longest value, and all of one command's together.
    value_bytes: u64,
    values_bytes: u64,
    slot: Mutex<ConnectionSlot>,
    /// So that losing it and finding it again are logged once each.
    lost: AtomicBool,
}

/// The connection that commands share.
#[derive(Default)]
struct ConnectionSlot {
    connection: Option<MultiplexedConnection>,
    /// How many connections there were: which one is in the slot.
    generation: u64,
    /// When connecting last failed: who asked before that need not try again.
    failed: Option<Instant>,
}

/// The prefix of the component's keys. Everything that has a meaning in it is escaped in the names: no component's
/// keys begin with another's prefix. Keys of a namespace are on one node of a cluster, for `get-many`.
pub(super) fn prefix(namespace: &str, component: &str) -> String {
    format!("elias:{{{}}}:{}:", escape(namespace), escape(component))
}

fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_./@".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

impl Redis {
    /// Connects when first used.
    pub(super) fn new(client: Client, namespace: &str, component: &str, timeout: Duration, value_bytes: u64) -> Self {
        let config = AsyncConnectionConfig::new().set_connection_timeout(timeout);
        let (component, prefix) = (component.to_owned(), prefix(namespace, component));
        let (slot, lost) = (Mutex::default(), AtomicBool::new(false));
        // With what says what a value is.
        let value_bytes = value_bytes + 1;
        let values_bytes = value_bytes.max(VALUES_BYTES);
        Self(Arc::new(Inner { client, config, component, prefix, timeout, value_bytes, values_bytes, slot, lost }))
    }

    /// Connects now, so that the log tells early of a Redis that cannot be reached.
    pub(super) async fn connect(&self) {
        if tokio::time::timeout(self.0.timeout, self.0.connection()).await.is_err() {
            self.0.lost("it does not respond");
        }
    }
}

impl Backend for Redis {
    fn immediate(&self) -> bool {
        false
    }

    fn run(&self, command: Command) -> BoxFuture<'static, Result<BackendOutput, Error>> {
        let inner = Arc::clone(&self.0);
        async move { inner.run(&command).await }.boxed()
    }
}

/// A connection, which one it is, and whether it was made just now.
struct CurrentConnection {
    connection: MultiplexedConnection,
    generation: u64,
    fresh: bool,
}

impl Inner {
    async fn run(&self, command: &Command) -> Result<BackendOutput, Error> {
        let mut used = None;
        let tries = async {
            loop {
                let mut connected = self.connection().await?;
                let first = used.replace(connected.generation).is_none();
                let error = match self.execute(&mut connected.connection, command).await {
                    Ok(output) => return output,
                    Err(error) => error,
                };
                if !error.is_unrecoverable_error() && !error.is_io_error() {
                    tracing::debug!(component = %self.component, kind = error.category(), "Redis refused a command");
                    return Err(Error::new(ErrorCode::Unavailable, "Redis refused the command"));
                }
                self.discard(connected.generation);
                // An old connection may have been cut long ago; but what may have had its effect is not done twice.
                if connected.fresh || !first || !repeatable(command) {
                    self.lost(error.category());
                    return Err(unreachable());
                }
            }
        };
        let output = tokio::time::timeout(self.timeout, tries).await;
        output.unwrap_or_else(|_| {
            // A connection whose other end is gone without a word would never respond again.
            if let Some(generation) = used {
                self.discard(generation);
            }
            self.lost("it does not respond");
            let message = format!("Redis did not respond within {} ms", self.timeout.as_millis());
            Err(Error::new(ErrorCode::Unavailable, message))
        })
    }

    async fn connection(&self) -> Result<CurrentConnection, Error> {
        let asked = Instant::now();
        let mut slot = self.slot.lock().await;
        if let Some(connection) = &slot.connection {
            return Ok(CurrentConnection { connection: connection.clone(), generation: slot.generation, fresh: false });
        }
        if slot.failed.is_some_and(|failed| failed > asked) {
            return Err(unreachable());
        }
        match self.client.get_multiplexed_async_connection_with_config(&self.config).await {
            Ok(connection) => {
                slot.connection = Some(connection.clone());
                slot.generation += 1;
                if self.lost.swap(false, Ordering::Relaxed) {
                    tracing::info!(component = %self.component, "Redis of the cache is available again");
                }
                Ok(CurrentConnection { connection, generation: slot.generation, fresh: true })
            }
            Err(error) => {
                slot.failed = Some(Instant::now());
                self.lost(error.category());
                Err(unreachable())
            }
        }
    }

    /// Forgets a connection. Commands that are under way on it keep it until they end.
    fn discard(&self, generation: u64) {
        // Whoever has the slot locked is about to connect, or reads it and will find out the same.
        let Ok(mut slot) = self.slot.try_lock() else { return };
        if slot.generation == generation {
            slot.connection = None;
        }
    }

    /// `kind` is one of a few fixed words: an error's own text could have addresses in it.
    fn lost(&self, kind: &str) {
        if !self.lost.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                component = %self.component, kind,
                "Redis of the cache is unavailable; cache operations fail until it is available again"
            );
        }
    }

    fn too_large(&self, what: &str, length: u64, most: u64) -> Error {
        tracing::debug!(component = %self.component, length, "a cached value exceeds the component's size limit");
        Error::new(ErrorCode::TooLarge, format!("{what} would be {length} bytes; {most} is the most of one command"))
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The outer error is Redis's, the inner one the command's.
    async fn execute(
        &self,
        connection: &mut MultiplexedConnection,
        command: &Command,
    ) -> RedisResult<Result<BackendOutput, Error>> {
        let changed = match command {
            Command::Get(key) | Command::Lease(key) => {
                let key = self.key(key);
                // Never more than a value may have, whatever another program has put there. Of one moment: of a key
                // that is set in between, an empty text would be read that nobody has put there.
                let mut bounded = redis::pipe();
                bounded.atomic().cmd("EXISTS").arg(&key).cmd("STRLEN").arg(&key);
                bounded.cmd("GETRANGE").arg(&key).arg(0).arg(self.value_bytes);
                let (there, length, value): (bool, u64, Value) = bounded.query_async(connection).await?;
                if length > self.value_bytes {
                    return Ok(Err(self.too_large("the value", length, self.value_bytes)));
                }
                return Ok(Ok(CommandOutput::Value(there.then_some(value))));
            }
            // Redis refuses to get none.
            Command::GetMany(keys) if keys.is_empty() => return Ok(Ok(CommandOutput::Values(Vec::new()))),
            Command::GetMany(keys) => {
                let mut many = GET_MANY.arg(self.values_bytes);
                for key in keys {
                    many.key(self.key(key));
                }
                return match many.invoke_async(connection).await? {
                    redis::Value::Int(bytes) => {
                        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                        Ok(Err(self.too_large("the values together", bytes, self.values_bytes)))
                    }
                    values => Ok(Ok(CommandOutput::Values(redis::from_redis_value(&values)?))),
                };
            }
            Command::Set(entry) => {
                self.set(&entry.key, &entry.value, entry.ttl_ms).exec_async(connection).await?;
                true
            }
            Command::SetIfAbsent(entry) => {
                let mut set = self.set(&entry.key, &entry.value, entry.ttl_ms);
                set.arg("NX").query_async::<Option<String>>(connection).await?.is_some()
            }
            Command::CompareAndSwap(swap) => {
                COMPARE_AND_SWAP
                    .key(self.key(&swap.entry.key))
                    .arg(i32::from(swap.expected.is_some()))
                    .arg(swap.expected.as_deref().unwrap_or_default())
                    .arg(&*swap.entry.value)
                    .arg(swap.entry.ttl_ms.map_or_else(String::new, |ttl| ttl.to_string()))
                    .invoke_async(connection)
                    .await?
            }
            Command::Delete(key) => cmd("DEL").arg(self.key(key)).query_async(connection).await?,
            Command::Increment(increment) => {
                let sum: Option<i64> = INCREMENT
                    .key(self.key(&increment.key))
                    .arg(increment.by)
                    .arg(increment.ttl_ms.map_or_else(String::new, |ttl| ttl.to_string()))
                    .invoke_async(connection)
                    .await?;
                return Ok(sum.map(CommandOutput::Number).ok_or_else(Error::not_a_number));
            }
            Command::Expire(expiry) => {
                let key = self.key(&expiry.key);
                if let Some(ttl) = expiry.ttl_ms {
                    cmd("PEXPIRE").arg(key).arg(ttl).query_async(connection).await?
                } else {
                    // PERSIST alone does not tell a value without a time to live from none.
                    let mut both = redis::pipe();
                    both.atomic().exists(&key).persist(&key).ignore();
                    both.query_async::<(bool,)>(connection).await?.0
                }
            }
        };
        Ok(Ok(CommandOutput::Changed(changed)))
    }

    fn set(&self, key: &str, value: &[u8], ttl_ms: Option<u64>) -> Cmd {
        let mut set = cmd("SET");
        set.arg(self.key(key)).arg(value);
        if let Some(ttl) = ttl_ms {
            set.arg("PX").arg(ttl);
        }
        set
    }
}

/// Whether doing it twice has the same effect and output as doing it once. Not so `delete` and comparisons.
fn repeatable(command: &Command) -> bool {
    matches!(command, Command::Get(_) | Command::GetMany(_) | Command::Set(_) | Command::Expire(_) | Command::Lease(_))
}

fn unreachable() -> Error {
    Error::new(ErrorCode::Unavailable, "Redis cannot be reached")
}

/// Opens what a URL names, without connecting; none if it is not a URL of a Redis. `roots` are the authorities (PEM)
/// that its certificate may be of; those that browsers trust unless given.
pub(super) fn open(url: &str, roots: Option<Vec<u8>>) -> Option<Client> {
    if !url.starts_with("rediss://") {
        return Client::open(url).map_err(|_: RedisError| ()).ok();
    }
    // The driver takes what the process has set; a program that has set nothing gets what the rest of the host uses.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let certificates = TlsCertificates { client_tls: None, root_cert: roots };
    Client::build_with_tls(url, certificates).map_err(|_: RedisError| ()).ok()
}
