-- phase: expand
--
-- Which query each index serves, where \d+ and the catalog show it. In a migration of its own:
-- the files that build the indexes run outside a transaction and hold one statement each.

COMMENT ON INDEX idx_items_source IS
    'GET /api/instagram/items?sourceId=: WHERE source_id = ?, count and small sources; cascade from instagram_sources';
COMMENT ON INDEX idx_items_user IS
    'GET /api/instagram/items: SELECT count(*) WHERE user_id = ?; cascade from users';
COMMENT ON INDEX idx_items_created_at IS
    'GET /api/instagram/items: ORDER BY created_at DESC LIMIT ? for users who own much of the table';
COMMENT ON INDEX idx_items_source_created_at IS
    'GET /api/instagram/items?sourceId=: WHERE source_id = ? ORDER BY created_at DESC LIMIT ?';
COMMENT ON INDEX idx_sources_user IS
    'GET /api/instagram/sources: WHERE user_id = ?; POST: SELECT count(*) for the limit of 50';
COMMENT ON INDEX idx_sources_created_at IS
    'Operators: the newest sources of all users, ORDER BY created_at DESC LIMIT ?';
COMMENT ON INDEX idx_api_keys_user IS
    'GET /api/settings/api-keys: WHERE user_id = ?; scoring: the newest key of a user';
COMMENT ON INDEX idx_api_keys_provider IS
    'Operators: the users of one provider, WHERE provider = ?, when it withdraws keys';
COMMENT ON INDEX idx_api_keys_user_provider IS
    'POST /api/settings/api-keys: SELECT count(*) WHERE user_id = ? AND provider = ? for the limit of 5';
COMMENT ON INDEX idx_users_email_lower IS
    'POST /api/auth/login and /api/auth/register: WHERE lower(email) = ?';
