//! TLS to PostgreSQL, by the parameters of the store's URL.

use super::*;

/// The report of PostgreSQL about the connection of a store at `url` with these parameters: whether it is encrypted.
async fn encrypted(parameters: &str) -> Option<Result<bool>> {
    let server = std::env::var("ELIAS_TEST_POSTGRES").ok()?;
    let server = if parameters.contains("localhost") { server.replace("127.0.0.1", "localhost") } else { server };
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("{server}?{}", parameters.trim_start_matches("localhost "));
    let store = Store::open(folder.path(), Some(&url)).expect("it is a URL");
    let asked = sqlx::query("SELECT ssl::int4::int8 AS encrypted FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    // Not the schema, which another test may be making.
    let row = asked.fetch_one(&store.pool).await;
    Some(row.map_err(Error::from).and_then(|row| Ok(get::<i64>(&row, "encrypted")? == 1)))
}

#[tokio::test]
async fn a_postgresql_is_known_by_its_certificate_where_that_is_asked_for() {
    let authority = |variable: &str| std::env::var(variable).unwrap_or_default();
    let (own, other) = (authority("ELIAS_TEST_POSTGRES_CA"), authority("ELIAS_TEST_OTHER_CA"));
    for (parameters, wanted) in [
        ("sslmode=disable".to_owned(), Some(false)),
        ("sslmode=require".to_owned(), Some(true)),
        (format!("sslmode=verify-ca&sslrootcert={own}"), Some(true)),
        (format!("sslmode=verify-full&sslrootcert={own}"), Some(true)),
        // Another authority's, that of no file, and one for another name.
        (format!("sslmode=verify-full&sslrootcert={other}"), None),
        ("sslmode=verify-full".to_owned(), None),
        (format!("localhost sslmode=verify-full&sslrootcert={own}"), None),
        (format!("localhost sslmode=verify-ca&sslrootcert={own}"), Some(true)),
    ] {
        let Some(found) = encrypted(&parameters).await else { return };
        match (found, wanted) {
            (Ok(found), Some(wanted)) => assert_eq!(found, wanted, "{parameters}"),
            (Err(error), None) => {
                assert_eq!(error.code(), Code::StoreUnavailable, "{parameters}");
                assert!(error.to_string().contains("certificate"), "{parameters}: {error}");
            }
            (found, _) => panic!("{parameters}: {found:?}"),
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let wrong = Store::open(folder.path(), Some("postgres://elias@db/elias?sslmode=perhaps")).err();
    assert_eq!(wrong.map(|error| error.code()), Some(Code::BadInput));
}
