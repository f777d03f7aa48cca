-- Removes every table of the service, and the data in them.

DROP TABLE login_failures;
DROP TABLE api_keys;
DROP TABLE instagram_items;
DROP TABLE instagram_sources;
DROP TABLE projects;
DROP TABLE users;
