-- transactional: false
-- phase: expand
--
-- API keys of one user at one provider: the check of the limit of 5.
-- Built without locking the table against writes, hence outside a transaction.

CREATE INDEX CONCURRENTLY idx_api_keys_user_provider
    ON api_keys (user_id, provider);
