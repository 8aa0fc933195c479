-- The rights of each user of the database, applied by ./install.sh mysql once the tables exist.
-- @SERVICES@, @GATEWAY@ and @REPORTS@ stand for the users, such as 'nexuscore'@'localhost'. Only an administrator changes
-- tables. Microscope PCs have no user: they report their sessions to the Gateway.

-- Services and the operators' tools: all rows of all tables.
GRANT SELECT, INSERT, UPDATE, DELETE ON * TO @SERVICES@;

-- Values of secret parameters are only in config_secret. A user without rights to that table, such as the ones below, can
-- read the rest of the configuration. The same holds for web_user and web_setting, which hold the password hashes of the
-- users of the web pages and the key that signs their cookies. For another account, grant table by table, but never on *
-- or on one of these three.

-- The Gateway: the configuration, reservations, and the ages of queues ...
GRANT SELECT ON `alembic_version` TO @GATEWAY@;
GRANT SELECT ON `facility_identity` TO @GATEWAY@;
GRANT SELECT ON `config_version` TO @GATEWAY@;
GRANT SELECT ON `config_parameter` TO @GATEWAY@;
GRANT SELECT ON `config_change` TO @GATEWAY@;
GRANT SELECT ON `config_revision` TO @GATEWAY@;
GRANT SELECT ON `reservation` TO @GATEWAY@;
GRANT SELECT ON `record` TO @GATEWAY@;
-- ... tokens, which it does not make or revoke, and its own answers ...
GRANT SELECT, UPDATE (`seen_ts`) ON `token` TO @GATEWAY@;
GRANT SELECT, INSERT, DELETE ON `gateway_request` TO @GATEWAY@;
-- ... sessions, whose start, instrument and events are never changed or removed ...
GRANT SELECT, INSERT, UPDATE (`state`, `end_ts`, `open_on`, `token_sha256`, `seen_ts`) ON `session` TO @GATEWAY@;
GRANT SELECT, INSERT ON `session_event` TO @GATEWAY@;
-- ... what becomes of the files that PCs transfer, which stays ...
GRANT SELECT, INSERT, UPDATE ON `transfer_file` TO @GATEWAY@;
-- ... and its own log and status. An existing channel or item is updated to the same values; a cursor holds the
-- delivery position of a program's records, and is deleted at the end.
GRANT INSERT ON `log_record` TO @GATEWAY@;
GRANT SELECT, INSERT, UPDATE (`name`) ON `status_channel` TO @GATEWAY@;
GRANT SELECT, INSERT, UPDATE (`channel_id`, `name`) ON `status_item` TO @GATEWAY@;
GRANT INSERT ON `status_sample` TO @GATEWAY@;
GRANT SELECT, INSERT, UPDATE ON `status_latest` TO @GATEWAY@;
GRANT SELECT, INSERT, UPDATE, DELETE ON `delivery_cursor` TO @GATEWAY@;

-- Reports: everything can be read but secrets, tokens, users of the web pages and answers of the Gateway. Not
-- config_revision: who can read it can also lock it, and then nobody changes the configuration.
GRANT SELECT ON `alembic_version` TO @REPORTS@;
GRANT SELECT ON `facility_identity` TO @REPORTS@;
GRANT SELECT ON `config_version` TO @REPORTS@;
GRANT SELECT ON `config_parameter` TO @REPORTS@;
GRANT SELECT ON `config_change` TO @REPORTS@;
GRANT SELECT ON `status_channel` TO @REPORTS@;
GRANT SELECT ON `status_item` TO @REPORTS@;
GRANT SELECT ON `status_sample` TO @REPORTS@;
GRANT SELECT ON `status_latest` TO @REPORTS@;
GRANT SELECT ON `log_record` TO @REPORTS@;
GRANT SELECT ON `delivery_cursor` TO @REPORTS@;
GRANT SELECT ON `session` TO @REPORTS@;
GRANT SELECT ON `session_event` TO @REPORTS@;
GRANT SELECT ON `reservation` TO @REPORTS@;
GRANT SELECT ON `record` TO @REPORTS@;
GRANT SELECT ON `calendar_read` TO @REPORTS@;
GRANT SELECT ON `record_booking` TO @REPORTS@;
GRANT SELECT ON `upload` TO @REPORTS@;
GRANT SELECT ON `intake_move` TO @REPORTS@;
GRANT SELECT ON `file_copy` TO @REPORTS@;
-- ... without `upload_ref`: with the address in it, anybody can send that one file.
GRANT SELECT (`id`, `session_id`, `folder`, `path`, `path_sha256`, `size`, `modified_ts`, `md5`, `state`, `sent`, `reason`,
  `next_try_ts`, `attempts`, `store`, `object`, `object_sha256`, `object_md5`, `verified_ts`, `checked_ts`, `changed_ts`)
  ON `transfer_file` TO @REPORTS@;
GRANT SELECT ON `log_view` TO @REPORTS@;
GRANT SELECT ON `status_view` TO @REPORTS@;
GRANT SELECT ON `session_log` TO @REPORTS@;
