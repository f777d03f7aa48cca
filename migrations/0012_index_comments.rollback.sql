-- Takes the comments away; the indexes stay.

COMMENT ON INDEX idx_items_source IS NULL;
COMMENT ON INDEX idx_items_user IS NULL;
COMMENT ON INDEX idx_items_created_at IS NULL;
COMMENT ON INDEX idx_items_source_created_at IS NULL;
COMMENT ON INDEX idx_sources_user IS NULL;
COMMENT ON INDEX idx_sources_created_at IS NULL;
COMMENT ON INDEX idx_api_keys_user IS NULL;
COMMENT ON INDEX idx_api_keys_provider IS NULL;
COMMENT ON INDEX idx_api_keys_user_provider IS NULL;
COMMENT ON INDEX idx_users_email_lower IS NULL;
