-- For SQLite and PostgreSQL alike.
create table entries (id integer generated always as identity primary key, name text not null, message text not null);
