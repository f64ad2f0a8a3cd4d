//! PostgreSQL.
use super::backend::Backend;
use super::grant::DbGrant;
use super::migrate::Migrations;
use elias_host::capability::ConfigureError;
pub(crate) struct Postgres;
impl Backend for Postgres {
    fn dialect(&self) -> super::statement::Dialect {
        super::statement::Dialect::Postgres
    }
    fn run(&self, _: super::statement::Statement, _: super::output::Output) -> futures::future::BoxFuture<'static, ()> {
        unimplemented!()
    }
    fn transaction(
        &self,
        _: super::transaction::Begin,
        _: super::transaction::Commands,
    ) -> futures::future::BoxFuture<'static, ()> {
        unimplemented!()
    }
}
pub(crate) async fn open(_: &str, _: &DbGrant, _: Migrations) -> Result<Postgres, ConfigureError> {
    Err(ConfigureError::Unavailable("no".into()))
}
