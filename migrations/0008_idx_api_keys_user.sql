-- transactional: false
-- phase: expand
--
-- API keys of one user: the settings page, and the newest key for scoring.
-- Built without locking the table against writes, hence outside a transaction.

CREATE INDEX CONCURRENTLY idx_api_keys_user
    ON api_keys (user_id);
