CREATE TABLE cards (
    id serial PRIMARY KEY,
    name text NOT NULL
);
INSERT INTO cards (name) VALUES ('Rising Dragon'), ('Quiet Pond');
