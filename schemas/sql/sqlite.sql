CREATE TABLE core_account (
            id BIGINT PRIMARY KEY,
            domain TEXT NOT NULL,
            localpart TEXT NOT NULL,
            keys TEXT NOT NULL,
            disabled SMALLINT NOT NULL,
            created_ms BIGINT NOT NULL,
            roster_version BIGINT NOT NULL, shape TEXT NOT NULL DEFAULT '?', keys_generation BIGINT NOT NULL DEFAULT 0,
            UNIQUE (domain, localpart)
        );

CREATE INDEX core_account_by_shape ON core_account (domain, disabled, shape);

CREATE TABLE core_account_gone (account BIGINT PRIMARY KEY);

CREATE TABLE core_counter (name TEXT PRIMARY KEY, value BIGINT NOT NULL);

CREATE TABLE core_roster_gone (
            account BIGINT NOT NULL,
            jid TEXT NOT NULL,
            version BIGINT NOT NULL,
            PRIMARY KEY (account, jid)
        );

CREATE TABLE core_roster_item (
            account BIGINT NOT NULL,
            jid TEXT NOT NULL,
            name TEXT,
            groups TEXT NOT NULL,
            subscription SMALLINT NOT NULL,
            listed SMALLINT NOT NULL,
            request TEXT,
            version BIGINT NOT NULL,
            PRIMARY KEY (account, jid)
        );

CREATE TABLE core_secret (name TEXT PRIMARY KEY, value BLOB NOT NULL);

CREATE TABLE kv (
            account BIGINT NOT NULL,
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            value BLOB NOT NULL,
            PRIMARY KEY (account, kind, name)
        );

CREATE TABLE log (
            row INTEGER PRIMARY KEY,
            account BIGINT NOT NULL,
            time_ms BIGINT NOT NULL,
            flags BIGINT NOT NULL,
            peer TEXT NOT NULL,
            stanza BLOB NOT NULL
        );

CREATE INDEX log_by_account ON log (account, row);

CREATE TABLE store_counter (name TEXT NOT NULL PRIMARY KEY, reserved BIGINT NOT NULL);

CREATE TABLE store_schema (owner TEXT NOT NULL PRIMARY KEY, step BIGINT NOT NULL);
