-- What each user of the database may do, and no more: applied by ./install.sh mysql once the tables exist.
-- @SERVICES@ and @LOGGERS@ stand for the users, such as 'nexuscore'@'localhost'. Only an administrator changes tables.

-- Services and the operators' tools: all rows of all tables.
GRANT SELECT, INSERT, UPDATE, DELETE ON * TO @SERVICES@;

-- Values of secret parameters stand in config_secret, and nowhere else. Whoever has no right to that table, such as the
-- session logger below, reads the rest of the configuration as always. Another account that is only to read gets what it
-- needs table by table, like the logger, but never SELECT on * or on config_secret.

-- The session logger on the microscope PCs: which instrument this computer belongs to, and who reserved it ...
GRANT SELECT ON `alembic_version` TO @LOGGERS@;
GRANT SELECT ON `facility_identity` TO @LOGGERS@;
GRANT SELECT ON `config_version` TO @LOGGERS@;
GRANT SELECT ON `config_parameter` TO @LOGGERS@;
GRANT SELECT ON `config_revision` TO @LOGGERS@;
GRANT SELECT ON `reservation` TO @LOGGERS@;
-- ... sessions, whose events are never changed nor removed ...
GRANT SELECT, INSERT, UPDATE ON `session` TO @LOGGERS@;
GRANT SELECT, INSERT ON `session_event` TO @LOGGERS@;
-- ... and its own log and status. A channel or item that exists is passed over by an update to what it is; a cursor
-- tells how far a program's own records have been delivered, and goes when that is done.
GRANT INSERT ON `log_record` TO @LOGGERS@;
GRANT SELECT, INSERT, UPDATE (`name`) ON `status_channel` TO @LOGGERS@;
GRANT SELECT, INSERT, UPDATE (`channel_id`, `name`) ON `status_item` TO @LOGGERS@;
GRANT INSERT ON `status_sample` TO @LOGGERS@;
GRANT SELECT, INSERT, UPDATE ON `status_latest` TO @LOGGERS@;
GRANT SELECT, INSERT, UPDATE, DELETE ON `delivery_cursor` TO @LOGGERS@;
