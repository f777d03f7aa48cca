-- transactional: false
-- phase: expand
--
-- The user of an email address in any spelling: login and register.
-- Built without locking the table against writes, hence outside a transaction.

CREATE INDEX CONCURRENTLY idx_users_email_lower
    ON users (lower(email));
