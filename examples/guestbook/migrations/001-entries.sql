-- For SQLite and PostgreSQL alike.
create table entries (id text primary key, at bigint not null, name text not null, message text not null);
