//! Scratch.
use watchtower::config::*;
fn main() {
    watchtower::tls::install_provider();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut limits = watchtower::events::Limits::default();
    limits.lateness_ms = Some(6 * 3_600_000);
    let config = Config {
        pipeline: "lagos".into(),
        redis: Redis { url: "redis://127.0.0.1:7379".to_owned().into(), streams: 1, ca_file: None },
        clock: if std::env::args().nth(1).as_deref() == Some("log") { Clock::Log } else { Clock::Wall },
        store: Store {
            url: "postgres://postgres@127.0.0.1:7432/watchtower".to_owned().into(),
            schema: "lagos".into(),
            migrate: true,
            archive: true,
            reader_role: Some("watchtower_reader".into()),
            state_every_ms: 1000,
            rejected_keep_ms: 30 * 86_400_000,
            ca_file: None,
        },
        limits,
        rules: Default::default(),
        engine: Engine { workers: 1 },
        http: Http { listen: "127.0.0.1:9464".parse().unwrap() },
        log: Log { format: LogFormat::Human, level: "info".into() },
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let result =
        runtime.block_on(watchtower::daemon::run(config, false, async { tokio::signal::ctrl_c().await.unwrap() }));
    println!("{result:?}");
}
