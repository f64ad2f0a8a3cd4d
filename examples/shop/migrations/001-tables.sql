CREATE TABLE orders (
  id TEXT PRIMARY KEY,
  customer TEXT NOT NULL,
  item TEXT NOT NULL,
  total INTEGER NOT NULL,
  state TEXT NOT NULL
);
CREATE TABLE payments (
  order_id TEXT PRIMARY KEY,
  amount INTEGER NOT NULL
);
CREATE TABLE reports (
  day TEXT PRIMARY KEY,
  shipped INTEGER NOT NULL,
  revenue INTEGER NOT NULL
);
