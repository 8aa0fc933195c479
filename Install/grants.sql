-- The rights of each user of the database, applied by ./install.sh mysql once the tables exist.
-- @SERVICES@ and @LOGGERS@ stand for the users, such as 'nexuscore'@'localhost'. Only an administrator changes tables.

-- Services and the operators' tools: all rows of all tables.
GRANT SELECT, INSERT, UPDATE, DELETE ON * TO @SERVICES@;

-- Values of secret parameters are only in config_secret. A user without rights to that table, such as the session logger
-- below, can read the rest of the configuration. For another read-only account, grant SELECT table by table as for the
-- logger, but never on * or on config_secret.

-- The session logger on the microscope PCs: the instrument of the computer, and its reservations ...
GRANT SELECT ON `alembic_version` TO @LOGGERS@;
GRANT SELECT ON `facility_identity` TO @LOGGERS@;
GRANT SELECT ON `config_version` TO @LOGGERS@;
GRANT SELECT ON `config_parameter` TO @LOGGERS@;
GRANT SELECT ON `config_revision` TO @LOGGERS@;
GRANT SELECT ON `reservation` TO @LOGGERS@;
-- ... sessions, whose events are never changed or removed ...
GRANT SELECT, INSERT, UPDATE ON `session` TO @LOGGERS@;
GRANT SELECT, INSERT ON `session_event` TO @LOGGERS@;
-- ... and its own log and status. An existing channel or item is updated to the same values; a cursor holds the
-- delivery position of a program's records, and is deleted at the end.
GRANT INSERT ON `log_record` TO @LOGGERS@;
GRANT SELECT, INSERT, UPDATE (`name`) ON `status_channel` TO @LOGGERS@;
GRANT SELECT, INSERT, UPDATE (`channel_id`, `name`) ON `status_item` TO @LOGGERS@;
GRANT INSERT ON `status_sample` TO @LOGGERS@;
GRANT SELECT, INSERT, UPDATE ON `status_latest` TO @LOGGERS@;
GRANT SELECT, INSERT, UPDATE, DELETE ON `delivery_cursor` TO @LOGGERS@;
